//! `tollctl pinholes`.

use serde::Deserialize;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::time;

/// What is shown of pinholed's pinhole.
#[derive(Debug, Deserialize)]
struct Pinhole {
    session_id: String,
    flow: String,
    source: String,
    destination: String,
    open: bool,
    seconds_left: f64,
    packets: u64,
    octets: u64,
}

/// Prints every pinhole.
pub(crate) async fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Pinholed, "/pinholes").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let pinholes: Vec<Pinhole> = context.read(Daemon::Pinholed, answer)?;
    let mut table = Table::new(&[
        "SESSION",
        "FLOW",
        "SOURCE",
        "DESTINATION",
        "STATE",
        ">LEFT",
        ">PACKETS",
        ">OCTETS",
    ]);
    for pinhole in pinholes {
        let state = if pinhole.open { "open" } else { "closed" };
        table.row([
            pinhole.session_id,
            pinhole.flow,
            pinhole.source,
            pinhole.destination,
            state.into(),
            // Whole seconds: a cast keeps to the range of u64.
            time::print_duration(pinhole.seconds_left as u64),
            pinhole.packets.to_string(),
            pinhole.octets.to_string(),
        ]);
    }
    Ok(table.print(context.out)?)
}
