//! An Rx session and its flows.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Instant;

use tollwire_diameter::credit_control::UsedServiceUnit;
use tollwire_diameter::rx::{MediaComponentDescription, MediaSubComponent};

use crate::effect::Report;
use crate::flow::{FlowKey, Usage};

/// Direction of a flow, seen from the offerer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the offerer: `permit in`.
    Uplink,
    /// To the offerer: `permit out`.
    Downlink,
}

/// A flow's place in its session; with the Session-Id the label of its counter in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Media-Component-Number.
    pub component: u32,
    /// Flow-Number.
    pub flow: u32,
    /// Which of its two directions.
    pub direction: Direction,
    /// Control traffic, whose silence says nothing.
    pub rtcp: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Uplink => "in",
            Direction::Downlink => "out",
        };
        let usage = if self.rtcp { "rtcp" } else { "media" };
        write!(
            formatter,
            "{}.{}.{direction}.{usage}",
            self.component, self.flow
        )
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(());
        Ok(Self {
            component: next()?.parse().map_err(|_| ())?,
            flow: next()?.parse().map_err(|_| ())?,
            direction: match next()? {
                "in" => Direction::Uplink,
                "out" => Direction::Downlink,
                _ => return Err(()),
            },
            rtcp: match next()? {
                "rtcp" => true,
                "media" => false,
                _ => return Err(()),
            },
        })
    }
}

/// One direction of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its place.
    pub place: Place,
    /// What it matches.
    pub key: FlowKey,
    /// Whether the session wants it open.
    pub open: bool,
    /// What passed, as last read.
    pub usage: Usage,
}

/// Octets that a session may pass, and how the kernel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Octets in all.
    pub granted: u64,
    /// What had passed before the quota in the kernel began to count.
    pub before: u64,
    /// Tells apart the quotas of one session.
    pub generation: u32,
}

impl Volume {
    /// Generation and Session-Id in the name of a quota.
    pub fn parse(name: &str) -> Option<(u32, &str)> {
        let (generation, id) = name.split_once(' ')?;
        Some((generation.parse().ok()?, id))
    }
}

/// One AF session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Session-Id.
    pub id: Rc<str>,
    /// The client's Origin-Host; empty for a session adopted and not heard of since.
    pub origin_host: String,
    /// The client's Origin-Realm.
    pub origin_realm: String,
    /// Its flows.
    pub flows: Vec<Flow>,
    /// What passed on flows that are gone: a component that moved to other addresses.
    pub past: Vec<(Place, FlowKey, Usage)>,
    /// When the kernel shuts every gate.
    pub ends_at: Instant,
    /// Octets that may pass, if they are limited.
    pub volume: Option<Volume>,
    /// Grows with each change.
    pub revision: u64,
    /// Whether the client wants to hear of a lost bearer.
    pub report_loss: bool,
    /// Whether the client wants to hear of spent credit.
    pub report_credit: bool,
    /// Packets seen on media flows at the last look.
    pub packets: u64,
    /// When it was looked at last, milliseconds since 1970.
    pub looked_unix_ms: i64,
    /// Packets and milliseconds between the last look and the one before.
    pub pace: (u64, i64),
    /// When that number last grew, or when media was last let pass.
    pub active_at: Instant,
    /// When the last packet passed, milliseconds since 1970.
    pub last_packet_unix_ms: Option<i64>,
    /// Loss of bearer was reported; packets make it due again.
    pub loss_reported: bool,
    /// The gates were shut for lack of time or octets.
    pub spent: bool,
}

impl Session {
    /// Whether media may pass at present.
    pub fn has_open_media(&self) -> bool {
        !self.spent && self.flows.iter().any(|flow| flow.open && !flow.place.rtcp)
    }

    /// The name of its quota in the kernel.
    pub fn quota_name(&self) -> Option<String> {
        let volume = self.volume?;
        Some(format!("{} {}", volume.generation, self.id))
    }

    /// What passed in all.
    pub fn usage(&self) -> Usage {
        self.places()
            .map(|(_, usage)| usage)
            .fold(Usage::default(), Usage::plus)
    }

    /// Packets on media flows.
    pub fn media_packets(&self) -> u64 {
        self.places()
            .filter(|(place, _)| !place.rtcp)
            .fold(0, |sum, (_, usage)| sum.saturating_add(usage.packets))
    }

    /// Adds the count of the flow that went first to that of the next that went the same way: media that moves again
    /// and again costs no memory.
    pub fn merge_oldest_past(&mut self) {
        merge_oldest(&mut self.past);
    }

    /// The report of what passed. Of flows in `begun` nothing is said: their counters have only begun.
    pub fn report(&self, begun: &[FlowKey]) -> Report {
        let mut places: Vec<(Place, Usage)> = self.places().collect();
        places.sort_by_key(|(place, _)| *place);
        let mut report = Report::default();
        for (place, usage) in &places {
            match place.direction {
                Direction::Uplink => report.uplink = report.uplink.plus(*usage),
                Direction::Downlink => report.downlink = report.downlink.plus(*usage),
            }
        }
        let mut components: Vec<u32> = places.iter().map(|(place, _)| place.component).collect();
        components.dedup();
        report.components = components
            .into_iter()
            .map(|component| MediaComponentDescription {
                media_component_number: component,
                media_sub_components: flows_of(&places, component),
                ..MediaComponentDescription::default()
            })
            .collect();
        let begun = self.flows.iter().filter(|flow| begun.contains(&flow.key));
        for Place {
            component, flow, ..
        } in begun.map(|flow| flow.place)
        {
            let of_it = report.components.iter_mut();
            of_it
                .filter(|it| it.media_component_number == component)
                .flat_map(|it| &mut it.media_sub_components)
                .filter(|it| it.flow_number == flow)
                .for_each(|it| it.used_service_unit = None);
        }
        report
    }

    fn places(&self) -> impl Iterator<Item = (Place, Usage)> {
        let past = self.past.iter().map(|(place, _, usage)| (*place, *usage));
        past.chain(self.flows.iter().map(|flow| (flow.place, flow.usage)))
    }
}

fn merge_oldest(past: &mut Vec<(Place, FlowKey, Usage)>) -> bool {
    let Some((place, _, usage)) = past.first().copied() else {
        return false;
    };
    let next = past
        .iter_mut()
        .skip(1)
        .find(|(other, _, _)| other.direction == place.direction && other.rtcp == place.rtcp);
    let Some(next) = next else {
        return false;
    };
    next.2 = next.2.plus(usage);
    past.remove(0);
    true
}

fn flows_of(places: &[(Place, Usage)], component: u32) -> Vec<MediaSubComponent> {
    let mut numbers: Vec<u32> = places
        .iter()
        .filter(|(place, _)| place.component == component)
        .map(|(place, _)| place.flow)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let sum = |flow: u32, direction: Direction| {
        places
            .iter()
            .filter(|(place, _)| {
                place.component == component && place.flow == flow && place.direction == direction
            })
            .fold(Usage::default(), |sum, (_, usage)| sum.plus(*usage))
    };
    numbers
        .into_iter()
        .map(|flow| MediaSubComponent {
            flow_number: flow,
            used_service_unit: Some(units(
                sum(flow, Direction::Uplink),
                sum(flow, Direction::Downlink),
            )),
            ..MediaSubComponent::default()
        })
        .collect()
}

/// Octets of both directions, and packets as service-specific units.
pub fn units(uplink: Usage, downlink: Usage) -> UsedServiceUnit {
    let all = uplink.plus(downlink);
    UsedServiceUnit {
        cc_total_octets: Some(all.octets),
        cc_input_octets: Some(uplink.octets),
        cc_output_octets: Some(downlink.octets),
        cc_service_specific_units: Some(all.packets),
        ..UsedServiceUnit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_added_up_by_direction_and_kind() {
        let key = |port: u16| {
            let end = |last: u8, port: u16| ([192, 0, 2, last], port).into();
            FlowKey::new(end(1, port), end(2, port)).unwrap()
        };
        let place = |direction, rtcp| Place {
            component: 1,
            flow: 1,
            direction,
            rtcp,
        };
        let usage = |octets| Usage { packets: 1, octets };
        let mut past = vec![
            (place(Direction::Uplink, false), key(1), usage(1)),
            (place(Direction::Downlink, false), key(2), usage(10)),
            (place(Direction::Uplink, true), key(3), usage(100)),
            (place(Direction::Uplink, false), key(4), usage(1000)),
        ];
        let merged = merge_oldest(&mut past);
        assert!(merged);
        let octets: Vec<u64> = past.iter().map(|(_, _, usage)| usage.octets).collect();
        assert_eq!(octets, [10, 100, 1001]);
    }
}
