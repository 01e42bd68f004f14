//! `tollctl calls` and `tollctl call`: what sipd carries beside what chargingd counts.

use std::collections::HashMap;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use tollwire_runtime::clock::Now;

use crate::context::{Context, Daemon, encode, warn};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Call {
    /// Ends a call for both parties.
    End {
        /// The call, as `tollctl calls` names it.
        id: String,
    },
}

/// What is shown of chargingd's session.
#[derive(Debug, Clone, Deserialize)]
struct Session {
    session_id: String,
    account: String,
    from: String,
    to: String,
    answer_unix_ms: Option<i64>,
    used_seconds: u64,
    charged_micro: i64,
    held_micro: i64,
    currency: String,
    remaining_seconds: u64,
}

impl Session {
    /// Seconds since the answer.
    fn elapsed(&self, unix_ms: i64) -> Option<u64> {
        let elapsed = unix_ms.saturating_sub(self.answer_unix_ms?).max(0);
        Some(elapsed.unsigned_abs() / 1000)
    }

    /// Seconds that can be paid for from now on: what is used was reported some time ago.
    fn left(&self, unix_ms: i64) -> u64 {
        let payable = self.used_seconds.saturating_add(self.remaining_seconds);
        let gone = self.elapsed(unix_ms).unwrap_or(0).max(self.used_seconds);
        payable.saturating_sub(gone)
    }

    fn cells(&self, unix_ms: i64) -> [String; 4] {
        [
            self.account.clone(),
            self.elapsed(unix_ms)
                .map_or_else(String::new, time::print_duration),
            time::print_duration(self.left(unix_ms)),
            format!(
                "{} {}",
                money::print(self.charged_micro.saturating_add(self.held_micro)),
                self.currency
            ),
        ]
    }
}

pub(crate) async fn run(command: Call, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Call::End { id } => {
            let path = format!("/calls/{}/end", encode(&id));
            let answer = context.post(Daemon::Sipd, &path, &json!({})).await?;
            if context.json {
                return context.print_json(&answer);
            }
            context.print_line(&format!("{id}: ended"))
        }
    }
}

/// Prints every call with its charging session, then the sessions of calls that sipd does not carry.
pub(crate) async fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Sipd, "/calls").await?;
    let calls: Vec<Value> = context.read(Daemon::Sipd, answer)?;
    let sessions: Vec<Value> = match context.get(Daemon::Chargingd, "/sessions").await {
        Ok(answer) => context.read(Daemon::Chargingd, answer)?,
        Err(failure) => {
            // An operator in need sees the calls also while charging is down.
            warn(&format!("{failure}; calls are shown without their credit"));
            Vec::new()
        }
    };
    if context.json {
        return context.print_json(&joined(calls, sessions));
    }
    let sessions: Vec<Session> = context.read(Daemon::Chargingd, Value::Array(sessions))?;
    let table = tabulate(&calls, &sessions, Now::read().unix_ms);
    Ok(table.print(context.out)?)
}

fn field(object: &Value, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Each call with its session under `session`, and the sessions without a call.
fn joined(calls: Vec<Value>, sessions: Vec<Value>) -> Value {
    let mut others: HashMap<String, Value> = sessions
        .into_iter()
        .map(|session| (field(&session, "session_id"), session))
        .collect();
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|mut call| {
            let session = others.remove(&field(&call, "session_id"));
            if let Value::Object(fields) = &mut call {
                fields.insert("session".into(), session.unwrap_or(Value::Null));
            }
            call
        })
        .collect();
    let mut others: Vec<Value> = others.into_values().collect();
    others.sort_by_key(|session| field(session, "session_id"));
    json!({ "calls": calls, "other_sessions": others })
}

fn tabulate(calls: &[Value], sessions: &[Session], unix_ms: i64) -> Table {
    let mut by_id: HashMap<&str, &Session> = sessions
        .iter()
        .map(|session| (session.session_id.as_str(), session))
        .collect();
    let mut table = Table::new(&[
        "ID",
        "FROM",
        "TO",
        "PHASE",
        "ACCOUNT",
        ">TALKED",
        ">LEFT",
        ">RESERVED",
    ]);
    for call in calls {
        let session = by_id.remove(field(call, "session_id").as_str());
        // chargingd hears of the answer with the first report; sipd knows it at once.
        let answered = call.get("answer_unix_ms").and_then(Value::as_i64);
        let charging = session.map_or_else(Default::default, |session| {
            let answer_unix_ms = session.answer_unix_ms.or(answered);
            let session = Session {
                answer_unix_ms,
                ..session.clone()
            };
            session.cells(unix_ms)
        });
        let signalling = ["id", "from", "to", "phase"].map(|name| field(call, name));
        table.row(signalling.into_iter().chain(charging));
    }
    for session in sessions {
        if by_id.contains_key(session.session_id.as_str()) {
            let signalling = [
                String::new(),
                session.from.clone(),
                session.to.clone(),
                String::new(),
            ];
            table.row(signalling.into_iter().chain(session.cells(unix_ms)));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_not_reported_yet_counts_from_the_answer_sipd_saw() {
        let call = json!({ "id": "1", "session_id": "s", "answer_unix_ms": 10_000 });
        let mut unreported = session(None);
        unreported.used_seconds = 0;
        let mut printed = Vec::new();
        tabulate(&[call], &[unreported], 40_000)
            .print(&mut printed)
            .unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains("0:00:30"), "{printed}");
        assert!(printed.contains("0:01:10"), "{printed}");
    }

    fn session(answer_unix_ms: Option<i64>) -> Session {
        Session {
            session_id: "s".into(),
            account: "alice".into(),
            from: "sip:a@x".into(),
            to: "sip:b@x".into(),
            answer_unix_ms,
            used_seconds: 60,
            charged_micro: 1,
            held_micro: 2,
            currency: "EUR".into(),
            remaining_seconds: 100,
        }
    }

    #[test]
    fn what_is_left_counts_from_now_and_not_from_the_last_report() {
        assert_eq!(session(None).left(1_000_000), 100);
        assert_eq!(session(Some(0)).left(60_000), 100);
        assert_eq!(session(Some(0)).left(90_999), 70);
        assert_eq!(session(Some(0)).left(500_000), 0);
        // A report may be a moment ahead of our clock.
        assert_eq!(session(Some(0)).left(59_000), 100);
        assert_eq!(session(Some(5000)).elapsed(0), Some(0));
    }
}
