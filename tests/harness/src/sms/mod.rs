//! Short messages: SMPP peers, load, and the scene with `smscd` and `chargingd`.

pub mod kannel;
pub mod load;
pub mod peer;
pub mod raw;
pub mod scene;
pub mod tariff;
pub mod wire;

/// The password of every ESME of a scene (at most eight octets: SMPP 3.4 section 5.2.2).
pub const PASSWORD: &str = "secret08";
