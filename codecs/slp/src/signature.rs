//! What is signed under our private Block Structure Descriptor (docs/slp-authentication.md).
//!
//! RFC 2608 9.2.1 signs a URL and an attribute list each by itself: lifetime, service type, scopes and language are
//! anybody's. Here one signature covers all of a message that matters. All of it begins with [`CONTEXT`], the function id,
//! the SPI and the timestamp, so that no signature is good for another kind of message, or under another key.

use tollwire_wire::Writer;

use crate::authentication::AuthenticationBlock;
use crate::error::Unencodable;
use crate::field::write_string;
use crate::header::Function;
use crate::message::{DaAdvert, SaAdvert, SrvDeReg, SrvReg};

/// Ed25519 (RFC 8032) over the whole message, in the range for private use (RFC 2608 15).
pub const ED25519_OVER_ALL: u16 = 0x8001;
/// Octets of its signature.
pub const ED25519_LENGTH: usize = 64;
/// What all signed octets begin with.
pub const CONTEXT: &[u8] = b"Tollwire SLP 1\0";

fn begin(function: Function, spi: &str, timestamp: u32) -> Result<Writer, Unencodable> {
    let mut writer = Writer::with_capacity(256);
    writer.bytes(CONTEXT);
    writer.u8(function as u8);
    write_string(&mut writer, "SLP SPI String", spi)?;
    writer.u32(timestamp);
    Ok(writer)
}

/// What is signed of a registration.
///
/// # Errors
/// A string that no length can say; none of those that were read.
pub fn of_registration(
    spi: &str,
    timestamp: u32,
    language: &str,
    fresh: bool,
    registration: &SrvReg<'_>,
) -> Result<Vec<u8>, Unencodable> {
    let mut writer = begin(Function::SrvReg, spi, timestamp)?;
    writer.u8(u8::from(fresh));
    write_string(&mut writer, "Language Tag", language)?;
    writer.u16(registration.url.lifetime);
    write_string(&mut writer, "URL", registration.url.url)?;
    write_string(&mut writer, "Service Type", registration.service_type)?;
    write_string(&mut writer, "scope-list", registration.scopes)?;
    write_string(&mut writer, "attr-list", registration.attributes)?;
    Ok(writer.into_vec())
}

/// What is signed of a deregistration.
///
/// # Errors
/// As [`of_registration`].
pub fn of_deregistration(
    spi: &str,
    timestamp: u32,
    language: &str,
    deregistration: &SrvDeReg<'_>,
) -> Result<Vec<u8>, Unencodable> {
    let mut writer = begin(Function::SrvDeReg, spi, timestamp)?;
    write_string(&mut writer, "Language Tag", language)?;
    write_string(&mut writer, "URL", deregistration.url.url)?;
    write_string(&mut writer, "scope-list", deregistration.scopes)?;
    write_string(&mut writer, "tag-list", deregistration.tags)?;
    Ok(writer.into_vec())
}

/// What is signed of a directory agent's advert.
///
/// # Errors
/// As [`of_registration`].
pub fn of_directory_agent(
    spi: &str,
    timestamp: u32,
    advert: &DaAdvert<'_>,
) -> Result<Vec<u8>, Unencodable> {
    let mut writer = begin(Function::DaAdvert, spi, timestamp)?;
    writer.u32(advert.boot_timestamp);
    write_string(&mut writer, "URL", advert.url)?;
    write_string(&mut writer, "scope-list", advert.scopes)?;
    write_string(&mut writer, "attr-list", advert.attributes)?;
    write_string(&mut writer, "SLP SPI List", advert.spis)?;
    Ok(writer.into_vec())
}

/// What is signed of a service agent's advert.
///
/// # Errors
/// As [`of_registration`].
pub fn of_service_agent(
    spi: &str,
    timestamp: u32,
    advert: &SaAdvert<'_>,
) -> Result<Vec<u8>, Unencodable> {
    let mut writer = begin(Function::SaAdvert, spi, timestamp)?;
    write_string(&mut writer, "URL", advert.url)?;
    write_string(&mut writer, "scope-list", advert.scopes)?;
    write_string(&mut writer, "attr-list", advert.attributes)?;
    Ok(writer.into_vec())
}

/// The block of a signature.
pub fn block<'a>(spi: &'a str, timestamp: u32, signature: &'a [u8]) -> AuthenticationBlock<'a> {
    AuthenticationBlock {
        block_structure_descriptor: ED25519_OVER_ALL,
        timestamp,
        spi,
        body: signature,
    }
}
