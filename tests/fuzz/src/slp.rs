//! What must hold for any octets that are read as SLP, and any text in them.

use std::time::{Duration, Instant};

use tollwire_slp::agent::user_agent::{Ask, Event, LegId, QueryId, Target, UserAgent};
use tollwire_slp::agent::{Question, Request};
use tollwire_slp::v1;
use tollwire_slp::{
    AttributeList, Filter, Message, ScopeList, ServiceType, TagList, Template, decode, encode,
};

/// A message: no panic; what reads is stable, and its texts are read as well.
///
/// # Panics
/// A finding.
pub fn message(data: &[u8]) {
    let Ok(message) = decode(data) else { return };
    let mut octets = Vec::new();
    encode(&message, &mut octets).expect("what was read can be written");
    // Reserved bits, and gaps before an extension, are not kept.
    let again = decode(&octets).expect("and read again");
    assert_eq!(strip(again.clone()), strip(message));
    let mut once_more = Vec::new();
    encode(&again, &mut once_more).expect("again");
    assert_eq!(once_more, octets);
}

/// An unknown extension's data may hold what was between two extensions.
fn strip(mut message: Message<'_>) -> Message<'_> {
    message.extensions.clear();
    message
}

/// Attributes: what reads is written and read as the same, and a list holds what it is made of.
///
/// # Panics
/// A finding.
pub fn attributes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(list) = AttributeList::parse(text) else {
        return;
    };
    let written = list.to_string();
    let again = AttributeList::parse(&written).expect("what was written reads");
    assert_eq!(again, list);
    let (part, _) = list.to_text_within(text.len() / 2);
    AttributeList::parse(&part).expect("whole attributes alone");
    let mut merged = list.clone();
    merged.merge(&again);
    assert_eq!(merged, list, "a union with itself");
    let mut updated = list.clone();
    updated.update(again);
    assert_eq!(updated, list);
    let _ = ScopeList::parse(text);
    let _ = ServiceType::parse(text);
    let _ = ServiceType::of_url(text);
    if let Ok(tags) = TagList::parse(text) {
        let _ = list.select(&tags);
    }
}

/// A predicate and an attribute list, apart by a line: evaluation ends, and never holds together with its own negation
/// where a tag has one value.
///
/// # Panics
/// A finding.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (predicate, attributes) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(filter) = Filter::parse(predicate) else {
        return;
    };
    let negated = Filter::parse(&format!("(!{predicate})"));
    let Ok(list) = AttributeList::parse(attributes) else {
        return;
    };
    let holds = filter.matches(&list);
    let single = list.iter().all(|attribute| attribute.values.len() < 2);
    if let Ok(negated) = negated
        && single
    {
        assert!(
            !(holds && negated.matches(&list)),
            "{predicate} and its negation"
        );
    }
}

/// A template.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(template) = Template::parse(text) {
        let _ = template.violations(&AttributeList::default());
        let _ = template.id();
    }
}

/// A request of SLPv1, and what it says in the words of version 2 and back.
///
/// # Panics
/// A finding.
pub fn version_1(data: &[u8]) {
    if let Ok(message) = v1::decode(data) {
        let _ = message.request.to_v2();
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = v1::parse_predicate(text);
    let Ok(translated) = v1::attributes_to_v2(text) else {
        return;
    };
    let Ok(list) = AttributeList::parse(&translated.attributes) else {
        return;
    };
    let (back, whole) = v1::attributes_to_v1(&translated.attributes, usize::MAX);
    assert!(whole);
    let again = v1::attributes_to_v2(&back).expect("what was written reads");
    let again = AttributeList::parse(&again.attributes).expect("in the words of version 2 too");
    assert_eq!(again.len(), list.len(), "{text:?}: {back:?}");
}

/// Datagrams at a user agent that asks: each begins with its length. Its time always goes on, and every question ends.
///
/// # Panics
/// A finding.
pub fn user_agent(data: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let mut agent = UserAgent::new(start, Default::default(), 7);
    let mut effects = Vec::new();
    for (id, target) in [Target::Anyone, Target::Everybody].into_iter().enumerate() {
        let ask = Ask {
            id: QueryId(id as u64),
            request: Request {
                language: "en".into(),
                scopes: "DEFAULT".into(),
                question: Question::Services {
                    service_type: "service:x".into(),
                    predicate: String::new(),
                    spi: String::new(),
                    attributes: false,
                },
            },
            target,
            span: Some(Duration::from_secs(60)),
            first_reply_is_enough: false,
        };
        agent.handle(now, Event::Ask(ask), &mut effects);
    }
    let mut rest = data;
    while let [length, from, tail @ ..] = rest {
        let (octets, next) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = next;
        let address = ([127, 0, 0, *from], 427).into();
        let event = match from % 3 {
            0 => Event::Answered {
                leg: LegId(u64::from(*from)),
                octets,
            },
            _ => Event::Datagram {
                from: address,
                octets,
            },
        };
        agent.handle(now, event, &mut effects);
        now += Duration::from_millis(200);
        agent.handle(now, Event::Timer, &mut effects);
        assert!(agent.deadline(now).is_none_or(|deadline| deadline > now));
    }
    effects.clear();
    agent.handle(now + Duration::from_secs(61), Event::Timer, &mut effects);
}
