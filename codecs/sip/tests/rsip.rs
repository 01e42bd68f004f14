//! Where another implementation reads a message, it reads the same.

use std::path::Path;

use bytes::Bytes;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use tollwire_sip::Message;

#[test]
fn rsip_agrees_on_what_it_can_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/sip");
    let mut agreed = 0;
    for entry in ["rfc4475", "rfc5118"]
        .into_iter()
        .flat_map(|rfc| std::fs::read_dir(root.join(rfc)).expect("folder"))
    {
        let path = entry.expect("entry").path();
        let octets = std::fs::read(&path).expect("file");
        let Ok(ours) = Message::parse(Bytes::copy_from_slice(&octets)) else {
            continue;
        };
        // rsip does not know compact names, nor folds; those messages say nothing.
        let Ok(theirs) = rsip::SipMessage::try_from(octets.as_slice()) else {
            continue;
        };
        let name = path.display();
        if ours.check().is_err() || theirs.headers().iter().count() != ours.fields().count() {
            continue;
        }
        match &theirs {
            rsip::SipMessage::Request(request) => {
                assert_eq!(request.method.to_string(), ours.method().as_str(), "{name}");
            }
            rsip::SipMessage::Response(response) => {
                assert_eq!(Some(response.status_code.code()), ours.status(), "{name}");
            }
        }
        if let Ok(call_id) = theirs.call_id_header() {
            assert_eq!(call_id.value(), ours.call_id().expect("Call-ID"), "{name}");
        }
        if let Ok(cseq) = theirs.cseq_header().and_then(ToTypedHeader::typed) {
            let own = ours.cseq().expect("CSeq");
            assert_eq!(cseq.seq, own.number, "{name}");
            assert_eq!(cseq.method.to_string(), own.method.as_str(), "{name}");
        }
        if let Ok(from) = theirs.from_header().and_then(ToTypedHeader::typed) {
            let tag = from.tag().map(ToString::to_string);
            assert_eq!(tag.as_deref(), ours.from().expect("From").tag(), "{name}");
        }
        if let Ok(via) = theirs.via_header().and_then(ToTypedHeader::typed) {
            let branch = via.branch().map(ToString::to_string);
            assert_eq!(
                branch.as_deref(),
                ours.via().expect("Via").branch(),
                "{name}"
            );
        }
        assert!(theirs.body().starts_with(ours.body()), "{name}");
        agreed += 1;
    }
    assert!(agreed >= 12, "{agreed} messages compared");
}
