//! Which of the instances on one database this `chargingd` is.

use serde::Deserialize;

use crate::context::{Context, Daemon};
use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
enum Role {
    Active,
    Standby { active: Option<String> },
    Away,
}

/// Says it; an error if nothing can be stored.
pub(crate) async fn show(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Chargingd, "/health").await?;
    let role: Role = context.read(Daemon::Chargingd, answer.clone())?;
    if context.json {
        context.print_json(&answer)?;
    }
    let line = match &role {
        Role::Active => "active".to_owned(),
        Role::Standby {
            active: Some(active),
        } => format!("standby: {active} is active"),
        Role::Standby { active: None } => "standby: another is active".to_owned(),
        Role::Away => {
            return Err(Failure::Wrong(
                "the database is away: requests are refused until it is back; see chargingd's log"
                    .into(),
            ));
        }
    };
    if context.json {
        return Ok(());
    }
    context.print_line(&line)
}
