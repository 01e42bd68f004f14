//! What a manager's answer to an accounting message means: pure.

use tollwire_jose::Trust;
use tollwire_peer::{AccountingAcknowledgement, AccountingMessage, Refusal, Signed, State, Word};

use crate::core::Answer;

/// An answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) answer: Answer,
    /// The message is to be signed again before it is sent again.
    pub(crate) stale: bool,
    /// What is wrong, for the log.
    pub(crate) wrong: Option<String>,
}

fn read(answer: Answer, stale: bool, wrong: impl Into<String>) -> Read {
    Read {
        answer,
        stale,
        wrong: Some(wrong.into()),
    }
}

/// Of the status and body that the manager called `manager` gave to `message`, now (`now_unix` seconds).
pub(crate) fn answer(
    status: u16,
    body: &[u8],
    message: &AccountingMessage,
    manager: &str,
    trust: &Trust,
    now_unix: i64,
) -> Read {
    if status == 200 {
        return match acknowledged(body, message, manager, trust, now_unix) {
            Ok(answer) => Read {
                answer,
                stale: false,
                wrong: None,
            },
            // Whoever says so is not the manager: it has not heard of it, perhaps.
            Err(what) => read(Answer::Later, false, what),
        };
    }
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    let word = refusal.as_ref().map(|refusal| refusal.error);
    let detail = refusal.map_or_else(String::new, |refusal| refusal.detail);
    let told = format!("{status}: {detail}");
    match (status, word) {
        // What a proxy in between says is no word of the manager's.
        (400, Some(Word::Malformed)) | (409, Some(Word::Replayed)) => {
            read(Answer::Never, false, told)
        }
        (404, Some(Word::UnknownSession)) => read(Answer::Unknown, false, told),
        (410, Some(Word::Closed)) => read(Answer::Closed, false, told),
        // Another nonce helps, or another certificate once the operator has one.
        (403, _) => read(Answer::Later, true, told),
        _ => read(Answer::Later, false, told),
    }
}

fn acknowledged(
    body: &[u8],
    message: &AccountingMessage,
    manager: &str,
    trust: &Trust,
    now_unix: i64,
) -> Result<Answer, String> {
    let token = std::str::from_utf8(body).map_err(|_| "no text".to_owned())?;
    let (told, certified) = AccountingAcknowledgement::verify(token, trust, now_unix)
        .map_err(|refusal| refusal.detail)?;
    if certified.name != manager {
        return Err(format!("signed by {}", certified.name));
    }
    if told.message_id != message.message_id
        || told.accounting_session_id != message.accounting_session_id
        || told.sequence != message.sequence
    {
        return Err("an acknowledgement of another message".to_owned());
    }
    Ok(Answer::Acknowledged {
        granted: told.granted,
        last: told.last,
        closed: told.state == State::Closed,
    })
}
