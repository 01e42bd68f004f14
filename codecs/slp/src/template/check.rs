//! Comparing a service with its template.

use std::fmt;

use super::{Definition, Kind, Template};
use crate::attributes::{Attribute, AttributeList, Meaning};
use crate::service_type::ServiceType;
use crate::text::fold;

/// What of a service is not as its template says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The attribute, as the template or else the service spells it.
    pub tag: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is required, and not there.
    Missing,
    /// A value is of another type.
    Type(Kind),
    /// It has several values, and may have one.
    Several,
    /// It has a value that is not among those allowed.
    NotAllowed(String),
    /// It has values, and is a keyword.
    ValuesOfKeyword,
    /// It has no values, and is no keyword.
    NoValue,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = &self.tag;
        match &self.fault {
            Fault::Missing => write!(formatter, "{tag} is required"),
            Fault::Type(kind) => write!(formatter, "{tag} is {kind}"),
            Fault::Several => write!(formatter, "{tag} has one value"),
            Fault::NotAllowed(value) => write!(formatter, "{tag} cannot be {value}"),
            Fault::ValuesOfKeyword => write!(formatter, "{tag} is a keyword, without a value"),
            Fault::NoValue => write!(formatter, "{tag} has a value"),
        }
    }
}

impl Template {
    /// Whether it speaks of services of this type.
    pub fn is_of(&self, service_type: &ServiceType) -> bool {
        self.service_type.matches(service_type)
    }

    /// What of these attributes is not as the template says. Attributes that it does not know are anybody's own.
    pub fn violations(&self, attributes: &AttributeList) -> Vec<Violation> {
        let mut violations = Vec::new();
        for definition in &self.attributes {
            let fault = match attributes.get(&definition.tag) {
                Some(attribute) => definition.fault_of(attribute),
                // A keyword that is not there says no.
                None if definition.optional || definition.kind == Kind::Keyword => None,
                None => Some(Fault::Missing),
            };
            violations.extend(fault.map(|fault| Violation {
                tag: definition.spelled.to_string(),
                fault,
            }));
        }
        violations
    }
}

impl Definition {
    fn fault_of(&self, attribute: &Attribute) -> Option<Fault> {
        match (self.kind, attribute.values.as_slice()) {
            (Kind::Keyword, []) => return None,
            (Kind::Keyword, _) => return Some(Fault::ValuesOfKeyword),
            (_, []) => return Some(Fault::NoValue),
            (_, [_, _, ..]) if !self.multiple => return Some(Fault::Several),
            _ => {}
        }
        attribute.values.iter().find_map(|value| {
            let meaning = match (self.kind, &value.meaning) {
                // "(name=42)" is an integer to SLP and a name to the template.
                (Kind::String, Meaning::Integer(_) | Meaning::Boolean(_)) => {
                    Meaning::String(fold(&value.text).as_ref().into())
                }
                (_, meaning) => meaning.clone(),
            };
            let fits = matches!(
                (self.kind, &meaning),
                (Kind::String, Meaning::String(_))
                    | (Kind::Integer, Meaning::Integer(_))
                    | (Kind::Boolean, Meaning::Boolean(_))
                    | (Kind::Opaque, Meaning::Opaque(_))
            );
            if !fits {
                return Some(Fault::Type(self.kind));
            }
            let allowed = self.allowed.is_empty() || self.allowed.contains(&meaning);
            (!allowed).then(|| Fault::NotAllowed(value.text.to_string()))
        })
    }
}
