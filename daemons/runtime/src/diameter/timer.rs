use std::future::pending;
use std::sync::Arc;

use crate::diameter::connection::deliver_all;
use crate::diameter::state::Shared;

/// Ticks the peers whose time has come, until the node has stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let deadline = shared.next_deadline();
        tokio::select! {
            () = sleep_until(deadline) => {
                let mut events = Vec::new();
                shared.tick(&mut events);
                deliver_all(&shared, events).await;
            }
            () = shared.timer.notified() => {}
        }
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
