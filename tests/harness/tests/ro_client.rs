//! `chargingd` before a credit-control client that nobody here wrote: python-diameter (PyPI), judged by tshark too.

use tollwire_harness::charging::Charging;
use tollwire_harness::net::Net;
use tollwire_harness::process::{Scratch, run};

#[test]
fn a_session_and_every_kind_of_event() {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let charging = Charging::start(
        &net,
        &scratch,
        "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n",
        "[grants]\nmax_refund_micro = 200000\n",
    );
    let tollctl = |arguments: &[&str]| run(charging.tollctl().args(arguments));
    let identity = "sip:alice@tollwire.example";
    tollctl(&[
        "account",
        "create",
        "alice",
        "--currency",
        "EUR",
        "--identity",
        identity,
    ]);
    tollctl(&["account", "top-up", "alice", "1.00", "--reference", "first"]);

    let capture = charging.capture(&scratch);
    let said = run(&mut charging.client("ro_client.py"));
    let expected = "session 1 2001 60\n\
                    session 2 2001 60\n\
                    session 3 2001 None\n\
                    check-balance 2001 balance=0\n\
                    check-balance 2001 balance=1\n\
                    price-enquiry 2001 cost=250000e-6\n\
                    direct-debiting 2001 cost=400000e-6\n\
                    direct-debiting 2001 cost=400000e-6\n\
                    direct-debiting 4012\n\
                    refund-account 2001 cost=100000e-6\n\
                    refund-account 5003\n\
                    check-balance 2001 balance=0\n";
    assert_eq!(said, expected);
    let shown = tollctl(&["account", "show", "alice"]);
    assert!(
        shown.contains("0.70"),
        "one debit of 0.40, one refund of 0.10: {shown}"
    );
    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    assert_eq!(
        recording.count("diameter.CC-Request-Type == 4 && diameter.flags.request == 0"),
        9
    );
}
