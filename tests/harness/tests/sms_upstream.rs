//! smscd as a client: it binds to another SMSC (smpplib here), shares messages over its binds, and takes
//! the other's receipts for its own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tollwire_harness::sms::peer::{LinkNumber, Pdu, Peer};
use tollwire_harness::sms::scene::{
    PHONE, SOURCE, Setup, SmsScene, esme, message, receipt_field, route, upstream,
};
use tollwire_harness::sms::tariff::direct_price;
use tollwire_harness::sms::wire::status;
use tollwire_harness::wait::{PATIENCE, wait_until};

const UPSTREAM_PORT: u16 = 3775;

struct Stage {
    scene: SmsScene,
    upstream: Peer,
    application: LinkNumber,
    address: SocketAddr,
}

impl Stage {
    /// smscd with `binds` to a peer on host b, which listens already.
    fn new(binds: u32, more: &str) -> Self {
        let mut scene = SmsScene::prepare(Setup::default());
        let address = SocketAddr::new(scene.net.b().ip, UPSTREAM_PORT);
        scene.set_routes(
            &upstream("other", address, &format!("binds = {binds}\n{more}")),
            &(route("abroad", "49", "upstreams = [\"other\"]", "")
                + &route("home", SOURCE, "receivers = [\"application\"]", "")),
        );
        let mut upstream = Peer::start(scene.net.b(), &scene.scratch, "upstream");
        upstream.listen(address);
        scene.start();
        let server = scene.server();
        let application = scene
            .application
            .must_bind(server, "transceiver", "application");
        Self {
            scene,
            upstream,
            application,
            address,
        }
    }

    fn submit(&mut self, text: &str, tlvs: &[(u16, &str)]) -> String {
        let mut fields = message(PHONE, text);
        fields["registered_delivery"] = json!(1);
        self.scene
            .application
            .submit(self.application, &fields, tlvs)
    }

    /// The upstream says what became of a message that it took.
    fn report(&mut self, link: LinkNumber, id: &str, stat: &str, error: &str) -> Pdu {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:{stat} \
             err:{error} text:"
        );
        let fields = json!({
            "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": PHONE,
            "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": SOURCE,
            "esm_class": 4, "short_message": hex::encode(text),
        });
        self.upstream.request(link, "deliver_sm", &fields, &[])
    }

    fn receipt(&mut self) -> String {
        let receipt = self
            .scene
            .application
            .expect_pdu(self.application, "deliver_sm");
        receipt.short_message_text()
    }
}

#[test]
fn the_upstreams_receipt_ends_the_message_and_makes_the_record() {
    let mut stage = Stage::new(1, "");
    let bind = stage.upstream.expect_pdu_anywhere("bind_transceiver");
    assert_eq!(bind.text("system_id"), "tollwire");
    let tariff = direct_price(50_000, "EUR");
    let vendor = [(SmsScene::TARIFF_TAG, tariff.as_str()), (0x1777, "beef")];
    let id = stage.submit("far away", &vendor);
    let taken = stage.upstream.expect_pdu(bind.link, "submit_sm");
    assert_eq!(taken.short_message_text(), "far away");
    assert_eq!(taken.tlv(SmsScene::TARIFF_TAG), Some(tariff.as_str()));
    assert_eq!(taken.tlv(0x1777), Some("beef"));
    assert_eq!(taken.number("registered_delivery") & 1, 1);
    // Taken is not delivered: there is no record yet.
    let query = json!({"message_id": id, "source_addr_ton": 1, "source_addr_npi": 1,
        "source_addr": SOURCE});
    let answer = stage
        .scene
        .application
        .request(stage.application, "query_sm", &query, &[]);
    assert_eq!(answer.number("message_state"), 1, "ENROUTE");
    assert_eq!(stage.scene.records().len(), 0);

    let answer = stage.report(bind.link, "upstream-1", "DELIVRD", "000");
    assert_eq!(answer.status, 0);
    let text = stage.receipt();
    assert_eq!(receipt_field(&text, "id"), id, "our own id");
    assert_eq!(receipt_field(&text, "stat"), "DELIVRD");
    let record = stage.scene.wait_for_records(1).remove(0);
    assert_eq!(record.text("message_id"), id);
    assert_eq!(record.text("next_hop"), "other");
    assert_eq!(record.number("amount_micro"), 50_000);

    // And one that fails there costs nothing here.
    let id = stage.submit("nobody there", &vendor);
    stage.upstream.expect_pdu(bind.link, "submit_sm");
    stage.report(bind.link, "upstream-2", "UNDELIV", "027");
    let text = stage.receipt();
    assert_eq!(receipt_field(&text, "id"), id);
    assert_eq!(receipt_field(&text, "stat"), "UNDELIV");
    let record = stage.scene.wait_for_records(2).remove(1);
    assert_eq!(record.text("message_id"), id);
    assert_eq!(SmsScene::price_of(&record), None);
}

/// Over TLS it binds to itself: what the application sends goes out through the bridge and comes in again.
#[test]
fn an_upstream_may_be_reached_over_tls_and_must_be_who_it_says() {
    let tls = |name: &str| {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 3550);
        let more =
            format!("tls_authorities = \"@FOLDER@/certificate.pem\"\ntls_name = \"{name}\"\n");
        upstream("bridge", address, &more)
    };
    let routes = route(
        "out",
        "4917",
        "upstreams = [\"bridge\"]",
        "source_esmes = [\"application\"]\n",
    ) + &route(
        "in",
        "4917",
        "receivers = [\"phone\"]",
        "source_esmes = [\"tollwire\"]\n",
    );
    for (name, is_right) in [
        ("smscd.tollwire.example", true),
        ("smscd.elsewhere.example", false),
    ] {
        let mut scene = SmsScene::new(Setup {
            esmes: esme("application", "") + &esme("phone", "") + &esme("tollwire", ""),
            upstreams: tls(name),
            routes: routes.clone(),
            tls: true,
            ..Setup::default()
        });
        let server = scene.server();
        let application = scene
            .application
            .must_bind(server, "transmitter", "application");
        let phone = scene.phone.must_bind(server, "receiver", "phone");
        scene
            .application
            .submit(application, &message(PHONE, "through the bridge"), &[]);
        if is_right {
            let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
            assert_eq!(delivered.short_message_text(), "through the bridge");
            scene.wait_for_records(2);
        } else {
            wait_until("the wrong certificate to be refused", PATIENCE, || {
                scene
                    .daemons
                    .log("smscd")
                    .contains("an upstream cannot be reached")
            });
            assert_eq!(scene.queued(), 1);
        }
    }
}

#[test]
fn messages_are_shared_over_the_binds_and_wait_while_all_are_gone() {
    let mut stage = Stage::new(3, "");
    let links: Vec<LinkNumber> = (0..3)
        .map(|_| stage.upstream.expect_pdu_anywhere("bind_transceiver").link)
        .collect();
    for number in 0..30 {
        let mut fields = message(&format!("49177{number:04}"), "shared");
        fields["registered_delivery"] = json!(0);
        stage
            .scene
            .application
            .submit(stage.application, &fields, &[]);
    }
    let mut used = BTreeSet::new();
    for _ in 0..30 {
        used.insert(stage.upstream.expect_pdu_anywhere("submit_sm").link);
    }
    assert_eq!(
        used,
        links.iter().copied().collect(),
        "every bind has a share"
    );

    // The upstream goes away; messages are still accepted, and go out when it is back.
    drop(std::mem::replace(
        &mut stage.upstream,
        Peer::start(stage.scene.net.a(), &stage.scene.scratch, "nobody"),
    ));
    let id = stage.submit("patience", &[]);
    let mut back = Peer::start(stage.scene.net.b(), &stage.scene.scratch, "back");
    back.listen(stage.address);
    let taken = back.expect_pdu_anywhere("submit_sm");
    assert_eq!(taken.short_message_text(), "patience");
    stage.upstream = back;
    stage.report(taken.link, "upstream-1", "DELIVRD", "000");
    assert_eq!(receipt_field(&stage.receipt(), "id"), id);
}

#[test]
fn what_the_upstream_refuses_is_tried_again_or_not_by_its_status() {
    let mut stage = Stage::new(1, "");
    let bind = stage.upstream.expect_pdu_anywhere("bind_transceiver");
    let busy = [status::ESME_RTHROTTLED, status::ESME_RMSGQFUL];
    stage
        .upstream
        .answer_with("submit_sm", json!(busy.map(u64::from)));
    let id = stage.submit("third time lucky", &[]);
    for _ in 0..3 {
        let taken = stage.upstream.expect_pdu(bind.link, "submit_sm");
        assert_eq!(taken.short_message_text(), "third time lucky");
    }
    stage.report(bind.link, "upstream-1", "DELIVRD", "000");
    let text = stage.receipt();
    assert_eq!(receipt_field(&text, "id"), id);
    assert_eq!(receipt_field(&text, "stat"), "DELIVRD");

    stage
        .upstream
        .answer_with("submit_sm", json!([u64::from(status::ESME_RINVDSTADR)]));
    let id = stage.submit("no such number", &[]);
    stage.upstream.expect_pdu(bind.link, "submit_sm");
    let text = stage.receipt();
    assert_eq!(receipt_field(&text, "id"), id);
    assert!(["UNDELIV", "REJECTD"].contains(&receipt_field(&text, "stat").as_str()));
    let records = stage.scene.wait_for_records(2);
    assert_eq!(SmsScene::price_of(&records[1]), None);
    assert_eq!(
        stage.upstream.unread("submit_sm").len(),
        0,
        "once was enough"
    );
}

#[test]
fn what_comes_from_the_upstream_goes_to_a_receiver_here() {
    let mut stage = Stage::new(1, "");
    let bind = stage.upstream.expect_pdu_anywhere("bind_transceiver");
    let mut fields: Value = message(SOURCE, "from abroad");
    fields["source_addr"] = json!("3312345");
    let vendor = [(0x1777, "cafe")];
    let answer = stage
        .upstream
        .request(bind.link, "deliver_sm", &fields, &vendor);
    assert_eq!(answer.status, 0);
    let delivered = stage
        .scene
        .application
        .expect_pdu(stage.application, "deliver_sm");
    assert_eq!(delivered.text("source_addr"), "3312345");
    assert_eq!(delivered.short_message_text(), "from abroad");
    assert_eq!(delivered.tlv(0x1777), Some("cafe"));
    // The upstream's enquiries are answered, and its unbind is obeyed and followed by a new bind.
    let answer = stage
        .upstream
        .request(bind.link, "enquire_link", &json!({}), &[]);
    assert_eq!(answer.command, "enquire_link_resp");
    stage.upstream.unbind(bind.link);
    stage.upstream.expect_close(bind.link);
    let again = stage.upstream.expect_pdu_anywhere("bind_transceiver");
    assert_ne!(again.link, bind.link);
    wait_until("nothing to be left", PATIENCE, || stage.scene.queued() == 0);
}
