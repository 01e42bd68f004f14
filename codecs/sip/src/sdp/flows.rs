//! What an offer and its answer agree on (RFC 3264).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use thiserror::Error;

use super::{MediaKind, MediaLine, SessionDescription};

/// Why an answer does not fit its offer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlowError {
    /// RFC 3264 6: for each media line of the offer there must be one in the answer.
    #[error("the answer has {answer} media lines, the offer {offer}")]
    MediaCount {
        /// Media lines of the offer.
        offer: usize,
        /// Media lines of the answer.
        answer: usize,
    },
    /// RFC 3264 6.1: the media line, from 1, is of another kind in the answer.
    #[error("media line {0} changes its kind")]
    Kind(usize),
    /// Both sides agree on a transport other than UDP; the gate cannot watch it.
    #[error("media line {0} does not travel over UDP")]
    Transport(usize),
    /// One side receives over IPv4, the other over IPv6.
    #[error("media line {0} mixes address families")]
    AddressFamily(usize),
}

/// Where one side receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// RTP, or whatever the media line carries.
    pub rtp: SocketAddr,
    /// RTCP, where it has a port of its own: not if it is multiplexed or the media is not RTP.
    pub rtcp: Option<SocketAddr>,
}

impl Endpoint {
    const NONE: Self = Self {
        rtp: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        rtcp: None,
    };
}

/// In which directions a flow is open. RTCP goes both ways unless the flow is removed (RFC 3264 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowDirection {
    /// Both ways.
    Sendrecv,
    /// From the side that made the offer to the other.
    OffererToAnswerer,
    /// From the side that answered to the other.
    AnswererToOfferer,
    /// Neither, for now: hold.
    Inactive,
    /// The media line is rejected or ended (port 0); its endpoints are unspecified.
    Removed,
}

impl FlowDirection {
    /// The same direction with the two sides' parts exchanged.
    pub fn reversed(self) -> Self {
        match self {
            Self::OffererToAnswerer => Self::AnswererToOfferer,
            Self::AnswererToOfferer => Self::OffererToAnswerer,
            other => other,
        }
    }
}

/// One media line as both sides agreed on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFlow {
    /// The place of its media line, from 1: the Media-Component-Number of 3GPP TS 29.214 5.3.17.
    pub number: u32,
    /// What it carries.
    pub kind: MediaKind,
    /// Where the offerer receives. Unspecified, port 0, if the flow is removed or held with 0.0.0.0.
    pub offerer: Endpoint,
    /// Where the answerer receives. Unspecified, port 0, if the flow is removed or held with 0.0.0.0.
    pub answerer: Endpoint,
    /// Where media may pass.
    pub direction: FlowDirection,
    /// Bandwidth the offerer wants to receive at most, kbit/s.
    pub bandwidth_to_offerer: Option<u64>,
    /// Bandwidth the answerer wants to receive at most, kbit/s.
    pub bandwidth_to_answerer: Option<u64>,
}

impl MediaFlow {
    /// The flow as seen when the two sides' parts are exchanged: for an answer that is, in the dialog, the caller's.
    pub fn reversed(self) -> Self {
        Self {
            offerer: self.answerer,
            answerer: self.offerer,
            direction: self.direction.reversed(),
            bandwidth_to_offerer: self.bandwidth_to_answerer,
            bandwidth_to_answerer: self.bandwidth_to_offerer,
            ..self
        }
    }
}

/// The flows that `offer` and `answer` agree on, one per media line of the offer.
pub fn flows(
    offer: &SessionDescription,
    answer: &SessionDescription,
) -> Result<Vec<MediaFlow>, FlowError> {
    let (offer, answer) = (offer.media(), answer.media());
    if offer.len() != answer.len() {
        return Err(FlowError::MediaCount {
            offer: offer.len(),
            answer: answer.len(),
        });
    }
    offer
        .iter()
        .zip(answer)
        .enumerate()
        .map(|(index, (offer, answer))| flow(offer, answer, index + 1))
        .collect()
}

fn flow(offer: &MediaLine, answer: &MediaLine, number: usize) -> Result<MediaFlow, FlowError> {
    let mut flow = MediaFlow {
        number: number as u32,
        kind: offer.kind.clone(),
        offerer: Endpoint::NONE,
        answerer: Endpoint::NONE,
        direction: FlowDirection::Removed,
        bandwidth_to_offerer: offer.bandwidth,
        bandwidth_to_answerer: answer.bandwidth,
    };
    // 6: a port of 0 in the answer rejects the line; 5.1: in the offer, it ends it.
    if !offer.is_used() || !answer.is_used() {
        return Ok(flow);
    }
    if offer.kind != answer.kind {
        return Err(FlowError::Kind(number));
    }
    if !offer.is_udp() || !answer.is_udp() {
        return Err(FlowError::Transport(number));
    }
    // 8.4: to an unspecified address neither RTP nor RTCP is sent; and what comes from there
    // has no address to be let through by.
    let (Some(offerer), Some(answerer)) = (offer.address, answer.address) else {
        flow.direction = FlowDirection::Inactive;
        return Ok(flow);
    };
    if offerer.is_ipv4() != answerer.is_ipv4() {
        return Err(FlowError::AddressFamily(number));
    }
    // RFC 5761 5.1.1: multiplexed only if both sides say so.
    let muxed = offer.rtcp_mux && answer.rtcp_mux;
    flow.offerer = endpoint(offer, offerer, muxed);
    flow.answerer = endpoint(answer, answerer, muxed);
    let forth = offer.direction.sends() && answer.direction.receives();
    let back = offer.direction.receives() && answer.direction.sends();
    flow.direction = match (forth, back) {
        (true, true) => FlowDirection::Sendrecv,
        (true, false) => FlowDirection::OffererToAnswerer,
        (false, true) => FlowDirection::AnswererToOfferer,
        (false, false) => FlowDirection::Inactive,
    };
    Ok(flow)
}

fn endpoint(line: &MediaLine, address: IpAddr, muxed: bool) -> Endpoint {
    let rtp = SocketAddr::new(address, line.port);
    let rtcp = if muxed || !line.is_rtp() {
        None
    } else {
        // RFC 3550 11: the next port, unless RFC 3605's attribute names another.
        line.rtcp.or_else(|| {
            line.port
                .checked_add(1)
                .map(|port| SocketAddr::new(address, port))
        })
    };
    Endpoint {
        rtp,
        rtcp: rtcp.filter(|rtcp| *rtcp != rtp),
    }
}
