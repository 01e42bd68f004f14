//! An AAR as flows.

use std::net::{IpAddr, SocketAddr};

use tollwire_diameter::rx::{AaRequest, FlowStatus, FlowUsage, MediaComponentDescription};
use tollwire_diameter::{FilterAction, FilterDirection, FilterEndpoint, IpFilterRule};

use super::session::{Direction, Flow, Place};
use crate::effect::{Answer, Code};
use crate::flow::{FlowKey, Usage};

/// Components of one request.
const MAX_COMPONENTS: usize = 16;
/// Flows of one component.
const MAX_FLOWS: usize = 8;
const UDP: u8 = 17;

/// What a request says of one component: its flows, all of them; none if it is removed.
pub(super) struct Component {
    pub(super) number: u32,
    pub(super) flows: Vec<Flow>,
}

pub(super) fn components(request: &AaRequest) -> Result<Vec<Component>, Answer> {
    let described = &request.media_component_descriptions;
    if described.len() > MAX_COMPONENTS {
        return Err(invalid(format!(
            "more than {MAX_COMPONENTS} media components"
        )));
    }
    described.iter().map(component).collect()
}

fn component(described: &MediaComponentDescription) -> Result<Component, Answer> {
    let number = described.media_component_number;
    let mut flows = Vec::new();
    if described.flow_status == Some(FlowStatus::Removed) {
        return Ok(Component { number, flows });
    }
    if described.media_sub_components.len() > MAX_FLOWS {
        return Err(invalid(format!(
            "component {number}: more than {MAX_FLOWS} flows"
        )));
    }
    for sub_component in &described.media_sub_components {
        let status = sub_component
            .flow_status
            .or(described.flow_status)
            .unwrap_or(FlowStatus::Enabled);
        if status == FlowStatus::Removed {
            continue;
        }
        // TS 29.214 5.3.8: one filter a direction at the most.
        if sub_component.flow_descriptions.len() > 2 {
            return Err(invalid(format!(
                "component {number}: more than two filters in a flow"
            )));
        }
        for rule in &sub_component.flow_descriptions {
            let (direction, key) = exact(rule)?;
            let open = match direction {
                Direction::Uplink => {
                    matches!(status, FlowStatus::Enabled | FlowStatus::EnabledUplink)
                }
                Direction::Downlink => {
                    matches!(status, FlowStatus::Enabled | FlowStatus::EnabledDownlink)
                }
            };
            flows.push(Flow {
                place: Place {
                    component: number,
                    flow: sub_component.flow_number,
                    direction,
                    rtcp: sub_component.flow_usage == Some(FlowUsage::Rtcp),
                },
                key,
                open,
                usage: Usage::default(),
            });
        }
    }
    Ok(Component { number, flows })
}

/// `permit in|out 17 from ADDRESS PORT to ADDRESS PORT`: a gate is one pair of transport addresses, nothing wider.
fn exact(rule: &IpFilterRule) -> Result<(Direction, FlowKey), Answer> {
    let restricted = || Answer::Refused {
        code: Code::FilterRestrictions,
        message: format!("{rule}: only UDP between two exact addresses and ports"),
    };
    if rule.action != FilterAction::Permit || rule.protocol != Some(UDP) || !rule.options.is_empty()
    {
        return Err(restricted());
    }
    let end = |end: &FilterEndpoint| -> Option<SocketAddr> {
        let address = end.single_address().filter(|_| !end.inverted)?;
        let usable = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
        let broadcast = address == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
        let port = end.single_port().filter(|port| *port != 0)?;
        (usable && !broadcast).then(|| SocketAddr::new(address, port))
    };
    let key = end(&rule.source)
        .zip(end(&rule.destination))
        .and_then(|(source, destination)| FlowKey::new(source, destination))
        .ok_or_else(restricted)?;
    let direction = match rule.direction {
        FilterDirection::In => Direction::Uplink,
        FilterDirection::Out => Direction::Downlink,
    };
    Ok((direction, key))
}

/// Octets in all that the session may pass, if the request limits them.
pub(super) fn granted(request: &AaRequest) -> Option<u64> {
    let data = request.sponsored_connectivity_data.as_ref()?;
    data.granted_service_unit.as_ref()?.cc_total_octets
}

/// Packets to a port outside of the guarded ones pass without a gate: no quota would end them, and no counter see them.
pub(super) fn limitable<'a>(
    mut flows: impl Iterator<Item = &'a Flow>,
    (first, last): (u16, u16),
) -> Result<(), Answer> {
    let free = flows.find(|flow| !(first..=last).contains(&flow.key.destination().port()));
    free.map_or(Ok(()), |flow| {
        Err(Answer::Refused {
            code: Code::FilterRestrictions,
            message: format!(
                "{}: a quota, and a port outside of {first} to {last}, which are guarded ([table] first_port, last_port)",
                flow.key
            ),
        })
    })
}

pub(super) fn invalid(message: String) -> Answer {
    Answer::Refused {
        code: Code::InvalidServiceInformation,
        message,
    }
}
