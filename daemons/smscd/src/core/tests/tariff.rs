use iso_currency::Currency;
use tollwire_smpp::tariff::{Advice, DEFAULT_TAG, Format, Payer, Price, write};

use super::sim::{Got, Sim, Submit, euros, settings};
use crate::effect::Reply;
use crate::event::{Event, LinkId, Operation};
use crate::message::Charge;
use crate::settings::{Charging, OnBadTariff, Settings, TariffOnNextHop};
use crate::tariff::{TariffClass, TariffTable};
use crate::wire::{command, status};

fn native(price: Price, payer: Payer) -> Vec<u8> {
    write(&Advice { price, payer })
}

fn cents(amount: i64, payer: Payer) -> Vec<u8> {
    let price = Price::Direct {
        amount_micro: amount * 10_000,
        currency: *b"EUR",
    };
    native(price, payer)
}

fn priced(tlvs: &[Vec<u8>]) -> Submit {
    let mut submit = Submit::new("491", "x");
    submit.tlvs = tlvs
        .iter()
        .map(|value| (DEFAULT_TAG, value.clone()))
        .collect();
    submit
}

fn table(amount_micro: i64) -> TariffTable {
    TariffTable::new(vec![TariffClass {
        number: 7,
        amount_micro,
        currency: Currency::EUR,
        description: "".into(),
        valid_from: None,
    }])
    .unwrap()
}

/// "app" sends tariffs, "other" does not.
fn tariffs() -> Settings {
    let mut settings = settings();
    settings.esmes[0].tariff_tag = Some(DEFAULT_TAG);
    settings.routes[0].default_charge = Some(euros(50_000));
    settings.tariffs = table(100_000);
    settings
}

/// Submits and delivers; what arrived, and the charge in the record.
fn through(sim: &mut Sim, app: LinkId, phone: LinkId, submit: &Submit) -> (Got, Option<Charge>) {
    let id = sim.submit(app, submit).unwrap();
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    (got, sim.records[&id].message.charge.clone())
}

#[test]
fn the_record_carries_exactly_the_tariff_of_the_message() {
    let mut sim = Sim::new(tariffs());
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    let advertiser = || Payer::ThirdParty("advertiser".into());
    let value = cents(19, advertiser());
    let (got, charge) = through(&mut sim, app, phone, &priced(std::slice::from_ref(&value)));
    assert_eq!(got.tlvs, [(DEFAULT_TAG, value)], "as it came");
    let expected = |amount_micro, class, payer| {
        Some(Charge {
            amount_micro,
            currency: *b"EUR",
            class,
            payer,
        })
    };
    assert_eq!(charge, expected(190_000, None, advertiser()));
    let class = native(Price::Class(7), Payer::Sender);
    let (_, charge) = through(&mut sim, app, phone, &priced(std::slice::from_ref(&class)));
    assert_eq!(charge, expected(100_000, Some(7), Payer::Sender));
    // The class has another price from now on.
    let mut changed = tariffs();
    changed.tariffs = table(250_000);
    sim.event(Event::Reloaded(Box::new(changed)));
    let (_, charge) = through(&mut sim, app, phone, &priced(&[class]));
    assert_eq!(charge, expected(250_000, Some(7), Payer::Sender));
    let (got, charge) = through(&mut sim, app, phone, &priced(&[]));
    assert_eq!((got.tlvs, charge), (vec![], Some(euros(50_000))));
    let free = cents(0, Payer::Receiver);
    let (_, charge) = through(&mut sim, app, phone, &priced(&[free]));
    assert_eq!(charge, Some(euros(0)));
}

#[test]
fn what_cannot_be_read_is_refused_or_carried_without_a_price() {
    let mut sim = Sim::new(tariffs());
    let app = sim.transceiver("app");
    let invalid = Err(status::ESME_RINVOPTPARAMVAL);
    let good = cents(1, Payer::Receiver);
    let unknown = native(Price::Class(8), Payer::Receiver);
    for tlvs in [
        vec![vec![0x7F, 0]],
        vec![unknown.clone()],
        vec![good.clone(), good.clone()],
    ] {
        assert_eq!(sim.submit(app, &priced(&tlvs)), invalid);
    }
    assert!(sim.disk.is_empty());
    let mut carry = tariffs();
    carry.esmes[0].on_bad_tariff = OnBadTariff::Carry;
    let mut sim = Sim::new(carry);
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    for tlvs in [vec![vec![0x7F, 0]], vec![unknown], vec![good.clone(), good]] {
        let (got, charge) = through(&mut sim, app, phone, &priced(&tlvs));
        assert_eq!(charge, None);
        let mut arrived: Vec<_> = got.tlvs.into_iter().map(|(_, value)| value).collect();
        arrived.sort();
        assert_eq!(arrived, tlvs);
    }
    assert_eq!(sim.core.counters().bad_tariffs, 3);
}

#[test]
fn who_may_not_be_named_to_pay_is_not_charged() {
    let advertiser = cents(1, Payer::ThirdParty("advertiser".into()));
    let rival = cents(1, Payer::ThirdParty("rival".into()));
    let disguised = cents(1, Payer::ThirdParty("sender".into()));
    let sender = cents(1, Payer::Sender);
    let receiver = cents(1, Payer::Receiver);
    let invalid = Err(status::ESME_RINVOPTPARAMVAL);
    for on_bad_tariff in [OnBadTariff::Refuse, OnBadTariff::Carry] {
        let mut settings = tariffs();
        settings.esmes[0].on_bad_tariff = on_bad_tariff;
        settings.esmes[0].allowed_payers = vec!["sender".into(), "advertiser".into()];
        let mut sim = Sim::new(settings);
        let app = sim.transceiver("app");
        for tariff in [&rival, &receiver, &disguised] {
            assert_eq!(
                sim.submit(app, &priced(std::slice::from_ref(tariff))),
                invalid
            );
        }
        assert!(sim.disk.is_empty());
        let phone = sim.transceiver("phone");
        for tariff in [&advertiser, &sender] {
            let (_, charge) = through(&mut sim, app, phone, &priced(std::slice::from_ref(tariff)));
            assert_eq!(charge.map(|charge| charge.amount_micro), Some(10_000));
        }
    }
    // Without a word of the operator, accounts are nobody's to name.
    assert_eq!(
        crate::settings::EsmeSettings::default().allowed_payers,
        ["receiver".into(), "sender".into()]
    );
}

#[test]
fn an_esme_without_tariffs_has_its_tlvs_carried_and_nothing_read() {
    let mut sim = Sim::new(tariffs());
    let other = sim.transceiver("other");
    let phone = sim.transceiver("phone");
    let (got, charge) = through(&mut sim, other, phone, &priced(&[vec![0x7F]]));
    assert_eq!(got.tlvs, [(DEFAULT_TAG, vec![0x7F])]);
    assert_eq!(charge, Some(euros(50_000)));
}

#[test]
fn the_next_hop_sees_what_the_route_says() {
    for (on_next_hop, expected) in [
        (
            TariffOnNextHop::Unchanged,
            Some(native(Price::Class(7), Payer::Sender)),
        ),
        (TariffOnNextHop::Resolved, Some(cents(10, Payer::Sender))),
        (TariffOnNextHop::Removed, None),
    ] {
        let mut settings = tariffs();
        settings.routes[0].tariff_on_next_hop = on_next_hop;
        let mut sim = Sim::new(settings);
        let app = sim.transceiver("app");
        let phone = sim.transceiver("phone");
        let class = native(Price::Class(7), Payer::Sender);
        let (got, _) = through(&mut sim, app, phone, &priced(&[class]));
        let expected: Vec<_> = expected
            .into_iter()
            .map(|value| (DEFAULT_TAG, value))
            .collect();
        assert_eq!(got.tlvs, expected);
        let (got, _) = through(&mut sim, app, phone, &priced(&[]));
        assert_eq!(
            got.tlvs.len(),
            usize::from(on_next_hop == TariffOnNextHop::Resolved)
        );
    }
}

#[test]
fn formats_of_other_operators() {
    let mut settings = tariffs();
    settings.esmes[0].tariff_tag = Some(0x1403);
    settings.esmes[0].tariff_format = Format::AsciiPrice {
        currency: *b"EUR",
        exponent: 2,
        payer: Payer::Receiver,
    };
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    let mut submit = Submit::new("491", "x");
    submit.tlvs = vec![(0x1403, b"25\0".to_vec())];
    let (_, charge) = through(&mut sim, app, phone, &submit);
    assert_eq!(charge, Some(euros(250_000)));
}

#[test]
fn who_pays_is_asked_for_the_money() {
    let mut settings = tariffs();
    settings.routes[0].charging = Charging::Online;
    settings.esmes[0].account = Some("shop".into());
    settings.esmes[1].tariff_tag = Some(DEFAULT_TAG);
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    sim.transceiver("phone");
    for (link, payer, expected) in [
        (app, Payer::Receiver, "491"),
        (app, Payer::Sender, "shop"),
        (other, Payer::Sender, "1000"),
        (other, Payer::ThirdParty("advertiser".into()), "advertiser"),
    ] {
        let mut submit = priced(&[cents(5, payer)]);
        submit.destination = "491".into();
        sim.request(link, command::SUBMIT_SM, submit.body());
        sim.sync(usize::MAX);
        let request = sim.credit_queue.front().unwrap();
        assert_eq!((&*request.payer, request.amount_micro), (expected, 50_000));
        // Refused, so that the next one to the same number may go.
        sim.credit.refuse = Some(4012);
        sim.settle();
        sim.credit.refuse = None;
    }
}

#[test]
fn the_operator_sees_which_price_counts() {
    let class = |amount_micro, from: Option<i64>| TariffClass {
        number: 7,
        amount_micro,
        currency: Currency::EUR,
        description: "news".into(),
        valid_from: from.map(|ms| jiff::Timestamp::from_millisecond(ms).unwrap()),
    };
    let mut settings = tariffs();
    settings.tariffs = TariffTable::new(vec![
        class(3, Some(super::sim::START + 1000)),
        class(1, None),
        class(2, Some(super::sim::START)),
    ])
    .unwrap();
    let mut sim = Sim::new(settings);
    let counting = |sim: &mut Sim| -> Vec<(i64, bool)> {
        let Ok(Reply::Classes(classes)) = sim.operate(Operation::ListTariffClasses) else {
            panic!();
        };
        classes
            .iter()
            .map(|view| (view.class.amount_micro, view.in_force))
            .collect()
    };
    assert_eq!(counting(&mut sim), [(1, false), (2, true), (3, false)]);
    sim.pass(1000);
    assert_eq!(counting(&mut sim), [(1, false), (2, false), (3, true)]);
}
