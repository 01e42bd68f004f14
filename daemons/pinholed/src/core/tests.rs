use std::time::{Duration, Instant};

use super::*;
use crate::flow::Usage;
use crate::nftables::{Adopted, Change, Standing, StandingQuota};
use tollwire_diameter::credit_control::GrantedServiceUnit;
use tollwire_diameter::rx::{
    FlowStatus, MediaComponentDescription, MediaSubComponent, RxSessionTerminationRequest,
    SponsoredConnectivityData,
};

const ID: &str = "sipd.test;1;2";

/// The core, a clock, and a table that says what the test lets it say.
struct World {
    core: Core,
    now: Now,
    token: u64,
    table: Vec<(u64, Job)>,
    answers: Vec<Answer>,
    reports: Vec<(SpecificAction, Option<i64>)>,
}

impl World {
    fn new() -> Self {
        Self {
            core: Core::new(Settings::default()),
            now: Now {
                instant: Instant::now(),
                unix_ms: 1_000_000,
            },
            token: 0,
            table: Vec::new(),
            answers: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.core.handle(self.now, event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Table { ticket, job } => self.table.push((ticket, job)),
                Effect::Answer { answer, .. } => self.answers.push(answer),
                Effect::Report {
                    action,
                    last_packet_unix_ms,
                    ..
                } => self.reports.push((action, last_packet_unix_ms)),
            }
        }
    }

    fn authorise(&mut self, request: AaRequest) -> Job {
        self.token += 1;
        let token = self.token;
        self.event(Event::Authorise {
            token,
            request: Box::new(request),
        });
        self.commit(0, false)
    }

    fn terminate(&mut self) {
        self.token += 1;
        let token = self.token;
        self.event(Event::Terminate {
            token,
            request: Box::new(termination()),
        });
    }

    /// The kernel carries the waiting jobs out; every counter reads `packets`. Returns the first.
    fn commit(&mut self, packets: u64, spent: bool) -> Job {
        let mut jobs = std::mem::take(&mut self.table);
        for (ticket, job) in &jobs {
            let usage = Usage {
                packets,
                octets: packets * 200,
            };
            let reading = Reading {
                counters: vec![usage; job.read.len()],
                spent: vec![spent; job.quotas.len()],
            };
            self.event(Event::Done {
                ticket: *ticket,
                result: Ok(reading),
            });
        }
        if jobs.is_empty() {
            Job::default()
        } else {
            jobs.remove(0).1
        }
    }

    fn refuse(&mut self) {
        for (ticket, _) in std::mem::take(&mut self.table) {
            let result = Err(io::Error::from_raw_os_error(libc::ENFILE));
            self.event(Event::Done { ticket, result });
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += i64::try_from(time.as_millis()).unwrap();
    }

    /// Looks every two seconds until `until` has passed; counters stay at `packets`.
    fn look_for(&mut self, time: Duration, packets: u64) {
        let end = self.now.instant + time;
        while let Some(deadline) = self.core.next_deadline().filter(|next| *next <= end) {
            self.pass(deadline.saturating_duration_since(self.now.instant));
            self.event(Event::Tick);
            self.commit(packets, false);
        }
        self.pass(end.saturating_duration_since(self.now.instant));
    }

    fn session(&self) -> &Session {
        &self.core.sessions[ID]
    }

    fn code(&self) -> Option<Code> {
        match self.answers.last().unwrap() {
            Answer::Success { .. } => None,
            Answer::Refused { code, .. } => Some(*code),
        }
    }

    fn octets(&self) -> u64 {
        match self.answers.last().unwrap() {
            Answer::Success { report, .. } => report.uplink.plus(report.downlink).octets,
            Answer::Refused { message, .. } => panic!("{message}"),
        }
    }
}

fn termination() -> RxSessionTerminationRequest {
    RxSessionTerminationRequest {
        session_id: ID.into(),
        ..RxSessionTerminationRequest::default()
    }
}

fn component(number: u32, port: u16, status: FlowStatus) -> MediaComponentDescription {
    let rule = |text: String| text.parse().unwrap();
    MediaComponentDescription {
        media_component_number: number,
        flow_status: Some(status),
        media_sub_components: vec![MediaSubComponent {
            flow_number: 1,
            flow_descriptions: vec![
                rule(format!(
                    "permit in 17 from 10.0.1.2 {port} to 10.0.2.2 {port}"
                )),
                rule(format!(
                    "permit out 17 from 10.0.2.2 {port} to 10.0.1.2 {port}"
                )),
            ],
            ..MediaSubComponent::default()
        }],
        ..MediaComponentDescription::default()
    }
}

fn request(seconds: u32, components: Vec<MediaComponentDescription>) -> AaRequest {
    AaRequest {
        session_id: ID.into(),
        origin_host: "sipd.test".into(),
        origin_realm: "test".into(),
        session_timeout: Some(seconds),
        media_component_descriptions: components,
        specific_actions: vec![
            SpecificAction::IndicationOfLossOfBearer,
            SpecificAction::IndicationOfOutOfCredit,
        ],
        ..AaRequest::default()
    }
}

fn with_quota(mut request: AaRequest, octets: u64) -> AaRequest {
    request.sponsored_connectivity_data = Some(SponsoredConnectivityData {
        granted_service_unit: Some(GrantedServiceUnit {
            cc_total_octets: Some(octets),
            ..GrantedServiceUnit::default()
        }),
        ..SponsoredConnectivityData::default()
    });
    request
}

fn call(seconds: u32) -> AaRequest {
    request(seconds, vec![component(1, 20_000, FlowStatus::Enabled)])
}

fn opened(job: &Job) -> usize {
    job.changes
        .iter()
        .filter(|change| matches!(change, Change::OpenGate { .. }))
        .count()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_answer_waits_for_the_kernel_and_the_end_reports_what_passed() {
    let mut world = World::new();
    world.event(Event::Authorise {
        token: 1,
        request: Box::new(call(60)),
    });
    assert!(world.answers.is_empty());
    let job = world.commit(0, false);
    assert_eq!((opened(&job), world.code()), (2, None));
    world.terminate();
    assert_eq!(world.answers.len(), 1);
    world.commit(10, false);
    assert_eq!(world.octets(), 2 * 10 * 200);
    assert_eq!(world.core.sessions().count(), 0);
    // Asked again, the same; another is unknown.
    world.terminate();
    assert_eq!((world.answers.len(), world.octets()), (3, 4000));
}

#[test]
fn of_counters_that_begin_with_a_request_its_answer_does_not_say_that_nothing_passed() {
    let told = |world: &World| -> Vec<bool> {
        let Some(Answer::Success { report, .. }) = world.answers.last() else {
            panic!("{:?}", world.answers);
        };
        let flows = report
            .components
            .iter()
            .flat_map(|it| &it.media_sub_components);
        flows.map(|flow| flow.used_service_unit.is_some()).collect()
    };
    let mut world = World::new();
    world.authorise(call(60));
    assert_eq!(told(&world), [false]);
    let second = component(2, 30_000, FlowStatus::Enabled);
    let first = component(1, 20_000, FlowStatus::Enabled);
    world.authorise(request(60, vec![first, second]));
    assert_eq!(told(&world), [true, false]);
    world.authorise(request(60, Vec::new()));
    assert_eq!(told(&world), [true, true]);
}

#[test]
fn an_unknown_session_cannot_be_terminated() {
    let mut world = World::new();
    world.terminate();
    assert_eq!(world.code(), Some(Code::UnknownSession));
}

#[test]
fn components_are_replaced_by_number() {
    let mut world = World::new();
    world.authorise(request(
        60,
        vec![
            component(1, 20_000, FlowStatus::Enabled),
            component(2, 30_000, FlowStatus::Enabled),
        ],
    ));
    // Held: the gates shut, the counters stay.
    let job = world.authorise(request(
        60,
        vec![component(2, 30_000, FlowStatus::Disabled)],
    ));
    assert_eq!((opened(&job), job.afterwards.len()), (2, 0));
    assert_eq!(world.session().flows.len(), 4);
    // One direction.
    let job = world.authorise(request(
        60,
        vec![component(2, 30_000, FlowStatus::EnabledUplink)],
    ));
    assert_eq!(opened(&job), 3);
    // Removed: the counters go with the last count.
    let job = world.authorise(request(60, vec![component(2, 30_000, FlowStatus::Removed)]));
    assert_eq!((opened(&job), job.afterwards.len()), (2, 2));
    assert_eq!(world.session().flows.len(), 2);
    assert_eq!(world.session().past.len(), 2);
    // Moved to another number in one request: the counters stay.
    let job = world.authorise(request(
        60,
        vec![
            component(1, 20_000, FlowStatus::Removed),
            component(3, 20_000, FlowStatus::Enabled),
        ],
    ));
    assert_eq!((opened(&job), job.afterwards.len()), (2, 0));
    assert!(
        !job.changes
            .iter()
            .any(|change| matches!(change, Change::AddUsage { .. }))
    );
}

#[test]
fn what_is_no_exact_pair_of_addresses_or_belongs_to_another_is_refused() {
    let mut world = World::new();
    for rule in [
        "permit in 17 from 10.0.1.2 to 10.0.2.2 20000",
        "permit in 17 from any to 10.0.2.2 20000",
        "permit in 6 from 10.0.1.2 20000 to 10.0.2.2 20000",
        "permit in 17 from 10.0.1.0/24 20000 to 10.0.2.2 20000",
        "deny in 17 from 10.0.1.2 20000 to 10.0.2.2 20000",
    ] {
        let mut bad = component(1, 20_000, FlowStatus::Enabled);
        bad.media_sub_components[0].flow_descriptions = vec![rule.parse().unwrap()];
        world.authorise(request(60, vec![bad]));
        assert_eq!(world.code(), Some(Code::FilterRestrictions), "{rule}");
    }
    world.authorise(call(60));
    let mut other = call(60);
    other.session_id = "sipd.test;1;3".into();
    world.authorise(other);
    assert_eq!(world.code(), Some(Code::NotAuthorized));
    assert_eq!(world.core.sessions().count(), 1);
}

#[test]
fn a_quota_is_refused_where_packets_pass_without_a_gate() {
    let mut world = World::new();
    let low = |component: MediaComponentDescription| with_quota(request(60, vec![component]), 1000);
    world.authorise(low(component(1, 9_999, FlowStatus::Enabled)));
    assert_eq!(world.code(), Some(Code::FilterRestrictions));
    assert_eq!(world.core.sessions().count(), 0);
    world.authorise(low(component(1, 10_000, FlowStatus::Enabled)));
    assert_eq!(world.code(), None);
    // Nor does a session get one later on that has such a flow.
    let mut world = World::new();
    let both = vec![
        component(1, 20_000, FlowStatus::Enabled),
        component(2, 9_999, FlowStatus::Enabled),
    ];
    world.authorise(request(60, both));
    assert_eq!(world.code(), None);
    world.authorise(with_quota(request(60, Vec::new()), 1000));
    assert_eq!(world.code(), Some(Code::FilterRestrictions));
    assert_eq!(world.session().volume, None);
}

#[test]
fn what_the_kernel_refuses_leaves_the_session_as_it_was() {
    let mut world = World::new();
    world.event(Event::Authorise {
        token: 1,
        request: Box::new(call(60)),
    });
    world.refuse();
    assert_eq!(world.code(), Some(Code::UnableToComply));
    assert_eq!(world.core.sessions().count(), 0);

    world.authorise(call(60));
    let before = world.session().ends_at;
    world.pass(SECOND);
    world.event(Event::Authorise {
        token: 3,
        request: Box::new(request(
            600,
            vec![component(2, 30_000, FlowStatus::Enabled)],
        )),
    });
    world.refuse();
    assert_eq!(world.code(), Some(Code::UnableToComply));
    assert_eq!(
        (world.session().flows.len(), world.session().ends_at),
        (2, before)
    );

    // An end that failed can be asked for again.
    world.terminate();
    world.refuse();
    assert_eq!(world.code(), Some(Code::UnableToComply));
    world.terminate();
    world.commit(5, false);
    assert_eq!(world.octets(), 2000);
}

#[test]
fn silent_media_is_a_lost_bearer_however_often_it_is_renewed() {
    let mut world = World::new();
    world.authorise(call(100));
    world.look_for(9 * SECOND, 0);
    // 50 packets a second until second 11 after the opening, then nothing.
    world.pass(SECOND);
    world.event(Event::Tick);
    world.commit(500, false);
    let at_ten = world.now.unix_ms;
    world.pass(2 * SECOND);
    world.event(Event::Tick);
    world.commit(550, false);
    assert!(world.reports.is_empty());
    for _ in 0..5 {
        world.look_for(5 * SECOND, 550);
        world.event(Event::Authorise {
            token: 9,
            request: Box::new(call(100)),
        });
        world.commit(550, false);
    }
    assert!(world.reports.is_empty());
    world.look_for(6 * SECOND, 550);
    let (action, at) = world.reports[0];
    assert_eq!(action, SpecificAction::IndicationOfLossOfBearer);
    assert!(
        at.is_some_and(|at| at > at_ten && at <= at_ten + 2000),
        "{at:?} {at_ten}"
    );
    // Once; again if the client could not be told.
    world.look_for(20 * SECOND, 550);
    assert_eq!(world.reports.len(), 1);
    world.event(Event::Unheard(ID.into()));
    world.look_for(33 * SECOND, 550);
    assert_eq!(world.reports.len(), 2);
}

#[test]
fn held_media_may_be_silent() {
    let mut world = World::new();
    world.authorise(call(1000));
    world.authorise(request(
        1000,
        vec![component(1, 20_000, FlowStatus::Disabled)],
    ));
    world.look_for(300 * SECOND, 0);
    assert!(world.reports.is_empty());
    world.authorise(call(1000));
    world.look_for(28 * SECOND, 0);
    assert!(world.reports.is_empty());
    world.look_for(6 * SECOND, 0);
    assert_eq!(world.reports.len(), 1);
}

#[test]
fn the_last_packet_is_found_between_two_looks() {
    let mut world = World::new();
    world.authorise(call(100));
    let begun = world.now.unix_ms;
    for packets in [100, 200, 250] {
        world.pass(2 * SECOND);
        world.event(Event::Tick);
        world.commit(packets, false);
    }
    // 50 a second: the last 50 took the first of two seconds.
    assert_eq!(world.session().last_packet_unix_ms, Some(begun + 5000));
}

#[test]
fn time_spent_shuts_reports_and_keeps_the_count_for_a_while() {
    let mut world = World::new();
    world.authorise(call(60));
    world.pass(59 * SECOND);
    let mut effects = Vec::new();
    world.core.ended(world.now, "another", &mut effects);
    assert!(effects.is_empty());
    world.look_for(SECOND, 100);
    assert_eq!(world.reports[0].0, SpecificAction::IndicationOfOutOfCredit);
    assert!(world.session().spent);
    // A late renewal opens it again.
    assert_eq!(opened(&world.authorise(call(60))), 2);
    world.look_for(60 * SECOND, 200);
    world.look_for(100 * SECOND, 200);
    world.terminate();
    world.commit(200, false);
    assert_eq!(world.octets(), 2 * 200 * 200);
    // Nobody asks.
    world.authorise(call(60));
    world.look_for(661 * SECOND, 300);
    assert_eq!(world.core.sessions().count(), 0);
    assert!(world.core.owners.is_empty() && world.core.ends.is_empty());
}

#[test]
fn the_addresses_of_an_ended_session_are_free_and_its_counts_are_kept() {
    let mut world = World::new();
    world.authorise(call(60));
    world.look_for(61 * SECOND, 100);
    assert!(world.session().spent);
    let mut other = call(60);
    other.session_id = "sipd.test;1;3".into();
    let job = world.authorise(other);
    assert_eq!((world.code(), opened(&job)), (None, 2));
    assert!(matches!(job.changes[0], Change::RemoveUsage { .. }));
    world.commit(0, false);
    world.terminate();
    world.commit(0, false);
    assert_eq!(world.octets(), 2 * 100 * 200);
    assert_eq!(world.core.owners.len(), 2);
}

#[test]
fn octets_spent_shut_report_and_a_new_grant_goes_on() {
    let mut world = World::new();
    let job = world.authorise(with_quota(call(600), 10_000));
    let set = |job: &Job| {
        job.changes.iter().find_map(|change| match change {
            Change::SetQuota { name, octets } => Some((name.clone(), *octets)),
            _ => None,
        })
    };
    assert_eq!(set(&job), Some((format!("1 {ID}"), 10_000)));
    // A raise is in place.
    let job = world.authorise(with_quota(call(600), 20_000));
    assert_eq!(set(&job), Some((format!("1 {ID}"), 20_000)));
    // The same again is nothing new.
    assert_eq!(set(&world.authorise(with_quota(call(600), 20_000))), None);
    world.pass(2 * SECOND);
    world.event(Event::Tick);
    // A raise that is under way when the look comes back is not overlooked.
    let looked = std::mem::take(&mut world.table);
    world.authorise(with_quota(call(600), 30_000));
    world.table = looked;
    world.commit(49, true);
    assert!(world.reports.is_empty());
    world.pass(2 * SECOND);
    world.event(Event::Tick);
    world.commit(49, true);
    let shut = world.commit(49, true);
    assert_eq!(opened(&shut), 0);
    assert_eq!(world.reports[0].0, SpecificAction::IndicationOfOutOfCredit);
    // After that a new quota counts from what passed.
    let job = world.authorise(with_quota(call(600), 40_000));
    assert_eq!(set(&job), Some((format!("2 {ID}"), 40_000 - 2 * 49 * 200)));
    assert_eq!(opened(&job), 2);
    assert!(job.afterwards.contains(&Change::RemoveQuota {
        name: format!("1 {ID}")
    }));
}

#[test]
fn a_session_found_in_the_table_goes_on_until_its_gates_shut() {
    let mut world = World::new();
    let key =
        |from: &str, to: &str| FlowKey::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    let usage = Usage {
        packets: 50,
        octets: 10_000,
    };
    let flow = |key, place: &str, open_ms, id: &str| Adopted {
        key,
        label: format!("{place} {id}"),
        usage,
        open_ms,
        quota: None,
    };
    let quota = |name: &str| StandingQuota {
        name: name.into(),
        octets: 90_000,
        consumed: 15_000,
    };
    world.event(Event::Adopted(Standing {
        flows: vec![
            flow(
                key("10.0.1.2:20000", "10.0.2.2:20000"),
                "1.1.in.media",
                None,
                ID,
            ),
            flow(
                key("10.0.2.2:20000", "10.0.1.2:20000"),
                "1.1.out.media",
                Some(30_000),
                ID,
            ),
            flow(
                key("10.0.2.2:3", "10.0.1.2:3"),
                "of another program",
                None,
                "",
            ),
        ],
        quotas: vec![quota(&format!("1 {ID}")), quota("1 gone")],
    }));
    let session = world.session();
    assert_eq!(session.ends_at, world.now.instant + 30 * SECOND);
    assert_eq!(session.origin_host, "sipd.test");
    let volume = session.volume.unwrap();
    assert_eq!((volume.granted, volume.before), (95_000, 5000));
    let sweep = world.commit(0, false);
    assert_eq!(
        sweep.afterwards,
        [Change::RemoveQuota {
            name: "1 gone".into()
        }]
    );
    world.terminate();
    world.commit(60, false);
    assert_eq!(world.octets(), 2 * 60 * 200);
}
