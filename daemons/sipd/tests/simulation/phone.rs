//! A scripted phone on a transaction layer of its own.

use bytes::Bytes;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tollwire_sip::transaction::{
    ClientTransactionId, Flow, Limits, Output, ServerTransactionId, Timers, TransactionLayer,
    Transport,
};
use tollwire_sip::{HeaderName, Message, Method, RequestBuilder};

/// What a phone does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Invite,
    Cancel,
    Answer,
    Decline,
    Hold,
    Info,
    Bye,
    RepeatAnswer,
}

#[derive(Debug, Default)]
struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    sequence: u32,
}

pub struct Phone {
    pub address: SocketAddr,
    proxy: SocketAddr,
    layer: TransactionLayer,
    name: String,
    counter: u64,
    dialog: Option<Dialog>,
    invite: Option<ClientTransactionId>,
    incoming: Option<(ServerTransactionId, Message)>,
    answer: Option<(ServerTransactionId, Message, Duration, Instant)>,
    /// Answer this long after ringing; `None`: ring for ever.
    pub answer_after: Option<Duration>,
    /// Answer with a description in a 183 first.
    pub early: bool,
    /// Ring reliably (RFC 3262).
    pub reliable: bool,
    /// Never acknowledge a 2xx.
    pub never_acks: bool,
    /// Put no offer into the INVITE.
    pub late_offer: bool,
    /// Supports RFC 4028, and never refreshes.
    pub knows_timers: bool,
    /// Hears and says nothing.
    pub gone: bool,
    /// Final status of the INVITE, as the caller saw it.
    pub final_status: Option<u16>,
    pub answered: bool,
    pub byes_received: u32,
    pub plan: Vec<(Instant, Action)>,
    cancelled: bool,
    over: bool,
    patience: u32,
    pub pracked: bool,
    /// Highest CSeq of the other party.
    remote_sequence: u32,
}

impl Phone {
    pub fn new(address: &str, proxy: SocketAddr, name: &str) -> Self {
        Self {
            address: address.parse().unwrap(),
            proxy,
            layer: TransactionLayer::new(Timers::default(), Limits::default()),
            name: name.into(),
            counter: 0,
            dialog: None,
            invite: None,
            incoming: None,
            answer: None,
            answer_after: Some(Duration::from_millis(300)),
            early: false,
            reliable: false,
            never_acks: false,
            late_offer: false,
            knows_timers: false,
            gone: false,
            final_status: None,
            answered: false,
            byes_received: 0,
            plan: Vec::new(),
            cancelled: false,
            over: false,
            patience: 200,
            pracked: false,
            remote_sequence: 0,
        }
    }

    /// Whether a dialog is still up at this phone.
    pub fn is_in_call(&self) -> bool {
        self.dialog.is_some() && !self.over
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        let plan = self.plan.iter().map(|(at, _)| *at).min();
        [self.layer.next_deadline(), plan]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn receive(&mut self, now: Instant, bytes: Bytes, sent: &mut Vec<Bytes>) {
        if self.gone {
            return;
        }
        let message = Message::parse(bytes).expect("the proxy sends sound messages");
        message.check().expect("the proxy sends complete messages");
        let flow = self.flow();
        let mut out = Vec::new();
        self.layer.receive(now, flow, message, &mut out);
        self.work(now, out, sent);
    }

    pub fn tick(&mut self, now: Instant, sent: &mut Vec<Bytes>) {
        let mut out = Vec::new();
        self.layer.tick(now, &mut out);
        self.work(now, out, sent);
        while let Some(at) = self.plan.iter().position(|(at, _)| *at <= now) {
            let (_, action) = self.plan.remove(at);
            if !self.gone {
                self.act(now, action, sent);
            }
        }
    }

    fn act(&mut self, now: Instant, action: Action, sent: &mut Vec<Bytes>) {
        let mut out = Vec::new();
        match action {
            Action::Invite => {
                let via = self.via();
                let mut builder = RequestBuilder::new(Method::Invite, "sip:bob@example.org")
                    .header(HeaderName::Via, &via)
                    .header(HeaderName::MaxForwards, "70")
                    .header(HeaderName::From, "<sip:alice@example.org>;tag=caller")
                    .header(HeaderName::To, "<sip:bob@example.org>")
                    .header(HeaderName::CallId, "simulated@caller")
                    .header(HeaderName::CSeq, "1 INVITE")
                    .header(HeaderName::Contact, &self.contact());
                if self.knows_timers {
                    builder = builder.header(HeaderName::Supported, "timer");
                }
                if !self.late_offer {
                    builder = builder.body("application/sdp", self.description("sendrecv"));
                }
                let flow = self.flow();
                self.invite = Some(
                    self.layer
                        .send_request(now, flow, builder.build(), &mut out),
                );
            }
            Action::Cancel => {
                if let (Some(invite), None) = (self.invite, self.final_status) {
                    self.cancelled = true;
                    self.layer.cancel(now, invite, &mut out);
                } else if self.is_in_call() {
                    self.plan.push((now, Action::Bye));
                }
            }
            Action::Answer => {
                if let Some((id, invite)) = self.incoming.take() {
                    let response = self.success(&invite);
                    self.begin_dialog_as_callee(&invite, &response);
                    self.layer.respond(now, id, response.clone(), &mut out);
                    let first = Duration::from_millis(500);
                    let until = now + Duration::from_secs(32);
                    self.answer = Some((id, response, first, until));
                    self.answered = true;
                    self.plan.push((now + first, Action::RepeatAnswer));
                }
            }
            Action::RepeatAnswer => {
                if let Some((id, response, interval, until)) = self.answer.take() {
                    if now >= until {
                        // RFC 3261 13.3.1.4: no ACK came.
                        self.work(now, std::mem::take(&mut out), sent);
                        self.act(now, Action::Bye, sent);
                        return;
                    }
                    self.layer.respond(now, id, response.clone(), &mut out);
                    let next = (interval * 2).min(Duration::from_secs(4));
                    self.plan.push((now + next, Action::RepeatAnswer));
                    self.answer = Some((id, response, next, until));
                }
            }
            Action::Decline => {
                if let Some((id, invite)) = self.incoming.take() {
                    let response = Message::response_to(&invite, 486, "")
                        .to_tag(&self.name)
                        .build();
                    self.layer.respond(now, id, response, &mut out);
                }
            }
            Action::Hold => {
                if self.is_in_call() {
                    let body = self.description("sendonly");
                    let request = self.in_dialog(Method::Invite, Some(body));
                    let flow = self.flow();
                    self.layer.send_request(now, flow, request, &mut out);
                }
            }
            Action::Info => {
                if self.is_in_call() {
                    let request = self.in_dialog(Method::Info, None);
                    let flow = self.flow();
                    self.layer.send_request(now, flow, request, &mut out);
                }
            }
            Action::Bye => {
                if self.is_in_call() {
                    let request = self.in_dialog(Method::Bye, None);
                    let flow = self.flow();
                    self.layer.send_request(now, flow, request, &mut out);
                    self.over = true;
                } else if !self.over && self.final_status.is_none_or(|status| status < 300) {
                    // The answer is late: hang up when it came.
                    self.patience = self.patience.saturating_sub(1);
                    if self.patience > 0 {
                        self.plan.push((now + Duration::from_secs(1), Action::Bye));
                    }
                }
            }
        }
        self.work(now, out, sent);
    }

    fn work(&mut self, now: Instant, outputs: Vec<Output>, sent: &mut Vec<Bytes>) {
        for output in outputs {
            match output {
                Output::Send { bytes, .. } => sent.push(bytes),
                Output::Request { id, message, .. } => self.request(now, id, &message, sent),
                Output::Response { message, .. } => self.response(now, &message, sent),
                Output::Ack { .. } => self.answer = None,
                Output::Cancel {
                    id,
                    invite,
                    message,
                    ..
                } => {
                    let status = if invite.is_some() { 200 } else { 481 };
                    let response = Message::response_to(&message, status, "")
                        .to_tag(&self.name)
                        .build();
                    let mut out = Vec::new();
                    self.layer.respond(now, id, response, &mut out);
                    if let Some((id, request)) = self.incoming.take() {
                        let response = Message::response_to(&request, 487, "")
                            .to_tag(&self.name)
                            .build();
                        self.layer.respond(now, id, response, &mut out);
                    }
                    self.work(now, out, sent);
                }
                Output::TimedOut { .. } | Output::TransportFailed { .. }
                    if self.invite.is_some() =>
                {
                    self.final_status.get_or_insert(408);
                }
                _ => {}
            }
        }
    }

    fn request(
        &mut self,
        now: Instant,
        id: ServerTransactionId,
        message: &Message,
        sent: &mut Vec<Bytes>,
    ) {
        let mut out = Vec::new();
        let in_dialog = message.to().unwrap().tag().is_some();
        let number = message.cseq().unwrap().number;
        // RFC 3261 12.2.2.
        let is_out_of_order = in_dialog && number <= self.remote_sequence;
        self.remote_sequence = self.remote_sequence.max(number);
        let response = match message.method() {
            Method::Invite if !in_dialog => {
                self.incoming = Some((id, message.clone()));
                if let Some(after) = self.answer_after {
                    self.plan.push((now + after, Action::Answer));
                }
                if self.early {
                    let mut early = self.success(message);
                    early = rebuilt(&early, message, 183);
                    early
                } else {
                    let mut ringing = Message::response_to(message, 180, "").to_tag(&self.name);
                    for route in message.headers(HeaderName::RecordRoute) {
                        ringing = ringing.header(HeaderName::RecordRoute, route);
                    }
                    if self.reliable {
                        ringing = ringing
                            .header(HeaderName::Require, "100rel")
                            .header(HeaderName::RSeq, "1");
                    }
                    ringing.header(HeaderName::Contact, &self.contact()).build()
                }
            }
            Method::Prack => {
                self.pracked = true;
                Message::response_to(message, 200, "").build()
            }
            Method::Bye if is_out_of_order && self.is_in_call() => {
                Message::response_to(message, 500, "").build()
            }
            _ if !self.is_in_call() && *message.method() != Method::Bye => {
                Message::response_to(message, 481, "").build()
            }
            Method::Invite => self.success(message),
            Method::Bye => {
                self.byes_received += 1;
                self.over = true;
                self.answer = None;
                Message::response_to(message, 200, "").build()
            }
            _ => Message::response_to(message, 200, "").build(),
        };
        self.layer.respond(now, id, response, &mut out);
        self.work(now, out, sent);
    }

    fn response(&mut self, now: Instant, message: &Message, sent: &mut Vec<Bytes>) {
        let status = message.status().unwrap();
        if *message.method() != Method::Invite {
            return;
        }
        if status < 200 {
            if message.lists(HeaderName::Require, "100rel") && !self.pracked {
                self.acknowledge_provisional(now, message, sent);
            }
            return;
        }
        let number = message.cseq().unwrap().number;
        if status >= 300 {
            if number == 1 {
                self.final_status.get_or_insert(status);
            }
            return;
        }
        if number == 1 && self.dialog.is_none() {
            self.final_status = Some(status);
            self.answered = true;
            let mut routes: Vec<String> = message
                .headers(HeaderName::RecordRoute)
                .map(str::to_owned)
                .collect();
            routes.reverse();
            self.dialog = Some(Dialog {
                call_id: message.call_id().unwrap().into(),
                local: message.header(HeaderName::From).unwrap().into(),
                remote: message.header(HeaderName::To).unwrap().into(),
                target: message.contact().unwrap().uri.into(),
                routes,
                sequence: 1 + u32::from(self.pracked),
            });
        }
        if !self.never_acks {
            let body = (self.late_offer && number == 1).then(|| self.description("sendrecv"));
            let mut ack = self.in_dialog(Method::Ack, body);
            ack.set(HeaderName::CSeq, &format!("{number} ACK"));
            sent.push(ack.to_bytes());
        }
        if self.cancelled && !self.over {
            // The answer crossed our CANCEL.
            self.act(now, Action::Bye, sent);
        }
    }

    fn acknowledge_provisional(&mut self, now: Instant, ringing: &Message, sent: &mut Vec<Bytes>) {
        self.pracked = true;
        let via = self.via();
        let mut routes: Vec<&str> = ringing.headers(HeaderName::RecordRoute).collect();
        routes.reverse();
        let mut builder = RequestBuilder::new(Method::Prack, ringing.contact().unwrap().uri)
            .header(HeaderName::Via, &via)
            .header(HeaderName::MaxForwards, "70");
        for route in routes {
            builder = builder.header(HeaderName::Route, route);
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
            builder = builder.header(name, ringing.header(name).unwrap());
        }
        let prack = builder
            .header(HeaderName::CSeq, "2 PRACK")
            .header(HeaderName::RAck, "1 1 INVITE")
            .build();
        let (flow, mut out) = (self.flow(), Vec::new());
        self.layer.send_request(now, flow, prack, &mut out);
        self.work(now, out, sent);
    }

    fn success(&self, request: &Message) -> Message {
        let mut builder = Message::response_to(request, 200, "").to_tag(&self.name);
        for route in request.headers(HeaderName::RecordRoute) {
            builder = builder.header(HeaderName::RecordRoute, route);
        }
        let offered = std::str::from_utf8(request.body()).unwrap_or_default();
        let direction = if offered.contains("sendonly") {
            "recvonly"
        } else {
            "sendrecv"
        };
        builder
            .header(HeaderName::Contact, &self.contact())
            .body("application/sdp", self.description(direction))
            .build()
    }

    fn begin_dialog_as_callee(&mut self, request: &Message, response: &Message) {
        self.over = false;
        self.dialog = Some(Dialog {
            call_id: request.call_id().unwrap().into(),
            local: response.header(HeaderName::To).unwrap().into(),
            remote: request.header(HeaderName::From).unwrap().into(),
            target: request.contact().unwrap().uri.into(),
            routes: request
                .headers(HeaderName::RecordRoute)
                .map(str::to_owned)
                .collect(),
            sequence: 100,
        });
    }

    fn in_dialog(&mut self, method: Method, body: Option<String>) -> Message {
        let via = self.via();
        let contact = self.contact();
        let dialog = self.dialog.as_mut().unwrap();
        if method != Method::Ack {
            dialog.sequence += 1;
        }
        let mut builder = RequestBuilder::new(method.clone(), &dialog.target)
            .header(HeaderName::Via, &via)
            .header(HeaderName::MaxForwards, "70");
        for route in &dialog.routes {
            builder = builder.header(HeaderName::Route, route);
        }
        builder = builder
            .header(HeaderName::From, &dialog.local)
            .header(HeaderName::To, &dialog.remote)
            .header(HeaderName::CallId, &dialog.call_id)
            .header(HeaderName::CSeq, &format!("{} {method}", dialog.sequence))
            .header(HeaderName::Contact, &contact);
        if let Some(body) = body {
            builder = builder.body("application/sdp", body);
        }
        builder.build()
    }

    fn via(&mut self) -> String {
        self.counter += 1;
        format!(
            "SIP/2.0/UDP {};rport;branch=z9hG4bK{}{}",
            self.address, self.name, self.counter
        )
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.name, self.address)
    }

    fn description(&self, direction: &str) -> String {
        let ip = self.address.ip();
        format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\na={direction}\r\n"
        )
    }

    fn flow(&self) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.address,
            remote: self.proxy,
        }
    }
}

/// The same header fields and body under another status.
fn rebuilt(response: &Message, request: &Message, status: u16) -> Message {
    let mut builder =
        Message::response_to(request, status, "").to_tag(response.to().unwrap().tag().unwrap());
    for name in [HeaderName::RecordRoute, HeaderName::Contact] {
        for value in response.headers(name) {
            builder = builder.header(name, value);
        }
    }
    builder
        .body("application/sdp", response.body_bytes())
        .build()
}
