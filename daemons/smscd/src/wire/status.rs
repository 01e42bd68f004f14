//! `command_status` values in use here, SMPP 3.4 table 5-2.

/// Done.
pub const ESME_ROK: u32 = 0x0000_0000;
/// Message length is invalid.
pub const ESME_RINVMSGLEN: u32 = 0x0000_0001;
/// Command length is invalid.
pub const ESME_RINVCMDLEN: u32 = 0x0000_0002;
/// Command id is invalid.
pub const ESME_RINVCMDID: u32 = 0x0000_0003;
/// Not in this bind state.
pub const ESME_RINVBNDSTS: u32 = 0x0000_0004;
/// Already bound.
pub const ESME_RALYBND: u32 = 0x0000_0005;
/// Invalid priority flag.
pub const ESME_RINVPRTFLG: u32 = 0x0000_0006;
/// Invalid registered delivery flag.
pub const ESME_RINVREGDLVFLG: u32 = 0x0000_0007;
/// System error.
pub const ESME_RSYSERR: u32 = 0x0000_0008;
/// Invalid source address.
pub const ESME_RINVSRCADR: u32 = 0x0000_000A;
/// Invalid destination address.
pub const ESME_RINVDSTADR: u32 = 0x0000_000B;
/// Message id is invalid.
pub const ESME_RINVMSGID: u32 = 0x0000_000C;
/// Bind failed.
pub const ESME_RBINDFAIL: u32 = 0x0000_000D;
/// Invalid password.
pub const ESME_RINVPASWD: u32 = 0x0000_000E;
/// `cancel_sm` failed.
pub const ESME_RCANCELFAIL: u32 = 0x0000_0011;
/// `replace_sm` failed.
pub const ESME_RREPLACEFAIL: u32 = 0x0000_0013;
/// Message queue full.
pub const ESME_RMSGQFUL: u32 = 0x0000_0014;
/// Invalid service type.
pub const ESME_RINVSERTYP: u32 = 0x0000_0015;
/// Invalid number of destinations.
pub const ESME_RINVNUMDESTS: u32 = 0x0000_0033;
/// Distribution list name is invalid.
pub const ESME_RINVDLNAME: u32 = 0x0000_0034;
/// Destination flag is invalid.
pub const ESME_RINVDESTFLAG: u32 = 0x0000_0040;
/// Invalid `replace_if_present_flag`.
pub const ESME_RINVREPFLAG: u32 = 0x0000_0042;
/// Invalid `esm_class`.
pub const ESME_RINVESMCLASS: u32 = 0x0000_0043;
/// `submit_sm` failed.
pub const ESME_RSUBMITFAIL: u32 = 0x0000_0045;
/// Throttled.
pub const ESME_RTHROTTLED: u32 = 0x0000_0058;
/// Invalid scheduled delivery time.
pub const ESME_RINVSCHED: u32 = 0x0000_0061;
/// Invalid validity period.
pub const ESME_RINVEXPIRY: u32 = 0x0000_0062;
/// Predefined message is invalid or not found.
pub const ESME_RINVDFTMSGID: u32 = 0x0000_0063;
/// Receiver temporary application error.
pub const ESME_RX_T_APPN: u32 = 0x0000_0064;
/// Receiver permanent application error.
pub const ESME_RX_P_APPN: u32 = 0x0000_0065;
/// Receiver reject message error.
pub const ESME_RX_R_APPN: u32 = 0x0000_0066;
/// `query_sm` failed.
pub const ESME_RQUERYFAIL: u32 = 0x0000_0067;
/// Error in the optional part of the PDU.
pub const ESME_RINVOPTPARSTREAM: u32 = 0x0000_00C0;
/// Optional parameter not allowed.
pub const ESME_ROPTPARNOTALLWD: u32 = 0x0000_00C1;
/// Expected optional parameter missing.
pub const ESME_RMISSINGOPTPARAM: u32 = 0x0000_00C3;
/// Invalid optional parameter value.
pub const ESME_RINVOPTPARAMVAL: u32 = 0x0000_00C4;
/// Delivery failure, for `data_sm_resp`.
pub const ESME_RDELIVERYFAILURE: u32 = 0x0000_00FE;
/// Unknown error.
pub const ESME_RUNKNOWNERR: u32 = 0x0000_00FF;

/// The name of a status, `unknown` if it has none here.
pub fn name(status: u32) -> &'static str {
    match status {
        ESME_ROK => "ESME_ROK",
        ESME_RINVMSGLEN => "ESME_RINVMSGLEN",
        ESME_RINVCMDLEN => "ESME_RINVCMDLEN",
        ESME_RINVCMDID => "ESME_RINVCMDID",
        ESME_RINVBNDSTS => "ESME_RINVBNDSTS",
        ESME_RALYBND => "ESME_RALYBND",
        ESME_RINVPRTFLG => "ESME_RINVPRTFLG",
        ESME_RINVREGDLVFLG => "ESME_RINVREGDLVFLG",
        ESME_RSYSERR => "ESME_RSYSERR",
        ESME_RINVSRCADR => "ESME_RINVSRCADR",
        ESME_RINVDSTADR => "ESME_RINVDSTADR",
        ESME_RINVMSGID => "ESME_RINVMSGID",
        ESME_RBINDFAIL => "ESME_RBINDFAIL",
        ESME_RINVPASWD => "ESME_RINVPASWD",
        ESME_RCANCELFAIL => "ESME_RCANCELFAIL",
        ESME_RREPLACEFAIL => "ESME_RREPLACEFAIL",
        ESME_RMSGQFUL => "ESME_RMSGQFUL",
        ESME_RINVSERTYP => "ESME_RINVSERTYP",
        ESME_RINVNUMDESTS => "ESME_RINVNUMDESTS",
        ESME_RINVDLNAME => "ESME_RINVDLNAME",
        ESME_RINVDESTFLAG => "ESME_RINVDESTFLAG",
        ESME_RINVREPFLAG => "ESME_RINVREPFLAG",
        ESME_RINVESMCLASS => "ESME_RINVESMCLASS",
        ESME_RSUBMITFAIL => "ESME_RSUBMITFAIL",
        ESME_RTHROTTLED => "ESME_RTHROTTLED",
        ESME_RINVSCHED => "ESME_RINVSCHED",
        ESME_RINVEXPIRY => "ESME_RINVEXPIRY",
        ESME_RINVDFTMSGID => "ESME_RINVDFTMSGID",
        ESME_RX_T_APPN => "ESME_RX_T_APPN",
        ESME_RX_P_APPN => "ESME_RX_P_APPN",
        ESME_RX_R_APPN => "ESME_RX_R_APPN",
        ESME_RQUERYFAIL => "ESME_RQUERYFAIL",
        ESME_RINVOPTPARSTREAM => "ESME_RINVOPTPARSTREAM",
        ESME_ROPTPARNOTALLWD => "ESME_ROPTPARNOTALLWD",
        ESME_RMISSINGOPTPARAM => "ESME_RMISSINGOPTPARAM",
        ESME_RINVOPTPARAMVAL => "ESME_RINVOPTPARAMVAL",
        ESME_RDELIVERYFAILURE => "ESME_RDELIVERYFAILURE",
        ESME_RUNKNOWNERR => "ESME_RUNKNOWNERR",
        _ => "unknown",
    }
}
