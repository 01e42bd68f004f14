//! Diameter: RFC 6733 base, RFC 8506 credit control, 3GPP TS 29.214 Rx, without I/O.
