//! A client of several servers (RFC 6733 5.5.4, 6.1.8, 6.12 to 6.14): servers as tables, virtual time.

mod samples;

use std::time::{Duration, Instant};

use tollwire_diameter::base::RedirectHostUsage;
use tollwire_diameter::peer::{Failure, Pool, PoolEffect, PoolSettings, Refused};
use tollwire_diameter::{Avp, Identity, Message, ResultCode, dictionary};

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a server says to a request.
#[derive(Debug, Clone)]
enum Says {
    Yes,
    Nothing,
    Code(ResultCode),
    /// It stands by for this one.
    StandsBy(&'static str),
    /// The session is that one's, for so many seconds.
    Session(&'static str, u32),
}

use Says::{Code, Nothing, Session, StandsBy, Yes};

struct Bench {
    now: Instant,
    pool: Pool,
    servers: Vec<(&'static str, Says)>,
    /// Which server got which request.
    asked: Vec<(usize, Message)>,
    answers: Vec<(u64, Option<ResultCode>)>,
    failures: Vec<(u64, Failure)>,
}

impl Bench {
    /// All of them are there.
    fn of(servers: &[(&'static str, Says)]) -> Self {
        let settings = PoolSettings {
            members: servers.len(),
            request_timeout: TIMEOUT,
            max_pending: 3,
        };
        let mut bench = Self {
            now: Instant::now(),
            pool: Pool::new(settings, 1_700_000_000_000, 7),
            servers: servers.to_vec(),
            asked: Vec::new(),
            answers: Vec::new(),
            failures: Vec::new(),
        };
        for server in 0..servers.len() {
            bench.open(server);
        }
        bench
    }

    fn open(&mut self, server: usize) {
        let mut effects = Vec::new();
        let name = self.servers[server].0;
        self.pool.opened(self.now, server, name, &mut effects);
        self.carry_out(effects);
    }

    fn close(&mut self, server: usize) {
        let mut effects = Vec::new();
        self.pool.closed(self.now, server, &mut effects);
        self.carry_out(effects);
    }

    fn send(&mut self, token: u64, session: &str) -> Result<(), Refused> {
        let mut request = samples::ccr().encode(0, 0);
        for avp in &mut request.avps {
            if avp.is(&dictionary::SESSION_ID) {
                *avp = Avp::new(&dictionary::SESSION_ID, &session.to_owned());
            }
        }
        let mut effects = Vec::new();
        self.pool.send(self.now, token, request, &mut effects)?;
        self.carry_out(effects);
        Ok(())
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.pool.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let mut effects = Vec::new();
            self.pool.tick(self.now, &mut effects);
            self.carry_out(effects);
        }
        self.now = end;
    }

    fn carry_out(&mut self, effects: Vec<PoolEffect>) {
        for effect in effects {
            let mut more = Vec::new();
            match effect {
                PoolEffect::Send {
                    member,
                    key,
                    request,
                } => {
                    let says = self.servers[member].1.clone();
                    let answer = answer(&request, &says);
                    self.asked.push((member, request));
                    if let Some(answer) = answer {
                        self.pool.answered(self.now, key, answer, &mut more);
                    }
                }
                PoolEffect::Answer { token, message } => {
                    self.answers.push((token, message.result_code()));
                }
                PoolEffect::Failed { token, why } => self.failures.push((token, why)),
            }
            self.carry_out(more);
        }
    }

    /// Which servers were asked since the last time, in their order.
    fn asked(&mut self) -> Vec<usize> {
        self.asked.drain(..).map(|(server, _)| server).collect()
    }
}

fn answer(request: &Message, says: &Says) -> Option<Message> {
    let identity = Identity {
        origin_host: "server".into(),
        origin_realm: "example".into(),
    };
    let refuse = |code| request.refuse(&identity, code, None, None);
    let redirect = |host: &str, usage, seconds: Option<u32>| {
        let mut answer = refuse(ResultCode::REDIRECT_INDICATION);
        let uri = format!("aaa://{host}:3868;transport=tcp");
        answer.avps.extend([
            Avp::new(&dictionary::REDIRECT_HOST, &uri),
            Avp::new(&dictionary::REDIRECT_HOST_USAGE, &usage),
        ]);
        let time = seconds.map(|it| Avp::new(&dictionary::REDIRECT_MAX_CACHE_TIME, &it));
        answer.avps.extend(time);
        answer
    };
    Some(match says {
        Yes => refuse(ResultCode::SUCCESS),
        Nothing => return None,
        Code(code) => refuse(*code),
        StandsBy(host) => redirect(host, RedirectHostUsage::DontCache, None),
        Session(host, seconds) => redirect(host, RedirectHostUsage::AllSession, Some(*seconds)),
    })
}

const SERVED: Option<ResultCode> = Some(ResultCode::SUCCESS);

#[test]
fn a_session_goes_where_it_was_sent_and_others_do_not() {
    let mut bench = Bench::of(&[("a", Session("C", 60)), ("b", Yes), ("c", Yes)]);
    bench.send(1, "s1").unwrap();
    let (first, second) = (bench.asked[0].1.clone(), bench.asked[1].1.clone());
    assert_eq!(first.end_to_end_id, second.end_to_end_id);
    assert_ne!(first.end_to_end_id, 0);
    // It was not carried out: nobody need look for a duplicate.
    assert!(!second.is_retransmitted());
    assert_eq!(bench.asked(), [0, 2]);
    bench.send(2, "s1").unwrap();
    assert_eq!(bench.asked(), [2]);
    bench.servers[0].1 = Yes;
    bench.send(3, "s2").unwrap();
    assert_eq!(bench.asked(), [0]);
    // Until its time is up.
    bench.run(SECOND * 59);
    bench.send(4, "s1").unwrap();
    bench.run(SECOND);
    bench.send(5, "s1").unwrap();
    assert_eq!(bench.asked(), [2, 0]);
    assert!(bench.answers.iter().all(|(_, code)| *code == SERVED));
    assert_eq!(bench.answers.len(), 5);
}

#[test]
fn nothing_is_remembered_of_a_server_that_is_gone_or_stands_by() {
    let mut bench = Bench::of(&[("a", Session("b", 60)), ("b", Yes), ("c", Yes)]);
    bench.send(1, "s1").unwrap();
    bench.close(1);
    bench.open(1);
    bench.asked();
    bench.send(2, "s1").unwrap();
    assert_eq!(bench.asked(), [0, 1]);
    bench.servers[0].1 = Session("c", 60);
    bench.servers[1].1 = StandsBy("c");
    bench.send(3, "s1").unwrap();
    assert_eq!(bench.asked(), [1, 2]);
    bench.send(4, "s1").unwrap();
    assert_eq!(bench.asked(), [0, 2]);
}

#[test]
fn the_first_one_named_is_asked_first_whoever_is_there_sooner() {
    let mut bench = Bench::of(&[("a", Yes), ("b", Yes), ("c", Yes)]);
    for server in 0..3 {
        bench.close(server);
    }
    for server in [2, 0, 1] {
        bench.open(server);
    }
    bench.send(1, "s").unwrap();
    assert_eq!(bench.asked(), [0]);
}

#[test]
fn whoever_stands_by_is_not_asked_first_again() {
    let mut bench = Bench::of(&[("a", StandsBy("c")), ("b", Yes), ("c", Yes)]);
    bench.send(1, "s1").unwrap();
    bench.send(2, "s2").unwrap();
    assert_eq!(bench.answers, [(1, SERVED), (2, SERVED)]);
    assert_eq!(bench.asked(), [0, 2, 2]);
}

#[test]
fn each_is_asked_once_before_the_application_hears_that_all_are_too_busy() {
    for code in [ResultCode::TOO_BUSY, ResultCode::UNABLE_TO_DELIVER] {
        let mut bench = Bench::of(&[("a", Code(code)), ("b", Code(code)), ("c", Code(code))]);
        bench.send(1, "s").unwrap();
        assert_eq!(bench.asked(), [0, 1, 2]);
        assert_eq!(bench.answers, [(1, Some(code))]);
    }
}

#[test]
fn one_that_serves_others_is_not_left_for_refusing_one() {
    let mut bench = Bench::of(&[("a", Yes), ("b", Yes)]);
    bench.send(1, "s").unwrap();
    bench.servers[0].1 = Code(ResultCode::TOO_BUSY);
    bench.run(SECOND / 2);
    bench.send(2, "s").unwrap();
    assert_eq!(bench.asked().len(), 2);
    assert_eq!(bench.answers[1], (2, Some(ResultCode::TOO_BUSY)));
    // A second later it has served nobody for too long.
    bench.run(SECOND / 2);
    bench.send(3, "s").unwrap();
    assert_eq!(bench.asked(), [0, 1]);
    bench.send(4, "s").unwrap();
    assert_eq!(bench.asked(), [1]);
}

#[test]
fn what_a_lost_server_had_is_asked_of_another_as_a_repetition() {
    let mut bench = Bench::of(&[("a", Nothing), ("b", Yes)]);
    bench.send(1, "s1").unwrap();
    bench.send(2, "s2").unwrap();
    bench.close(0);
    let asked: Vec<(usize, bool)> = (bench.asked.iter())
        .map(|(server, request)| (*server, request.is_retransmitted()))
        .collect();
    assert_eq!(asked, [(0, false), (0, false), (1, true), (1, true)]);
    let ids: Vec<u32> = bench.asked.iter().map(|it| it.1.end_to_end_id).collect();
    assert_eq!(ids[..2], ids[2..]);
    assert_eq!(bench.answers, [(1, SERVED), (2, SERVED)]);
    // And nobody goes back by himself.
    bench.open(0);
    bench.asked();
    bench.send(3, "s3").unwrap();
    assert_eq!(bench.asked(), [1]);
}

#[test]
fn without_a_server_requests_wait_for_one() {
    let mut bench = Bench::of(&[("a", Yes), ("b", Yes)]);
    bench.close(0);
    bench.close(1);
    bench.send(1, "s").unwrap();
    bench.run(SECOND * 3);
    assert_eq!(bench.asked(), [0; 0]);
    bench.open(1);
    assert!(!bench.asked[0].1.is_retransmitted());
    assert_eq!(
        (bench.asked(), &*bench.answers),
        (vec![1], &[(1, SERVED)][..])
    );
}

/// Parts one and two, each with a standby; the active one of part two has died.
#[test]
fn a_session_of_a_part_that_is_being_taken_over_waits_for_it() {
    let mut bench = Bench::of(&[
        ("a1", Session("b1", 60)),
        ("a2", StandsBy("a1")),
        ("b1", Nothing),
        ("b2", StandsBy("b1")),
    ]);
    bench.send(1, "s").unwrap();
    assert_eq!(bench.asked(), [0, 2]);
    bench.close(2);
    // Everybody is asked once, and nobody knows better.
    assert_eq!(bench.asked(), [1, 3]);
    bench.run(Duration::from_millis(99));
    assert_eq!(bench.asked(), [0; 0]);
    bench.run(Duration::from_millis(1));
    assert_eq!(bench.asked().len(), 3);
    bench.servers[3].1 = Yes;
    bench.run(Duration::from_millis(200));
    assert_eq!(bench.answers, [(1, SERVED)]);
    let (server, request) = bench.asked.last().unwrap();
    assert_eq!((*server, request.is_retransmitted()), (3, true));
    // Part one is where it was for new sessions.
    bench.asked();
    bench.servers[0].1 = Session("b2", 60);
    bench.send(2, "t").unwrap();
    assert_eq!(bench.asked(), [0, 3]);
}

#[test]
fn servers_that_send_around_in_circles_are_not_asked_for_ever() {
    let mut bench = Bench::of(&[
        ("a", Session("b", 60)),
        ("b", Session("c", 60)),
        ("c", Session("a", 60)),
    ]);
    bench.send(1, "s").unwrap();
    assert_eq!(bench.asked().len(), 3);
    bench.run(TIMEOUT * 2);
    assert_eq!(bench.failures, [(1, Failure::Timeout)]);
    let asked = bench.asked().len();
    assert!((30..=45).contains(&asked), "{asked}");
    assert_eq!(bench.pool.next_deadline(), None);
}

#[test]
fn a_redirection_to_a_stranger_is_told_to_the_application() {
    let mut bench = Bench::of(&[("a", Session("x", 60)), ("b", Session("x", 60))]);
    bench.send(1, "s").unwrap();
    assert_eq!(bench.asked(), [0, 1]);
    let told = Some(ResultCode::REDIRECT_INDICATION);
    assert_eq!(bench.answers, [(1, told)]);
    // While one of the servers is not there, it may be the one.
    bench.close(1);
    bench.send(2, "s").unwrap();
    assert_eq!(bench.answers.len(), 1);
    bench.servers[1] = ("x", Yes);
    bench.open(1);
    assert_eq!(bench.answers[1], (2, SERVED));
}

#[test]
fn what_cannot_be_taken_is_refused_and_what_was_taken_ends() {
    let mut bench = Bench::of(&[("a", Nothing), ("b", Nothing)]);
    for token in 0..3 {
        bench.send(token, "s").unwrap();
    }
    assert_eq!(bench.send(3, "s"), Err(Refused::Full));
    bench.run(TIMEOUT - SECOND);
    assert_eq!(bench.failures, []);
    bench.run(SECOND);
    let failed: Vec<u64> = bench.failures.iter().map(|it| it.0).collect();
    assert_eq!(failed, [0, 1, 2]);
    bench.send(4, "s").unwrap();
    let mut effects = Vec::new();
    bench.pool.stop(&mut effects);
    bench.carry_out(effects);
    assert_eq!(bench.failures[3], (4, Failure::Stopped));
    assert_eq!(bench.send(5, "s"), Err(Refused::Unreachable));
    let settings = PoolSettings {
        members: 2,
        request_timeout: TIMEOUT,
        max_pending: 3,
    };
    bench.pool = Pool::new(settings, 0, 0);
    assert_eq!(bench.send(6, "s"), Err(Refused::Unreachable));
}
