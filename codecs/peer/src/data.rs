//! What was used, and how much may be.

use serde::{Deserialize, Deserializer, Serialize};

/// What can be metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Milliseconds.
    Time,
    /// Both ways.
    Octets,
    /// Requests that were let through.
    Requests,
}

impl Measure {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Time, Self::Octets, Self::Requests];

    /// As in `collect`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Octets => "octets",
            Self::Requests => "requests",
        }
    }
}

/// Totals since a session began: those that are collected or, as a limit, those that are limited. Each is 0 to 2^63 - 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Milliseconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "total"
    )]
    pub time_ms: Option<u64>,
    /// Octets, both ways.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "total"
    )]
    pub octets: Option<u64>,
    /// Requests.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "total"
    )]
    pub requests: Option<u64>,
}

/// `null` is nothing that a total can be.
fn total<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = u64::deserialize(deserializer)?;
    match i64::try_from(value) {
        Ok(_) => Ok(Some(value)),
        Err(_) => Err(serde::de::Error::custom("a total is at most 2^63 - 1")),
    }
}

impl Data {
    /// Zero of each of `measures`.
    pub fn none_of(measures: &[Measure]) -> Self {
        let mut data = Self::default();
        for measure in measures {
            data.set(*measure, Some(0));
        }
        data
    }

    /// The total of `measure`.
    pub fn get(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Time => self.time_ms,
            Measure::Octets => self.octets,
            Measure::Requests => self.requests,
        }
    }

    /// Another total of `measure`.
    pub fn set(&mut self, measure: Measure, total: Option<u64>) {
        match measure {
            Measure::Time => self.time_ms = total,
            Measure::Octets => self.octets = total,
            Measure::Requests => self.requests = total,
        }
    }

    /// What it has totals of.
    pub fn measures(&self) -> impl Iterator<Item = Measure> + '_ {
        (Measure::ALL.into_iter()).filter(|measure| self.get(*measure).is_some())
    }

    /// Whether it has totals of `collect`, all of them and no others.
    pub fn is_of(&self, collect: &[Measure]) -> bool {
        (Measure::ALL.iter())
            .all(|measure| self.get(*measure).is_some() == collect.contains(measure))
    }

    /// The first measure whose total is less than in `before`: totals do not shrink.
    pub fn shrinks_from(&self, before: &Self) -> Option<Measure> {
        let less = |measure: &Measure| self.get(*measure) < before.get(*measure);
        Measure::ALL.into_iter().find(less)
    }

    /// The first measure whose total is at or above that of `limit`. What `limit` does not have is not limited.
    pub fn reaches(&self, limit: &Self) -> Option<Measure> {
        Measure::ALL.into_iter().find(|measure| {
            let limit = limit.get(*measure);
            limit.is_some_and(|limit| self.get(*measure).unwrap_or(0) >= limit)
        })
    }

    /// Each total, or that of `limit` where it is less.
    pub fn within(&self, limit: &Self) -> Self {
        let mut data = *self;
        for measure in Measure::ALL {
            if let (Some(total), Some(limit)) = (self.get(measure), limit.get(measure)) {
                data.set(measure, Some(total.min(limit)));
            }
        }
        data
    }

    /// What is new since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let mut data = *self;
        for measure in Measure::ALL {
            let new = (self.get(measure))
                .map(|total| total.saturating_sub(before.get(measure).unwrap_or(0)));
            data.set(measure, new);
        }
        data
    }
}
