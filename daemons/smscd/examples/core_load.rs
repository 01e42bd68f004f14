//! What a message costs the core, end to end with its receipt: `submit_sm` stored and answered, delivered, its record
//! and receipt made, the receipt delivered.
//!
//! `cargo run --release -p tollwire-smscd --example core_load [messages] [window] [destinations]`

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_runtime::clock::Now;
use tollwire_smscd::core::Core;
use tollwire_smscd::effect::Effect;
use tollwire_smscd::entry::Recovered;
use tollwire_smscd::event::{Event, Frame, LinkId};
use tollwire_smscd::settings::{
    Charging, EsmeSettings, FinalOn, RecordRole, RouteSettings, Settings, Target, TariffOnNextHop,
};

const SUBMIT_SM: u32 = 4;
const DELIVER_SM: u32 = 5;
const RESPONSE: u32 = 0x8000_0000;

fn settings(window: u32) -> Settings {
    let esme = |name: &str| EsmeSettings {
        system_id: name.into(),
        password_hash: name.into(),
        window,
        ..EsmeSettings::default()
    };
    Settings {
        system_id: "smsc".into(),
        esmes: vec![esme("app"), esme("phone")],
        routes: vec![RouteSettings {
            name: "all".into(),
            destination_prefix: "".into(),
            source_esmes: Vec::new(),
            target: Target::Receivers(vec!["phone".into()]),
            default_charge: None,
            charging: Charging::Record,
            record: RecordRole::Here,
            tariff_on_next_hop: TariffOnNextHop::Unchanged,
            final_on: FinalOn::Receipt,
            destination_window: 1,
            data_sm: false,
        }],
        ..Settings::default()
    }
}

fn frame(command_id: u32, sequence_number: u32, body: Bytes) -> Frame {
    Frame {
        command_id,
        command_status: 0,
        sequence_number,
        body,
    }
}

fn submit_sm(destination: u64) -> Bytes {
    let mut body = b"\0\x01\x011000\0\x01\x01".to_vec();
    body.extend_from_slice(format!("49170{destination:07}\0").as_bytes());
    body.extend_from_slice(b"\0\0\0\0\0\x01\0\0\0");
    let text = b"An ordinary short message of some eighty characters, as they come all day long.";
    body.push(u8::try_from(text.len()).unwrap());
    body.extend_from_slice(text);
    body.into()
}

/// The heads of the PDUs in `octets`.
fn heads(mut octets: &[u8], out: &mut VecDeque<(u32, u32)>) {
    while !octets.is_empty() {
        let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
        out.push_back((word(4), word(12)));
        octets = &octets[word(0) as usize..];
    }
}

struct World {
    core: Core,
    effects: Vec<Effect>,
    spent: Duration,
    stored: u64,
    unstored: u64,
    records: u64,
    unrecorded: u64,
    app: VecDeque<(u32, u32)>,
    phone: VecDeque<(u32, u32)>,
    octets: u64,
}

impl World {
    fn event(&mut self, event: Event) {
        let now = Now::read();
        let begin = Instant::now();
        self.core.handle(now, event, &mut self.effects);
        self.spent += begin.elapsed();
        self.perform();
    }

    fn perform(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Send { link, octets } => {
                    self.octets += octets.len() as u64;
                    let queue = if link == LinkId(1) {
                        &mut self.app
                    } else {
                        &mut self.phone
                    };
                    heads(&octets, queue);
                }
                Effect::Store(_) => self.unstored += 1,
                Effect::Record(_) => self.unrecorded += 1,
                Effect::CheckPassword { link, .. } => {
                    self.event(Event::PasswordChecked { link, ok: true });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn bind(&mut self, link: LinkId, name: &str) {
        self.event(Event::Accepted {
            link,
            remote: [127, 0, 0, 1].into(),
            tls_client_name: None,
        });
        let body = format!("{name}\0x\0\0\x34\0\0\0");
        let frames = vec![frame(9, 1, body.into_bytes().into())];
        self.event(Event::Frames { link, frames });
    }

    /// A group commit, and what the record files took.
    fn disk(&mut self) {
        if self.unstored > 0 {
            self.stored += std::mem::take(&mut self.unstored);
            let up_to = self.stored;
            self.event(Event::Stored { up_to });
        }
        if self.unrecorded > 0 {
            self.records += std::mem::take(&mut self.unrecorded);
            let up_to = self.records;
            self.event(Event::RecordsStored { up_to });
        }
    }
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().unwrap());
    let messages = arguments.next().unwrap_or(500_000);
    let window = arguments.next().unwrap_or(100);
    let destinations = arguments.next().unwrap_or(100_000);
    let bodies: Vec<Bytes> = (0..destinations).map(submit_sm).collect();
    let mut effects = Vec::new();
    let settings = settings(u32::try_from(window).unwrap());
    let core = Core::new(Now::read(), settings, Recovered::default(), &mut effects);
    let mut world = World {
        core,
        effects,
        spent: Duration::ZERO,
        stored: 0,
        unstored: 0,
        records: 0,
        unrecorded: 0,
        app: VecDeque::new(),
        phone: VecDeque::new(),
        octets: 0,
    };
    world.bind(LinkId(1), "app");
    world.bind(LinkId(2), "phone");
    world.app.clear();
    world.phone.clear();
    world.spent = Duration::ZERO;
    let (mut submitted, mut answered, mut receipts) = (0, 0, 0);
    let begin = Instant::now();
    while receipts < messages {
        // What one read of each socket would bring.
        let mut frames = Vec::new();
        while submitted < messages && submitted - answered < window {
            submitted += 1;
            let body = bodies[usize::try_from(submitted % destinations).unwrap()].clone();
            frames.push(frame(SUBMIT_SM, u32::try_from(submitted).unwrap(), body));
        }
        for (command_id, sequence) in world.app.drain(..) {
            if command_id == DELIVER_SM {
                receipts += 1;
                frames.push(frame(
                    DELIVER_SM | RESPONSE,
                    sequence,
                    Bytes::from_static(&[0]),
                ));
            } else {
                answered += 1;
            }
        }
        world.event(Event::Frames {
            link: LinkId(1),
            frames,
        });
        let frames: Vec<Frame> = world
            .phone
            .drain(..)
            .map(|(_, sequence)| frame(DELIVER_SM | RESPONSE, sequence, Bytes::from_static(&[0])))
            .collect();
        if !frames.is_empty() {
            world.event(Event::Frames {
                link: LinkId(2),
                frames,
            });
        }
        world.disk();
    }
    let all = begin.elapsed();
    world.disk();
    let per = |time: Duration| time.as_nanos() as f64 / messages as f64 / 1000.0;
    println!(
        "{messages} messages with receipts, window {window}, {destinations} destinations: {:.2} us of core each ({:.2} us with this driver), {} octets sent",
        per(world.spent),
        per(all),
        world.octets
    );
}
