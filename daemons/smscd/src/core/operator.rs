//! What the operator asks.

use std::sync::Arc;

use tollwire_runtime::clock::Now;
use tollwire_smpp::session::State;

use super::Core;
use super::link::{NO_MESSAGE, Role};
use crate::effect::{
    BindView, ClassView, DepthView, Effect, EsmeView, MessageView, Refusal, Reply, RouteView,
};
use crate::event::{LinkId, Operation};
use crate::message::{Kind, Message, MessageId, MessageState, Payer};
use crate::queue::Phase;
use crate::wire::{command, status, write};

impl Core {
    pub(super) fn operate(
        &mut self,
        now: Now,
        operation: Operation,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Refusal> {
        match operation {
            Operation::ListEsmes => Ok(Reply::Esmes(self.esmes_view())),
            Operation::ListBinds => Ok(Reply::Binds(self.binds_view())),
            Operation::ListRoutes => Ok(Reply::Routes(self.routes_view())),
            Operation::ListTariffClasses => Ok(Reply::Classes(self.classes_view(now))),
            Operation::QueueDepth => Ok(Reply::Depth(self.depth())),
            Operation::Trace { id } => self.trace(id).map(Box::new).map(Reply::Message),
            Operation::HoldRoute { name } => self.hold(now, &name, true),
            Operation::ReleaseRoute { name } => self.hold(now, &name, false),
            Operation::Disconnect { link } => {
                if !self.links.contains_key(&link) {
                    return Err(Refusal::NotFound(format!("there is no link {link}")));
                }
                self.disconnect(now, LinkId(link), effects);
                Ok(Reply::Done)
            }
            Operation::DisconnectEsme { system_id } => {
                let peer = self
                    .esmes
                    .get(&*system_id)
                    .and_then(|peer| self.peers.get(*peer as usize))
                    .ok_or_else(|| Refusal::NotFound(format!("there is no ESME {system_id}")))?;
                for link in peer.links.clone() {
                    self.disconnect(now, link, effects);
                }
                Ok(Reply::Done)
            }
        }
    }

    /// Says `unbind` and closes; its answer is not waited for.
    pub(super) fn disconnect(&mut self, now: Now, id: LinkId, effects: &mut Vec<Effect>) {
        if let Some(link) = self.links.get_mut(&id.0)
            && let Ok(sequence_number) =
                link.session
                    .send_request(now.instant, command::UNBIND, NO_MESSAGE)
        {
            write::header(&mut link.out, command::UNBIND, 0, sequence_number);
        }
        self.close(now, id, effects);
    }

    fn hold(&mut self, now: Now, name: &str, held: bool) -> Result<Reply, Refusal> {
        let lane = self
            .router
            .by_name(name)
            .ok_or_else(|| Refusal::NotFound(format!("there is no route {name}")))?;
        let Some(route) = self.router.route(lane) else {
            return Err(Refusal::NotFound(format!("there is no route {name}")));
        };
        if held {
            self.held.insert(route.settings.name.clone());
        } else {
            self.held.remove(name);
        }
        let target = route.target;
        self.queue.hold(now.unix_ms, lane, held);
        self.mark_target(target);
        Ok(Reply::Done)
    }

    fn esmes_view(&self) -> Vec<EsmeView> {
        let mut views: Vec<EsmeView> = self
            .esmes
            .values()
            .filter_map(|index| Some((*index, self.peers.get(*index as usize)?)))
            .map(|(index, peer)| EsmeView {
                system_id: (&*peer.name).into(),
                binds: peer.links.len(),
                messages: peer.messages,
                receipts: self
                    .queue
                    .lane(self.router.receipts_lane(index))
                    .map_or(0, |lane| lane.messages),
            })
            .collect();
        views.sort_by(|one, other| one.system_id.cmp(&other.system_id));
        views
    }

    fn binds_view(&self) -> Vec<BindView> {
        let mut views: Vec<BindView> = self
            .links
            .values()
            .map(|link| BindView {
                link: link.id.0,
                peer: link
                    .peer
                    .and_then(|peer| self.peers.get(peer as usize))
                    .map_or_else(Box::default, |peer| (&*peer.name).into()),
                role: match link.role {
                    Role::Server { .. } => "esme",
                    Role::Client { .. } => "upstream",
                },
                remote: Self::remote(link).map_or_else(String::new, |remote| remote.to_string()),
                state: match link.session.state() {
                    State::Open | State::Outbound => "open",
                    State::BoundTx => "bound-tx",
                    State::BoundRx => "bound-rx",
                    State::BoundTrx => "bound-trx",
                    State::Unbound | State::Closed => "unbound",
                },
                in_flight: link.session.unanswered(),
                backlog_octets: link.backlog,
                received: link.received,
                delivered: link.delivered,
            })
            .collect();
        views.sort_by_key(|view| view.link);
        views
    }

    fn classes_view(&self, now: Now) -> Vec<ClassView> {
        let tariffs = &self.settings.tariffs;
        tariffs
            .all()
            .map(|class| ClassView {
                class: class.clone(),
                in_force: tariffs
                    .find(class.number, now.unix_ms)
                    .is_some_and(|counts| std::ptr::eq(counts, class)),
            })
            .collect()
    }

    fn routes_view(&self) -> Vec<RouteView> {
        (0..)
            .zip(self.router.routes())
            .map(|(lane, route)| RouteView {
                name: (&*route.settings.name).into(),
                destination_prefix: route.settings.destination_prefix.clone(),
                target: self
                    .router
                    .peers(route.target)
                    .iter()
                    .filter_map(|peer| self.peers.get(*peer as usize))
                    .map(|peer| (&*peer.name).into())
                    .collect(),
                held: self.held.contains(&route.settings.name),
                messages: self.queue.lane(lane).map_or(0, |lane| lane.messages),
            })
            .collect()
    }

    /// How much is kept. Looks at every message: for the operator, not for each turn.
    pub fn depth(&self) -> DepthView {
        let mut view = DepthView {
            messages: self.queue.len(),
            receipts: self.queue.receipts(),
            destinations: self.queue.destinations(),
            octets: self.queue.octets(),
            unstored: self.pending.len() + self.lost.len(),
            records: self.records.len(),
            unsettled: self.settlements.len(),
            ..DepthView::default()
        };
        for (_, item) in self.queue.items() {
            match item.phase {
                Phase::InFlight => view.in_flight += 1,
                Phase::AwaitingReceipt => view.awaiting_receipt += 1,
                _ => view.waiting += 1,
            }
        }
        view
    }

    fn trace(&self, number: u64) -> Result<MessageView, Refusal> {
        let unknown = || Refusal::NotFound(format!("message {number} is not known any more"));
        let id = MessageId::new(number).ok_or_else(unknown)?;
        if let Some(item) = self.queue.find(id).and_then(|slot| self.queue.item(slot)) {
            let state = match item.phase {
                Phase::Scheduled => MessageState::Scheduled,
                _ => MessageState::Enroute,
            };
            let next = match item.phase {
                Phase::Scheduled => item.message.schedule_unix_ms,
                Phase::Waiting => Some(item.progress.next_attempt_unix_ms).filter(|at| *at > 0),
                _ => None,
            };
            return Ok(MessageView {
                phase: item.phase.name(),
                route: self
                    .router
                    .route(item.lane)
                    .map(|route| (&*route.settings.name).into()),
                attempts: item.progress.attempts,
                last_status: status::name(item.progress.last_status),
                next_hop: item.progress.next_hop.as_deref().map(Into::into),
                upstream_message_id: item.progress.upstream_message_id.clone(),
                next_attempt_unix_ms: next,
                ..view(&item.message, state)
            });
        }
        let ended = self.remembered.find(id).ok_or_else(unknown)?;
        Ok(MessageView {
            phase: "final",
            attempts: ended.attempts,
            last_status: status::name(ended.status),
            next_hop: ended.next_hop.as_deref().map(Into::into),
            upstream_message_id: ended.upstream_message_id.clone(),
            done_unix_ms: Some(ended.at_unix_ms),
            ..view(&ended.message, ended.state)
        })
    }
}

fn view(message: &Arc<Message>, state: MessageState) -> MessageView {
    let charge = message.charge.as_ref();
    MessageView {
        id: message.id.to_string(),
        receipt_of: match message.kind {
            Kind::Short => None,
            Kind::Receipt { of } => Some(of.to_string()),
        },
        submitter: (&*message.submitter).into(),
        source: message.source.digits.clone(),
        destination: message.destination.digits.clone(),
        state: state.name(),
        phase: "",
        route: None,
        attempts: 0,
        last_status: "",
        next_hop: None,
        upstream_message_id: None,
        accepted_unix_ms: message.accepted_unix_ms,
        next_attempt_unix_ms: None,
        expires_unix_ms: message.expires_unix_ms,
        done_unix_ms: None,
        amount_micro: charge.map(|charge| charge.amount_micro),
        currency: charge.map(|charge| String::from_utf8_lossy(&charge.currency).into_owned()),
        class: charge.and_then(|charge| charge.class),
        payer: charge.map(|charge| match &charge.payer {
            Payer::Receiver => "receiver".to_owned(),
            Payer::Sender => "sender".to_owned(),
            Payer::ThirdParty(account) => account.to_string(),
        }),
    }
}
