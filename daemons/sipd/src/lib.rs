//! SIP registrar, record-routing proxy and call supervision.
