//! An independent reader: tshark finds nothing malformed in any PDU written here, sees the same values in it, and
//! knows the same commands, statuses and tags by number.

mod samples;

use std::path::{Path, PathBuf};
use std::process::Command;

use tollwire_smpp::pdu::DataSm;
use tollwire_smpp::{Pdu, command, encode, status, tlv};

/// A capture file of raw IPv4 packets: one TCP segment per PDU, from port 50000 to 2775.
fn capture(pdus: &[Vec<u8>]) -> Vec<u8> {
    const LINKTYPE_RAW: u32 = 101;
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, LINKTYPE_RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    let mut sequence_number = 1_u32;
    for (at, pdu) in pdus.iter().enumerate() {
        let packet = tcp_packet(sequence_number, pdu);
        sequence_number += u32::try_from(pdu.len()).unwrap();
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
    packet.extend(2_775_u16.to_be_bytes());
    packet.extend(sequence_number.to_be_bytes());
    // Acknowledgement; header of five words, PSH and ACK; window, checksum, urgent.
    packet.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

struct File(PathBuf);

impl File {
    fn of(name: &str, pdus: &[Vec<u8>]) -> Self {
        let file = format!("tollwire-smpp-{name}-{}.pcap", std::process::id());
        let path = std::env::temp_dir().join(file);
        std::fs::write(&path, capture(pdus)).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(arguments);
    run(command)
}

fn run(mut command: Command) -> String {
    let output = command
        .output()
        .expect("tshark is installed (apt-get install tshark)");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn tshark_finds_every_pdu_well_formed() {
    let samples = samples::all();
    for (command_id, name) in command::ALL {
        assert!(
            samples
                .iter()
                .any(|sample| sample.command_id == *command_id),
            "{name}"
        );
    }
    let pdus: Vec<Vec<u8>> = samples.iter().map(|sample| sample.octets.clone()).collect();
    let file = File::of("samples", &pdus);
    let fields = tshark(
        &file.0,
        &[
            "-T",
            "fields",
            "-e",
            "smpp.command_id",
            "-e",
            "smpp.command_status",
            "-e",
            "smpp.sequence_number",
            "-e",
            "smpp.command_length",
        ],
    );
    let lines: Vec<&str> = fields.lines().collect();
    assert_eq!(lines.len(), samples.len());
    for (sample, line) in samples.iter().zip(lines) {
        // A request's status is no field to tshark.
        let command_status = if command::is_response(sample.command_id) {
            format!("0x{:08x}", sample.command_status)
        } else {
            String::new()
        };
        let expected = format!(
            "0x{:08x}\t{command_status}\t{}\t{}",
            sample.command_id,
            sample.sequence_number,
            sample.octets.len()
        );
        assert_eq!(line, expected, "{}", sample.name);
    }
    let bad = tshark(&file.0, &["-Y", "_ws.malformed", "-V"]);
    assert!(bad.is_empty(), "{bad}");
    let all = tshark(&file.0, &["-V"]);
    for line in all.lines().filter(|line| line.contains("Expert Info (")) {
        assert!(line.contains("Expert Info (Chat"), "{line}");
    }
}

#[test]
fn tshark_sees_the_values_of_a_submit_sm() {
    let sample = samples::all()
        .into_iter()
        .find(|sample| sample.command_id == command::SUBMIT_SM)
        .unwrap();
    let file = File::of("values", &[sample.octets]);
    let text = tshark(&file.0, &["-V"]);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for expected in [
        "Service type: CMT",
        "Originator address: Tollwire",
        "Recipient address: 491701234567",
        "Protocol id.: 0x01",
        "Scheduled delivery time: Mar  1, 2026 12:00:00.000000000 UTC",
        "Validity period: 172800.000000000 seconds",
        "Message length: 4",
        "Message reference: 0x1234",
        "SAR reference number: 9",
        "SAR size: 3",
        "SAR sequence number: 1",
        "Source port: 0x0b84",
        "Billing Identification: 80616263",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{text}");
    }
}

/// "0x00000058  Throttling error", as `tshark -G values` has it.
fn wireshark_values(field: &str) -> Vec<(u32, u32, String)> {
    let mut command = Command::new("tshark");
    command.args(["-G", "values"]);
    let mut values = Vec::new();
    for line in run(command).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |text: &str| {
            let digits = text.strip_prefix("0x")?;
            u32::from_str_radix(digits, 16).ok()
        };
        match columns.as_slice() {
            ["V", name, value, text] if *name == field => {
                let value = number(value).unwrap();
                values.push((value, value, (*text).to_owned()));
            }
            ["R", name, from, to, text] if *name == field => {
                values.push((
                    number(from).unwrap(),
                    number(to).unwrap(),
                    (*text).to_owned(),
                ));
            }
            _ => {}
        }
    }
    assert!(!values.is_empty(), "{field}");
    values
}

#[test]
fn wireshark_knows_the_same_commands() {
    let known = wireshark_values("smpp.command_id");
    for (command_id, name) in command::ALL {
        let (_, _, text) = known
            .iter()
            .find(|(value, _, _)| value == command_id)
            .unwrap();
        let spelled = text.to_ascii_lowercase().replace(" - ", "_");
        assert_eq!(spelled, *name);
    }
    // The four that are left are of SMPP+, a vendor's.
    assert_eq!(known.len(), command::ALL.len() + 4);
}

#[test]
fn wireshark_knows_the_same_statuses() {
    let known = wireshark_values("smpp.command_status");
    let reserved: Vec<u32> = (0..=0x200)
        .filter(|value| status::name(*value) == "reserved")
        .collect();
    for value in 0..=0x112 {
        // It leaves 0x4A to 0x4F out, which are reserved too.
        let text = (known.iter())
            .find(|(from, to, _)| (*from..=*to).contains(&value))
            .map_or("[Reserved]", |(_, _, text)| text);
        let is_reserved = text == "[Reserved]";
        assert_eq!(is_reserved, reserved.contains(&value), "{value:#x} {text}");
    }
    assert_eq!(status::ALL.last().unwrap().0, 0x112);
}

#[test]
fn wireshark_knows_the_same_tags() {
    // A PDU for each, since one it reads wrongly would hide those behind.
    let pdus: Vec<Vec<u8>> = tlv::ALL
        .iter()
        .map(|(tag, _)| {
            let tlvs = samples::tlvs(&[*tag]);
            let data_sm = Pdu::DataSm(DataSm {
                tlvs: tlvs.as_tlvs(),
                ..DataSm::default()
            });
            let mut octets = Vec::new();
            encode(&data_sm, status::ESME_ROK, (*tag).into(), &mut octets).unwrap();
            octets
        })
        .collect();
    let file = File::of("tags", &pdus);
    let text = tshark(&file.0, &["-V"]);
    let seen: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Optional parameter: "))
        .collect();
    for (tag, name) in tlv::ALL {
        // By SMPP 5.0's name there.
        let name = if *tag == tlv::DESTINATION_PORT {
            "dest_port"
        } else {
            name
        };
        let expected = format!("{name} (0x{tag:04x})");
        assert!(seen.contains(&expected.as_str()), "{expected}: {seen:?}");
    }
    assert!(seen.len() >= tlv::ALL.len());
}
