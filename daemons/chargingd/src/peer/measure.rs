//! What of a service is counted: time, octets, requests.

use serde::{Deserialize, Serialize};
use tollwire_peer::Data;
pub use tollwire_peer::Measure;

/// Something of each measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Per<T> {
    /// Of time.
    pub time: T,
    /// Of octets.
    pub octets: T,
    /// Of requests.
    pub requests: T,
}

/// Rating-Groups of the measures that a service is charged by; the others are not counted.
pub type RatingGroups = Per<Option<u32>>;

impl<T: Copy> Per<T> {
    /// Of one measure.
    pub fn of(&self, measure: Measure) -> T {
        match measure {
            Measure::Time => self.time,
            Measure::Octets => self.octets,
            Measure::Requests => self.requests,
        }
    }

    /// Another value of one measure.
    pub fn set(&mut self, measure: Measure, value: T) {
        match measure {
            Measure::Time => self.time = value,
            Measure::Octets => self.octets = value,
            Measure::Requests => self.requests = value,
        }
    }

    /// What `change` makes of each.
    pub fn map<U>(&self, mut change: impl FnMut(Measure, T) -> U) -> Per<U> {
        Per {
            time: change(Measure::Time, self.time),
            octets: change(Measure::Octets, self.octets),
            requests: change(Measure::Requests, self.requests),
        }
    }
}

impl RatingGroups {
    /// Those that are charged, with their Rating-Groups.
    pub fn all(&self) -> impl Iterator<Item = (Measure, u32)> + use<'_> {
        Measure::ALL
            .into_iter()
            .filter_map(|measure| Some((measure, self.of(measure)?)))
    }

    /// Of which measure a Rating-Group is.
    pub fn measure(&self, rating_group: u32) -> Option<Measure> {
        let mut all = self.all();
        let found = all.find(|(_, group)| *group == rating_group);
        found.map(|(measure, _)| measure)
    }
}

/// Milliseconds become seconds, and a second that has begun is one.
pub fn units(measure: Measure, reported: i64) -> i64 {
    match measure {
        Measure::Time => reported / 1000 + i64::from(reported % 1000 > 0),
        Measure::Octets | Measure::Requests => reported,
    }
}

/// Seconds become milliseconds.
pub fn reported(measure: Measure, units: i64) -> i64 {
    match measure {
        Measure::Time => units.saturating_mul(1000),
        Measure::Octets | Measure::Requests => units,
    }
}

/// Totals that a message may have, if they are small enough; those that it has not are nothing.
pub fn of_data(data: &Data) -> Option<Per<Option<i64>>> {
    let mut all = Per::default();
    for measure in data.measures() {
        let total = data.get(measure).map(i64::try_from).transpose().ok()?;
        all.set(measure, total);
    }
    Some(all)
}

/// Seconds, octets and requests of the measures that are charged, as messages have them.
pub fn to_data(groups: &RatingGroups, units: &Per<i64>) -> Data {
    let mut data = Data::default();
    for (measure, _) in groups.all() {
        let total = reported(measure, units.of(measure));
        data.set(measure, u64::try_from(total).ok());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_has_begun_is_one() {
        for (ms, seconds) in [
            (0, 0),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (i64::MAX, i64::MAX / 1000 + 1),
        ] {
            assert_eq!(units(Measure::Time, ms), seconds);
        }
        assert_eq!(units(Measure::Octets, 1001), 1001);
        assert_eq!(reported(Measure::Time, 60), 60_000);
        assert_eq!(reported(Measure::Time, i64::MAX), i64::MAX);
    }

    #[test]
    fn rating_groups_are_found_both_ways() {
        let groups = RatingGroups {
            time: Some(7),
            octets: None,
            requests: Some(9),
        };
        let all: Vec<_> = groups.all().collect();
        assert_eq!(all, [(Measure::Time, 7), (Measure::Requests, 9)]);
        assert_eq!(groups.measure(9), Some(Measure::Requests));
        assert_eq!(groups.measure(8), None);
    }
}
