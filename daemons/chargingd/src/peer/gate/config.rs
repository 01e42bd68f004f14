use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;
use tollwire_runtime::config::Invalid;
use tollwire_runtime::diameter::Address;

/// `gate` of a `[[peers.service]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// The limiter between users and provider.
    pub pinholed: Address,
    /// The provider's address and UDP port.
    pub address: SocketAddr,
}

impl GateConfig {
    /// # Errors
    /// Names what is below `key`.
    pub fn validate(&self, key: &str, allow_remote: bool) -> Result<(), Invalid> {
        let ip = self.address.ip().to_canonical();
        let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast {
            let what = "the provider's own address: packets to it pass through the limiter's host";
            return Err(Invalid::new(format!("{key}.address"), what));
        }
        if self.address.port() == 0 {
            let what = "with the UDP port of the service";
            return Err(Invalid::new(format!("{key}.address"), what));
        }
        if matches!(self.pinholed, Address::Tcp(_)) && !self.pinholed.is_local() && !allow_remote {
            let what = "\"unix:/PATH\", or \"tls:IP:PORT\" for a pinholed on another host";
            return Err(Invalid::new(format!("{key}.pinholed"), what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_gated_is_refused_with_its_key() {
        let read = |pinholed: &str, address: &str| {
            let text = format!("pinholed = {pinholed:?}\naddress = {address:?}");
            toml::from_str::<GateConfig>(&text).unwrap()
        };
        let socket = "unix:/run/tollwire/pinholed.sock";
        let wrong = |pinholed: &str, address: &str| {
            let refused = read(pinholed, address).validate("peers.service.gate", false);
            refused.unwrap_err().key
        };
        for address in [
            "127.0.0.1:20000",
            "0.0.0.0:20000",
            "224.0.0.1:20000",
            "192.0.2.1:0",
        ] {
            assert_eq!(wrong(socket, address), "peers.service.gate.address");
        }
        let remote = "192.0.2.9:3868";
        assert_eq!(
            wrong(remote, "192.0.2.1:20000"),
            "peers.service.gate.pinholed"
        );
        let right = read(socket, "192.0.2.1:20000");
        assert!(right.validate("gate", false).is_ok());
        assert!(
            read(remote, "192.0.2.1:20000")
                .validate("gate", true)
                .is_ok()
        );
        let unknown = format!("pinholed = {socket:?}\naddress = \"192.0.2.1:1\"\nport = 1");
        assert!(toml::from_str::<GateConfig>(&unknown).is_err());
    }
}
