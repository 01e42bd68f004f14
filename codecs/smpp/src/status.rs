//! `command_status` (SMPP 3.4 table 5-2; SMPP 5.0 table 4-45 for what it adds).

macro_rules! statuses {
    ($($name:ident = $value:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: u32 = $value;)*

        /// Every status of the specifications: value, name, meaning.
        pub const ALL: &[(u32, &str, &str)] = &[$(($name, stringify!($name), $meaning)),*];

        /// The name of a status as SMPP 3.4 spells it (SMPP 5.0's for what is new there); "vendor-specific" for 0x400
        /// to 0x4FF, "reserved" for the rest.
        pub fn name(command_status: u32) -> &'static str {
            match command_status {
                $($name => stringify!($name),)*
                0x400..=0x4FF => "vendor-specific",
                _ => "reserved",
            }
        }
    };
}

statuses! {
    ESME_ROK = 0x0000_0000, "Done.";
    ESME_RINVMSGLEN = 0x0000_0001, "Message length is invalid.";
    ESME_RINVCMDLEN = 0x0000_0002, "Command length is invalid.";
    ESME_RINVCMDID = 0x0000_0003, "Invalid command id.";
    ESME_RINVBNDSTS = 0x0000_0004, "Incorrect bind status for the given command.";
    ESME_RALYBND = 0x0000_0005, "ESME already in bound state.";
    ESME_RINVPRTFLG = 0x0000_0006, "Invalid priority flag.";
    ESME_RINVREGDLVFLG = 0x0000_0007, "Invalid registered delivery flag.";
    ESME_RSYSERR = 0x0000_0008, "System error.";
    ESME_RINVSRCADR = 0x0000_000A, "Invalid source address.";
    ESME_RINVDSTADR = 0x0000_000B, "Invalid destination address.";
    ESME_RINVMSGID = 0x0000_000C, "Message id is invalid.";
    ESME_RBINDFAIL = 0x0000_000D, "Bind failed.";
    ESME_RINVPASWD = 0x0000_000E, "Invalid password.";
    ESME_RINVSYSID = 0x0000_000F, "Invalid system id.";
    ESME_RCANCELFAIL = 0x0000_0011, "`cancel_sm` failed.";
    ESME_RREPLACEFAIL = 0x0000_0013, "`replace_sm` failed.";
    ESME_RMSGQFUL = 0x0000_0014, "Message queue full.";
    ESME_RINVSERTYP = 0x0000_0015, "Invalid service type.";
    ESME_RINVNUMDESTS = 0x0000_0033, "Invalid number of destinations.";
    ESME_RINVDLNAME = 0x0000_0034, "Invalid distribution list name.";
    ESME_RINVDESTFLAG = 0x0000_0040, "Destination flag (`submit_multi`) is invalid.";
    ESME_RINVSUBREP = 0x0000_0042, "Invalid 'submit with replace' request: `submit_sm` with `replace_if_present_flag` set.";
    ESME_RINVESMCLASS = 0x0000_0043, "Invalid `esm_class`.";
    ESME_RCNTSUBDL = 0x0000_0044, "Cannot submit to a distribution list.";
    ESME_RSUBMITFAIL = 0x0000_0045, "`submit_sm` or `submit_multi` failed.";
    ESME_RINVSRCTON = 0x0000_0048, "Invalid source address TON.";
    ESME_RINVSRCNPI = 0x0000_0049, "Invalid source address NPI.";
    ESME_RINVDSTTON = 0x0000_0050, "Invalid destination address TON.";
    ESME_RINVDSTNPI = 0x0000_0051, "Invalid destination address NPI.";
    ESME_RINVSYSTYP = 0x0000_0053, "Invalid `system_type`.";
    ESME_RINVREPFLAG = 0x0000_0054, "Invalid `replace_if_present_flag`.";
    ESME_RINVNUMMSGS = 0x0000_0055, "Invalid number of messages.";
    ESME_RTHROTTLED = 0x0000_0058, "The ESME has exceeded its message limits.";
    ESME_RINVSCHED = 0x0000_0061, "Invalid scheduled delivery time.";
    ESME_RINVEXPIRY = 0x0000_0062, "Invalid message validity period (expiry time).";
    ESME_RINVDFTMSGID = 0x0000_0063, "Predefined message is invalid or not found.";
    ESME_RX_T_APPN = 0x0000_0064, "ESME receiver temporary application error.";
    ESME_RX_P_APPN = 0x0000_0065, "ESME receiver permanent application error.";
    ESME_RX_R_APPN = 0x0000_0066, "ESME receiver reject message error.";
    ESME_RQUERYFAIL = 0x0000_0067, "`query_sm` failed.";
    ESME_RINVOPTPARSTREAM = 0x0000_00C0, "Error in the optional part of the PDU body.";
    ESME_ROPTPARNOTALLWD = 0x0000_00C1, "Optional parameter not allowed.";
    ESME_RINVPARLEN = 0x0000_00C2, "Invalid parameter length.";
    ESME_RMISSINGOPTPARAM = 0x0000_00C3, "Expected optional parameter missing.";
    ESME_RINVOPTPARAMVAL = 0x0000_00C4, "Invalid optional parameter value.";
    ESME_RDELIVERYFAILURE = 0x0000_00FE, "Delivery failure (used for `data_sm_resp`).";
    ESME_RUNKNOWNERR = 0x0000_00FF, "Unknown error.";
    ESME_RSERTYPUNAUTH = 0x0000_0100, "SMPP 5.0: ESME not authorised to use the specified `service_type`.";
    ESME_RPROHIBITED = 0x0000_0101, "SMPP 5.0: ESME prohibited from using the specified operation.";
    ESME_RSERTYPUNAVAIL = 0x0000_0102, "SMPP 5.0: the specified `service_type` is unavailable.";
    ESME_RSERTYPDENIED = 0x0000_0103, "SMPP 5.0: the specified `service_type` is denied.";
    ESME_RINVDCS = 0x0000_0104, "SMPP 5.0: invalid data coding scheme.";
    ESME_RINVSRCADDRSUBUNIT = 0x0000_0105, "SMPP 5.0: source address subunit is invalid.";
    ESME_RINVDSTADDRSUBUNIT = 0x0000_0106, "SMPP 5.0: destination address subunit is invalid.";
    ESME_RINVBCASTFREQINT = 0x0000_0107, "SMPP 5.0: broadcast frequency interval is invalid.";
    ESME_RINVBCASTALIAS_NAME = 0x0000_0108, "SMPP 5.0: broadcast alias name is invalid.";
    ESME_RINVBCASTAREAFMT = 0x0000_0109, "SMPP 5.0: broadcast area format is invalid.";
    ESME_RINVNUMBCAST_AREAS = 0x0000_010A, "SMPP 5.0: number of broadcast areas is invalid.";
    ESME_RINVBCASTCNTTYPE = 0x0000_010B, "SMPP 5.0: broadcast content type is invalid.";
    ESME_RINVBCASTMSGCLASS = 0x0000_010C, "SMPP 5.0: broadcast message class is invalid.";
    ESME_RBCASTFAIL = 0x0000_010D, "SMPP 5.0: `broadcast_sm` failed.";
    ESME_RBCASTQUERYFAIL = 0x0000_010E, "SMPP 5.0: `query_broadcast_sm` failed.";
    ESME_RBCASTCANCELFAIL = 0x0000_010F, "SMPP 5.0: `cancel_broadcast_sm` failed.";
    ESME_RINVBCAST_REP = 0x0000_0110, "SMPP 5.0: number of repeated broadcasts is invalid.";
    ESME_RINVBCASTSRVGRP = 0x0000_0111, "SMPP 5.0: broadcast service group is invalid.";
    ESME_RINVBCASTCHANIND = 0x0000_0112, "SMPP 5.0: broadcast channel indicator is invalid.";
}

// SMPP 5.0 calls five of them by other names.

/// SMPP 5.0's name for [`ESME_RINVOPTPARSTREAM`].
pub const ESME_RINVTLVSTREAM: u32 = ESME_RINVOPTPARSTREAM;
/// SMPP 5.0's name for [`ESME_ROPTPARNOTALLWD`].
pub const ESME_RTLVNOTALLWD: u32 = ESME_ROPTPARNOTALLWD;
/// SMPP 5.0's name for [`ESME_RINVPARLEN`].
pub const ESME_RINVTLVLEN: u32 = ESME_RINVPARLEN;
/// SMPP 5.0's name for [`ESME_RMISSINGOPTPARAM`].
pub const ESME_RMISSINGTLV: u32 = ESME_RMISSINGOPTPARAM;
/// SMPP 5.0's name for [`ESME_RINVOPTPARAMVAL`].
pub const ESME_RINVTLVVAL: u32 = ESME_RINVOPTPARAMVAL;

/// The status of this name, in either specification's spelling.
pub fn from_name(name: &str) -> Option<u32> {
    match name {
        "ESME_RINVTLVSTREAM" => Some(ESME_RINVTLVSTREAM),
        "ESME_RTLVNOTALLWD" => Some(ESME_RTLVNOTALLWD),
        "ESME_RINVTLVLEN" => Some(ESME_RINVTLVLEN),
        "ESME_RMISSINGTLV" => Some(ESME_RMISSINGTLV),
        "ESME_RINVTLVVAL" => Some(ESME_RINVTLVVAL),
        _ => ALL
            .iter()
            .find_map(|(value, known, _)| (*known == name).then_some(*value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_both_ways() {
        for (value, known, _) in ALL {
            assert_eq!(name(*value), *known);
            assert_eq!(from_name(known), Some(*value));
        }
        assert!(ALL.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(from_name("ESME_RINVTLVVAL"), Some(0xC4));
        assert_eq!(from_name("ESME_RNOTHING"), None);
        assert_eq!(name(0x400), "vendor-specific");
        assert_eq!(name(0x09), "reserved");
    }
}
