//! A thousand customers at once, over HTTPS, on whatever cores there are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tollwire_harness::shop::customer::Customer;
use tollwire_harness::shop::market::{Market, NAMES, Setup, song};
use tollwire_harness::wait::{PATIENCE, wait_until};
use tollwire_harness::web::visitor::Visitor;
use url::Url;

const CUSTOMERS: usize = 1_000;
const PRICE: i64 = 2_500_000;

/// CPU seconds that a process has used.
fn cpu_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .map_or("", |it| it.1)
        .split(' ')
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|it| it.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Where the goods are: he looks again as the page does, if a little more often.
fn goods(customer: &mut Customer, order: &Url) -> Url {
    for _ in 0..600 {
        if let Some(goods) = customer.goods(order) {
            return goods;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("{order} is not paid");
}

#[test]
fn a_thousand_customers_at_once() {
    let market = Market::open(Setup {
        limits: false,
        ..Setup::default()
    });
    let bank = &market.banks["bank.example"];
    for account in 0..CUSTOMERS {
        let name = format!("c{account}");
        market.make_account(&name, "EUR", PRICE);
        bank.add_customer(&name, "prepaid", &name, "4711");
    }
    let key = bank.thumbprint();
    let daemons = || {
        let ids = [
            market.charging.id(),
            bank.daemon.id(),
            market.shops["shop.example"].id(),
        ];
        ids.map(|id| cpu_seconds(id.unwrap_or_default()))
    };
    let before = daemons();
    let (times, bought) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let begun = Instant::now();
    market.customer_host(0).within(|| {
        std::thread::scope(|scope| {
            for number in 0..CUSTOMERS {
                let (market, key, times, bought) = (&market, &key, &times, &bought);
                let buyer = std::thread::Builder::new().stack_size(512 << 10);
                let buy = move || {
                    let mut visitor = Visitor::here(&market.internet, &NAMES);
                    visitor.patience = Duration::from_secs(300);
                    let mut customer = Customer::new(visitor);
                    let account = format!("c{number}");
                    let own = Instant::now();
                    let fields = [("account", account.as_str()), ("pin", "4711")];
                    let billed = customer.bill("shop.example", "song", key);
                    let paid = customer.pay(&billed, &fields).expect(303);
                    let _ = customer.visitor.follow(paid).expect(200);
                    let goods = goods(&mut customer, &billed.order);
                    let octets = customer.visitor.get(goods).expect(200).body;
                    assert!(octets == song(), "other octets");
                    times.lock().expect("no panic").push(own.elapsed());
                    bought.fetch_add(1, Ordering::Relaxed);
                };
                buyer.spawn_scoped(scope, buy).expect("a thread");
            }
        });
    });
    let took = begun.elapsed().as_secs_f64();
    let after = daemons();
    assert_eq!(bought.into_inner(), CUSTOMERS);
    wait_until("all to be settled", PATIENCE * 3, || {
        bank.payments()
            .iter()
            .all(|payment| payment["state"] == "acknowledged")
    });
    assert_eq!(bank.payments().len(), CUSTOMERS);
    for account in 0..CUSTOMERS {
        assert_eq!(
            market.balance(&format!("c{account}")),
            0,
            "account {account}"
        );
    }
    wait_until("all to be delivered", PATIENCE * 3, || {
        let orders = market.orders("shop.example");
        orders.len() == CUSTOMERS && orders.iter().all(|order| order["state"] == "delivered")
    });
    let mut times = times.into_inner().expect("no panic");
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64();
    println!(
        "{CUSTOMERS} customers at once: {:.0} orders/s, p50 {:.1} s, p99 {:.1} s from the first page to the last octet; \
         CPU chargingd {:.1} s, billd {:.1} s, shopd {:.1} s",
        CUSTOMERS as f64 / took,
        at(50),
        at(99),
        after[0] - before[0],
        after[1] - before[1],
        after[2] - before[2],
    );
}
