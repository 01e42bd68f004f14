//! An answer of the charging system that was lost so long ago that it remembers it no more.

use std::time::Duration;

use rusqlite::Connection;

use crate::world::{BALANCE, PRICE, World};

#[tokio::test]
async fn asked_for_again_days_later_a_debit_is_booked_once() {
    let mut world = World::start_with("remember_seconds = 1\n", "").await;
    let (invoice, _) = world.shop.invoice(|_| ());
    world.location(&world.pay(&invoice).await);
    world.settled().await;
    world.kill();
    // As if the answer had been lost.
    let database = Connection::open(world.folder.join("billd.db")).unwrap();
    let changed = database.execute("UPDATE payments SET state = 'charging'", []);
    assert_eq!(changed, Ok(1));
    drop(database);
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.restart().await;
    world.settled().await;
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
    let (invoice, _) = world.shop.invoice(|_| ());
    world.location(&world.pay(&invoice).await);
    assert_eq!(world.balance("ada").await, BALANCE - 2 * PRICE);
}
