//! Reading a template (RFC 2609 3.1).

use super::{Definition, Kind, MAX_ATTRIBUTES, MAX_OCTETS, MAX_VALUES, Template, TemplateError};
use crate::attributes::Meaning;
use crate::service_type::ServiceType;
use crate::text::fold;

/// A line, and its number from 1.
type Line<'a> = (usize, &'a str);

fn fault(line: usize, what: impl Into<String>) -> TemplateError {
    TemplateError {
        line,
        what: what.into(),
    }
}

impl Template {
    /// Reads a template.
    ///
    /// A value list before the help text is the default, one behind it what is allowed; without help text a second list
    /// is what is allowed.
    ///
    /// # Errors
    /// The line, and what of it the grammar does not allow.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_OCTETS {
            return Err(fault(1, format!("more than {MAX_OCTETS} octets")));
        }
        let mut reading = Reading::default();
        for item in items(text) {
            reading.item(&item)?;
        }
        reading.finish()
    }
}

/// The items of a text: what is between blank lines.
fn items(text: &str) -> Vec<Vec<Line<'_>>> {
    let mut items = Vec::new();
    let mut item: Vec<Line<'_>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        match line.is_empty() {
            true if item.is_empty() => {}
            true => items.push(std::mem::take(&mut item)),
            false => item.push((number, line)),
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

#[derive(Debug, Default)]
struct Reading {
    name: Option<(String, ServiceType)>,
    version: Option<(u32, u32)>,
    description: Option<String>,
    url_syntax: Option<String>,
    attributes: Vec<Definition>,
}

impl Reading {
    fn item(&mut self, item: &[Line<'_>]) -> Result<(), TemplateError> {
        let [(number, first), rest @ ..] = item else {
            return Ok(());
        };
        let number = *number;
        let (id, tail) = first
            .split_once('=')
            .ok_or_else(|| fault(number, "neither an item nor an attribute: there is no ="))?;
        let (id, tail) = (id.trim(), tail.trim());
        let told = |known: bool| match known {
            true => Err(fault(number, format!("{id} stands twice"))),
            false => Ok(()),
        };
        // What is on the line of the item belongs to it as well.
        let text = || {
            let lines = rest.iter().map(|(_, line)| *line);
            let all: Vec<&str> = std::iter::once(tail)
                .filter(|tail| !tail.is_empty())
                .chain(lines)
                .collect();
            all.join("\n")
        };
        match fold(id).as_ref() {
            "template-type" => {
                told(self.name.is_some())?;
                let service_type = ServiceType::parse(&format!("service:{tail}"))
                    .map_err(|error| fault(number, error.to_string()))?;
                self.name = Some((tail.to_owned(), service_type));
                self.items_of_the_block(rest)
            }
            "template-version" => {
                told(self.version.is_some())?;
                self.version = Some(version(number, tail)?);
                self.items_of_the_block(rest)
            }
            "template-description" => {
                told(self.description.is_some())?;
                self.description = Some(text());
                Ok(())
            }
            "template-url-syntax" => {
                told(self.url_syntax.is_some())?;
                self.url_syntax = Some(text());
                Ok(())
            }
            _ => self.attribute(number, id, tail, rest),
        }
    }

    /// Types and versions are of one line: many templates write the next item right below.
    fn items_of_the_block(&mut self, rest: &[Line<'_>]) -> Result<(), TemplateError> {
        match rest.is_empty() {
            true => Ok(()),
            false => self.item(rest),
        }
    }

    fn attribute(
        &mut self,
        line: usize,
        id: &str,
        tail: &str,
        rest: &[Line<'_>],
    ) -> Result<(), TemplateError> {
        let well_formed =
            |character: char| character.is_alphanumeric() || "-+:_$~@.|<>*&".contains(character);
        if id.is_empty() || !id.chars().all(well_formed) {
            return Err(fault(line, format!("{id:?} is no attribute's name")));
        }
        let tag: Box<str> = fold(id).as_ref().into();
        if self.attributes.iter().any(|known| known.tag == tag) {
            return Err(fault(line, format!("{id} is defined twice")));
        }
        if self.attributes.len() == MAX_ATTRIBUTES {
            return Err(fault(
                line,
                format!("more than {MAX_ATTRIBUTES} attributes"),
            ));
        }
        let mut definition = Definition {
            tag,
            spelled: id.into(),
            kind: Kind::String,
            multiple: false,
            literal: false,
            optional: false,
            explicit: false,
            default: Vec::new(),
            help: String::new(),
            allowed: Vec::new(),
            line,
        };
        descriptors(&mut definition, tail)?;
        body(&mut definition, rest)?;
        consistent(&definition)?;
        self.attributes.push(definition);
        Ok(())
    }

    fn finish(self) -> Result<Template, TemplateError> {
        let missing = |what: &str| fault(1, format!("there is no {what}"));
        let (name, service_type) = self.name.ok_or_else(|| missing("template-type"))?;
        Ok(Template {
            service_type,
            name,
            version: self.version.ok_or_else(|| missing("template-version"))?,
            description: self
                .description
                .ok_or_else(|| missing("template-description"))?,
            url_syntax: self
                .url_syntax
                .ok_or_else(|| missing("template-url-syntax"))?,
            attributes: self.attributes,
        })
    }
}

fn version(line: usize, text: &str) -> Result<(u32, u32), TemplateError> {
    text.split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .ok_or_else(|| fault(line, format!("{text:?} is no version: 1.0 would be")))
}

/// The type and the flags.
fn descriptors(definition: &mut Definition, tail: &str) -> Result<(), TemplateError> {
    let line = definition.line;
    let mut words = tail.split_whitespace();
    let kind = words.next().unwrap_or_default();
    definition.kind = match kind.to_ascii_lowercase().as_str() {
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "opaque" => Kind::Opaque,
        "keyword" => Kind::Keyword,
        _ => return Err(fault(line, format!("{kind:?} is no attribute type"))),
    };
    for word in words {
        // Some write the flags in one word.
        for flag in word.chars() {
            let place = match flag.to_ascii_lowercase() {
                'm' => &mut definition.multiple,
                'l' => &mut definition.literal,
                'o' => &mut definition.optional,
                'x' => &mut definition.explicit,
                _ => return Err(fault(line, format!("{flag:?} is no flag"))),
            };
            if std::mem::replace(place, true) {
                return Err(fault(line, format!("the flag {flag:?} stands twice")));
            }
        }
    }
    Ok(())
}

/// The lists of values and the help text.
fn body(definition: &mut Definition, rest: &[Line<'_>]) -> Result<(), TemplateError> {
    let mut helped = false;
    let mut lists = 0;
    // A list goes on behind a comma at the end of a line.
    let mut goes_on: Option<bool> = None;
    for (number, line) in rest {
        if let Some(help) = line.trim_start().strip_prefix('#') {
            if goes_on.is_some() {
                return Err(fault(*number, "a list of values ends with a comma"));
            }
            if helped && lists > 0 && !definition.allowed.is_empty() {
                return Err(fault(*number, "help text behind the allowed values"));
            }
            helped = true;
            definition.help.push_str(help);
            definition.help.push('\n');
            continue;
        }
        let allowed = goes_on.unwrap_or_else(|| {
            lists += 1;
            helped || lists > 1
        });
        if goes_on.is_none() && allowed && !definition.allowed.is_empty() {
            return Err(fault(*number, "a third list of values"));
        }
        let list = match allowed {
            true => &mut definition.allowed,
            false => &mut definition.default,
        };
        let text = line.trim();
        let open = text.ends_with(',');
        for value in text.trim_end_matches(',').split(',') {
            if list.len() == MAX_VALUES {
                return Err(fault(*number, format!("more than {MAX_VALUES} values")));
            }
            list.push(value_of(definition.kind, *number, value.trim())?);
        }
        goes_on = open.then_some(allowed);
    }
    match goes_on {
        Some(_) => Err(fault(definition.line, "a list of values ends with a comma")),
        None => Ok(()),
    }
}

fn value_of(kind: Kind, line: usize, text: &str) -> Result<Meaning, TemplateError> {
    let wrong = || fault(line, format!("{text:?} is not {kind}"));
    if text.is_empty() {
        return Err(fault(line, "an empty value"));
    }
    // A plus is a sign here, and not in SLP.
    let plain = match kind {
        Kind::Integer => text.strip_prefix('+').unwrap_or(text),
        _ => text,
    };
    let meaning = Meaning::read(plain, false, "value", 0)
        .map_err(|error| fault(line, format!("{text:?}: {}", error.kind)))?;
    match (kind, &meaning) {
        (Kind::Integer, Meaning::Integer(_))
        | (Kind::Boolean, Meaning::Boolean(_))
        | (Kind::Opaque, Meaning::Opaque(_)) => Ok(meaning),
        // Whatever its form, it is a text.
        (Kind::String, _) => Ok(Meaning::String(fold(text).as_ref().into())),
        _ => Err(wrong()),
    }
}

/// What RFC 2609 3.2.6 forbids.
fn consistent(definition: &Definition) -> Result<(), TemplateError> {
    let Definition {
        kind,
        multiple,
        literal,
        optional,
        explicit,
        default,
        allowed,
        line,
        ..
    } = definition;
    let flagged = *multiple || *literal || *explicit;
    // RFC 2609 3.2.6.2 gives keywords no flags; templates in the field make them optional, which says nothing new.
    if *kind == Kind::Keyword && (flagged || !default.is_empty() || !allowed.is_empty()) {
        return Err(fault(*line, "a keyword has neither flags nor values"));
    }
    if *kind == Kind::Boolean && *multiple {
        return Err(fault(*line, "a boolean has one value"));
    }
    if !multiple && default.len() > 1 {
        return Err(fault(*line, "several defaults, and no flag M"));
    }
    if let Some(stranger) = default
        .iter()
        .find(|value| !allowed.is_empty() && !allowed.contains(value))
    {
        return Err(fault(
            *line,
            format!("the default {stranger:?} is not allowed"),
        ));
    }
    if *optional && !allowed.is_empty() && default.is_empty() {
        return Err(fault(
            *line,
            "an optional attribute with allowed values needs a default",
        ));
    }
    Ok(())
}
