//! An independent reader: tshark finds nothing malformed in any message written here, and sees
//! the same commands, and the dictionary agrees with its XML files.

mod samples;

use std::collections::HashMap;
use std::process::Command;

use tollwire_diameter::dictionary::{self, DataType, VENDOR_3GPP};

const DICTIONARIES: &str = "/usr/share/wireshark/diameter";

/// One TCP segment per message, from port 50000 to 3868, as a capture file of raw IPv4 packets.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    const LINKTYPE_RAW: u32 = 101;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, LINKTYPE_RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    let mut sequence_number = 1_u32;
    for (at, message) in messages.iter().enumerate() {
        let packet = tcp_packet(sequence_number, message);
        sequence_number += u32::try_from(message.len()).unwrap();
        let length = u32::try_from(packet.len()).unwrap();
        for word in [u32::try_from(at).unwrap(), 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn tcp_packet(sequence_number: u32, payload: &[u8]) -> Vec<u8> {
    let total_length = u16::try_from(40 + payload.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(total_length.to_be_bytes());
    // Identification, flags; time to live 64, protocol 6, checksum not computed.
    packet.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    packet.extend([127, 0, 0, 1, 127, 0, 0, 1]);
    packet.extend(50_000_u16.to_be_bytes());
    packet.extend(3_868_u16.to_be_bytes());
    packet.extend(sequence_number.to_be_bytes());
    // Acknowledgement; header of five words, PSH and ACK; window, checksum, urgent.
    packet.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

fn tshark(file: &std::path::Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(arguments)
        .output()
        .expect("tshark is installed (apt-get install tshark)");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tshark_finds_every_message_well_formed() {
    let samples = samples::all();
    let messages: Vec<Vec<u8>> = samples
        .iter()
        .map(|(_, message)| message.encode().to_vec())
        .collect();
    let file = std::env::temp_dir().join(format!("tollwire-diameter-{}.pcap", std::process::id()));
    std::fs::write(&file, capture(&messages)).unwrap();

    let commands = tshark(
        &file,
        &[
            "-T",
            "fields",
            "-e",
            "diameter.cmd.code",
            "-e",
            "diameter.flags.request",
        ],
    );
    let seen: Vec<&str> = commands.lines().collect();
    assert_eq!(seen.len(), samples.len());
    for ((name, message), line) in samples.iter().zip(seen) {
        let request = u8::from(message.is_request());
        assert_eq!(
            line,
            format!("{}\t{request}", message.command_code),
            "{name}"
        );
    }
    let bad = tshark(
        &file,
        &[
            "-Y",
            "_ws.malformed || diameter.avp.invalid-data || diameter.avp.invalid-len \
             || diameter.avp.pad.non_zero",
            "-V",
        ],
    );
    let all = tshark(&file, &["-V"]);
    std::fs::remove_file(&file).unwrap();
    assert!(bad.is_empty(), "{bad}");
    for line in all.lines().filter(|line| line.contains("Expert Info (")) {
        // Wireshark 4.0 does not know what RFC 8506 added.
        let is_new = ["Unknown AVP 659 ", "Unknown AVP 669 "]
            .iter()
            .any(|avp| line.contains(avp));
        assert!(is_new || line.contains("Expert Info (Chat"), "{line}");
    }
}

fn without_comments(text: &str) -> String {
    text.split("<!--")
        .enumerate()
        .map(|(at, part)| match part.split_once("-->") {
            Some((_, rest)) if at > 0 => rest,
            _ => part,
        })
        .collect()
}

/// Name, type, and whether the M bit must be set.
type Known = (String, String, bool);

/// AVPs of Wireshark's XML files by vendor and code.
fn wireshark_avps() -> HashMap<(Option<u32>, u32), Vec<Known>> {
    let mut avps: HashMap<_, Vec<_>> = HashMap::new();
    for file in [
        "dictionary.xml",
        "chargecontrol.xml",
        "TGPP.xml",
        "nasreq.xml",
    ] {
        let text = std::fs::read_to_string(format!("{DICTIONARIES}/{file}"))
            .expect("libwireshark-data is installed");
        for part in without_comments(&text).split("<avp ").skip(1) {
            let (head, rest) = part.split_once('>').unwrap();
            let body = rest.split("</avp>").next().unwrap();
            let attribute = |name: &str| {
                let after = head.split_once(&format!("{name}=\""))?.1;
                Some(after.split_once('"')?.0.to_owned())
            };
            let vendor = match attribute("vendor-id").as_deref() {
                None | Some("None") => None,
                Some("TGPP") => Some(VENDOR_3GPP),
                Some(_) => continue,
            };
            let (Some(name), Some(code)) = (attribute("name"), attribute("code")) else {
                continue;
            };
            let Ok(code) = code.parse() else { continue };
            let data_type = if body.contains("<grouped>") {
                "Grouped".to_owned()
            } else {
                body.split_once("type-name=\"")
                    .and_then(|(_, rest)| rest.split_once('"'))
                    .map_or_else(String::new, |(name, _)| name.to_owned())
            };
            let mandatory = attribute("mandatory").as_deref() == Some("must");
            avps.entry((vendor, code))
                .or_default()
                .push((name, data_type, mandatory));
        }
    }
    avps
}

#[test]
fn the_dictionary_agrees_with_wiresharks() {
    // Wireshark 4.0 does not know the AVPs that RFC 8506 added behind 658; and it differs from the RFCs and from TS 32.299 in the types and names of these.
    let different = [
        (
            "Framed-IP-Address",
            "an octet string of four, RFC 7155 4.4.10.5.1",
        ),
        (
            "Acct-Multi-Session-Id",
            "named Accounting-Multi-Session-Id there",
        ),
        ("Result-Code", "Unsigned32, RFC 6733 4.5"),
        ("Experimental-Result-Code", "Unsigned32, RFC 6733 4.5"),
        ("Inband-Security-Id", "Unsigned32, RFC 6733 4.5"),
        ("Authorization-Lifetime", "Unsigned32, RFC 6733 4.5"),
        ("From-Address", "UTF8String, TS 32.299 7.2"),
        ("Access-Network-Information", "OctetString, TS 32.299 7.2"),
    ];
    let wireshark = wireshark_avps();
    let mut compared = 0;
    for definition in dictionary::all() {
        if different.iter().any(|(name, _)| *name == definition.name) {
            continue;
        }
        let Some(known) = wireshark.get(&(definition.vendor_id, definition.code)) else {
            let new_in_rfc_8506 = (659..=669).contains(&definition.code);
            assert!(
                definition.vendor_id.is_none() && new_in_rfc_8506,
                "{} is in no dictionary",
                definition.name
            );
            continue;
        };
        let agrees = known.iter().any(|(name, data_type, mandatory)| {
            name == definition.name
                && names_of(definition.data_type).contains(&data_type.as_str())
                && *mandatory == definition.mandatory
        });
        assert!(agrees, "{definition:?} against {known:?}");
        compared += 1;
    }
    assert!(compared > 250, "{compared}");
}

/// What Wireshark calls a type.
fn names_of(data_type: DataType) -> &'static [&'static str] {
    match data_type {
        DataType::OctetString => &["OctetString", "OctetStringOrUTF8", ""],
        DataType::Integer32 => &["Integer32"],
        DataType::Integer64 => &["Integer64"],
        DataType::Unsigned32 => &["Unsigned32", "AppId", "VendorId"],
        DataType::Unsigned64 => &["Unsigned64"],
        DataType::Grouped => &["Grouped"],
        DataType::Address => &["IPAddress"],
        DataType::Time => &["Time"],
        DataType::Utf8String => &["UTF8String"],
        DataType::DiameterIdentity => &["DiameterIdentity"],
        DataType::DiameterUri => &["DiameterURI"],
        DataType::Enumerated => &["Enumerated"],
        DataType::IpFilterRule => &["IPFilterRule"],
    }
}
