//! Reading which contacts are still to be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::{Cause, Queries, Row};
use crate::notify::{Channel, Contact, Notification, Task, Waiting};

/// The contacts of `channel` that are due at `until_unix_ms`, `limit` at the most and the earliest first; and when the
/// first of the others will be.
///
/// # Errors
/// The database's.
pub fn due(
    store: &mut dyn Queries,
    channel: Channel,
    until_unix_ms: i64,
    limit: usize,
) -> Result<(Vec<Task>, Option<i64>), Cause> {
    let mut tasks = Vec::new();
    store.query(
        "SELECT key, attempts, next_unix_ms, error, value FROM notification
         WHERE channel = $1 AND next_unix_ms <= $2 ORDER BY next_unix_ms, key LIMIT $3",
        &[
            channel.as_str().into(),
            until_unix_ms.into(),
            count(limit).into(),
        ],
        &mut |row| {
            tasks.push(waiting(row)?.task);
            Ok(())
        },
    )?;
    let mut next = None;
    store.query(
        "SELECT next_unix_ms FROM notification WHERE channel = $1 AND next_unix_ms > $2
         ORDER BY next_unix_ms LIMIT 1",
        &[channel.as_str().into(), until_unix_ms.into()],
        &mut |row| {
            next = Some(row.integer(0)?);
            Ok(())
        },
    )?;
    Ok((tasks, next))
}

/// The first `limit` contacts that are to be told, the next one first.
///
/// # Errors
/// The database's.
pub fn all_waiting(store: &mut dyn Queries, limit: usize) -> Result<Vec<Waiting>, Cause> {
    let mut all = Vec::new();
    store.query(
        "SELECT key, attempts, next_unix_ms, error, value FROM notification
         ORDER BY next_unix_ms, key LIMIT $1",
        &[count(limit).into()],
        &mut |row| {
            all.push(waiting(row)?);
            Ok(())
        },
    )?;
    Ok(all)
}

/// How many contacts each channel has still to tell, by its name.
///
/// # Errors
/// The database's.
pub fn waiting_by_channel(store: &mut dyn Queries) -> Result<BTreeMap<String, i64>, Cause> {
    let mut counts = BTreeMap::new();
    store.query(
        "SELECT channel, count(*) FROM notification GROUP BY channel",
        &[],
        &mut |row| {
            counts.insert(row.text(0)?.to_owned(), row.integer(1)?);
            Ok(())
        },
    )?;
    Ok(counts)
}

fn waiting(row: Row<'_>) -> Result<Waiting, Cause> {
    let key = row.text(0)?;
    let (_, contact) = key
        .split_once(' ')
        .ok_or_else(|| format!("no key: {key:?}"))?;
    let notification: Notification = serde_json::from_str(row.text(4)?)?;
    Ok(Waiting {
        task: Task {
            notification: Arc::new(notification),
            contact: contact.parse::<Contact>()?,
            attempts: row.integer(1)?.try_into()?,
        },
        next_unix_ms: row.integer(2)?,
        error: row.text(3)?.to_owned(),
    })
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Mutation;
    use crate::notify::{Key, Kind};
    use crate::store::backend::Backend;
    use crate::store::batch::Batch;
    use crate::store::sqlite::Sqlite;

    fn notification(id: u64, contacts: &[&str]) -> Notification {
        Notification {
            id,
            unix_ms: 1000 + i64::try_from(id).unwrap(),
            account: "alice".into(),
            subject: "alice/gprs".into(),
            kind: Kind::Recharged,
            balance: 5,
            unit: "octets".into(),
            amount: 3,
            language: "de".into(),
            contacts: contacts.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn write(store: &mut Sqlite, mutations: &[Mutation]) {
        let batch = Batch::of(mutations.iter(), None).unwrap();
        store.write(&batch).unwrap();
    }

    fn ids(tasks: &[Task]) -> Vec<u64> {
        tasks.iter().map(|task| task.notification.id).collect()
    }

    #[test]
    fn each_contact_waits_by_itself_until_its_end() {
        let folder = std::env::temp_dir().join(format!("notification-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut store = Sqlite::open(&folder.join("chargingd.db")).unwrap();
        let (sms, mail) = ("sms:+491701234", "mailto:alice@example.org");
        let made: Vec<Mutation> = (1..=3)
            .map(|id| {
                let contacts: &[&str] = if id == 2 { &[mail] } else { &[sms, mail, sms] };
                Mutation::Notification(Box::new(notification(id, contacts)))
            })
            .collect();
        write(&mut store, &made);
        // Only what is due, of this channel, and so much; and when the next one is.
        let (tasks, next) = due(&mut store, Channel::Sms, 1002, 10).unwrap();
        assert_eq!((ids(&tasks), next), (vec![1], Some(1003)));
        let (tasks, next) = due(&mut store, Channel::Mail, 5000, 2).unwrap();
        assert_eq!((ids(&tasks), next), (vec![1, 2], None));
        assert_eq!(*tasks[0].notification, notification(1, &[sms, mail, sms]));
        assert_eq!(tasks[0].contact, mail.parse().unwrap());
        assert!(due(&mut store, Channel::Sip, 5000, 2).unwrap().0.is_empty());
        let counts = waiting_by_channel(&mut store).unwrap();
        assert_eq!(
            counts,
            BTreeMap::from([("sms".into(), 2), ("mail".into(), 3)])
        );

        // One fails, one is told.
        let mut task = tasks[0].clone();
        task.attempts = 1;
        let later = Waiting {
            task,
            next_unix_ms: 9000,
            error: "busy".into(),
        };
        let ended = Key {
            id: 2,
            contact: mail.parse().unwrap(),
        };
        let after = [
            Mutation::NotificationLater(Box::new(later.clone())),
            Mutation::NotificationEnded(Box::new(ended)),
        ];
        write(&mut store, &after);
        let (tasks, next) = due(&mut store, Channel::Mail, 5000, 10).unwrap();
        assert_eq!((ids(&tasks), next), (vec![3], Some(9000)));
        let (tasks, _) = due(&mut store, Channel::Mail, 9000, 10).unwrap();
        assert_eq!(tasks.last().unwrap().attempts, 1);
        let all = all_waiting(&mut store, 10).unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(all.last(), Some(&later));
        // The number goes on after all were told.
        assert_eq!(
            crate::store::read::state(&mut store)
                .unwrap()
                .last_notification,
            3
        );
        drop(store);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
