//! Which of the instances on one database this `chargingd` is.

use serde::Deserialize;

use crate::context::{Context, Daemon};
use crate::failure::Failure;

#[derive(Deserialize)]
struct Health {
    #[serde(flatten)]
    role: Role,
    /// Of a database that is divided.
    part: Option<u32>,
    parts: Option<u32>,
    #[serde(default)]
    active_of_parts: Vec<Option<String>>,
}

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
    let health: Health = context.read(Daemon::Chargingd, answer.clone())?;
    if context.json {
        context.print_json(&answer)?;
    }
    let line = match &health.role {
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
    let (Some(part), Some(parts)) = (health.part, health.parts) else {
        return context.print_line(&line);
    };
    context.print_line(&format!("part {part} of {parts}, {line}"))?;
    for (number, active) in (1..).zip(&health.active_of_parts) {
        let active = active.as_deref().unwrap_or("not known yet");
        context.print_line(&format!("part {number}: {active}"))?;
    }
    Ok(())
}
