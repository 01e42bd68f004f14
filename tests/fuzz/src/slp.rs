//! What must hold for any octets that are read as SLP, and any text in them.

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
