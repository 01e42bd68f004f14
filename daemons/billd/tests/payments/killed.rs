//! `kill -9`, again and again, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::world::{BALANCE, PRICE, World};

const CUSTOMERS: usize = 16;
const EACH: usize = 6;
const KILLS: u32 = 8;

#[tokio::test]
async fn killed_under_load_everybody_pays_once_and_gets_what_he_paid_for() {
    let mut world = World::start("").await;
    let invoices: Vec<(String, String)> = (0..CUSTOMERS * EACH)
        .map(|_| world.shop.invoice(|_| ()))
        .collect();
    let done = Arc::new(AtomicUsize::new(0));
    let mut customers = tokio::task::JoinSet::new();
    for some in invoices.chunks(EACH) {
        let (browser, done, some) = (world.browser.clone(), done.clone(), some.to_vec());
        customers.spawn(async move {
            for (invoice, _) in some {
                // As customers do: the form is sent again until there is a receipt.
                loop {
                    let fields = [
                        ("invoice", invoice.as_str()),
                        ("account", "ada"),
                        ("password", crate::world::SECRET),
                    ];
                    let answer = browser.post("pay", &fields, None).await;
                    match answer {
                        Ok(answer) if answer.status == 303 => break,
                        Ok(answer) => assert!(
                            matches!(answer.status.as_u16(), 429 | 503),
                            "{}: {}",
                            answer.status,
                            answer.text()
                        ),
                        Err(_) => {}
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for kill in 1..=KILLS {
        // When so many more have paid, whenever that is.
        let wanted = kill as usize * CUSTOMERS * EACH / (KILLS as usize + 1);
        crate::world::wait_until("payments", || {
            let done = done.clone();
            async move { done.load(Ordering::Relaxed) >= wanted }
        })
        .await;
        world.kill();
        world.restart().await;
    }
    while let Some(ended) = customers.join_next().await {
        ended.expect("a customer");
    }
    world.settled().await;
    let total = i64::try_from(CUSTOMERS * EACH).unwrap();
    for (_, reference) in &invoices {
        assert!(world.shop.has_taken(reference), "paid and not delivered");
    }
    let payments = world.payments().await;
    assert_eq!(payments.len(), CUSTOMERS * EACH);
    assert!(
        payments
            .iter()
            .all(|payment| payment["state"] == "acknowledged")
    );
    assert_eq!(world.balance("ada").await, BALANCE - total * PRICE);
}
