//! SLPv1 (RFC 2165) at a directory agent that answers it, octet by octet, and judged by tshark.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use tollwire_harness::capture::Capture;
use tollwire_harness::process::Scratch;
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::slp::wire::{self, FRESH, ask, silence, string};
use tollwire_harness::wait::PATIENCE;

const ASCII: u16 = 3;
const UCS2: u16 = 1000;
const MONOLINGUAL: u8 = 0x40;

/// A message: function, flags, language, encoding, XID, body.
fn message(
    function: u8,
    flags: u8,
    language: &str,
    encoding: u16,
    xid: u16,
    body: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(12 + body.len()).expect("short");
    let mut octets = vec![1, function];
    octets.extend(length.to_be_bytes());
    octets.extend([flags, 0]);
    octets.extend(language.as_bytes());
    octets.extend(encoding.to_be_bytes());
    octets.extend(xid.to_be_bytes());
    octets.extend(body);
    octets
}

struct Stage {
    lan: Lan,
    scratch: Scratch,
    agent: Agent,
    socket: UdpSocket,
    xid: u16,
}

impl Stage {
    fn new(config: &str) -> Self {
        let lan = Lan::new(2);
        let scratch = Scratch::new();
        let agent = Agent::start(lan.host(0), &scratch, "da", config);
        let socket = lan.host(1).udp(0);
        Self {
            lan,
            scratch,
            agent,
            socket,
            xid: 0,
        }
    }

    /// The answer in version 1: flags and body.
    #[track_caller]
    fn ask(&mut self, function: u8, flags: u8, language: &str, body: &[u8]) -> (u8, Vec<u8>) {
        self.xid += 1;
        let request = message(function, flags, language, ASCII, self.xid, body);
        let octets = ask(&self.socket, self.agent.address(), &request).octets;
        assert_eq!(octets[0], 1, "version 1 is answered in version 1");
        assert_eq!(
            usize::from(u16::from_be_bytes([octets[2], octets[3]])),
            octets.len()
        );
        let answer = match function {
            1 => 2,
            3 | 4 => 5,
            6 => 7,
            _ => 10,
        };
        assert!(octets[1] == answer || (function == 1 && octets[1] == 8));
        assert_eq!(&octets[6..8], language.as_bytes());
        (octets[4], octets[12..].to_vec())
    }

    #[track_caller]
    fn register(&mut self, url: &str, attributes: &str) -> (u8, u16) {
        let body = [vec![0, 60], string(url), string(attributes)].concat();
        let (flags, body) = self.ask(3, 0, "en", &body);
        (flags, u16::from_be_bytes([body[0], body[1]]))
    }

    /// Error and URLs.
    #[track_caller]
    fn find(&mut self, predicate: &str) -> (u16, Vec<String>) {
        self.find_in("en", 0, predicate)
    }

    #[track_caller]
    fn find_in(&mut self, language: &str, flags: u8, predicate: &str) -> (u16, Vec<String>) {
        let body = [string(""), string(predicate)].concat();
        let (_, body) = self.ask(1, flags, language, &body);
        (u16::from_be_bytes([body[0], body[1]]), urls(&body))
    }

    #[track_caller]
    fn attributes(&mut self, url: &str, scope: &str, select: &str) -> String {
        let body = [string(""), string(url), string(scope), string(select)].concat();
        let (_, body) = self.ask(6, 0, "en", &body);
        assert_eq!(&body[..2], [0, 0]);
        String::from_utf8(body[4..].to_vec()).expect("text")
    }

    /// Registers in version 2.
    #[track_caller]
    fn register_v2(&mut self, url: &str, language: &str, attributes: &str) {
        self.xid += 1;
        let xid = self.xid;
        let request = wire::registration(xid, FRESH, language, url, 600, "DEFAULT", attributes);
        assert_eq!(ask(&self.socket, self.agent.address(), &request).error(), 0);
    }

    #[track_caller]
    fn find_v2(&mut self, kind: &str, predicate: &str) -> Vec<String> {
        self.xid += 1;
        let request = wire::service_request(0, self.xid, "", kind, "DEFAULT", predicate);
        ask(&self.socket, self.agent.address(), &request).sorted_urls()
    }
}

fn urls(body: &[u8]) -> Vec<String> {
    let mut urls = Vec::new();
    let mut rest = &body[4..];
    while let [_, _, high, low, tail @ ..] = rest {
        let (url, next) = tail.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        urls.push(String::from_utf8(url.to_vec()).expect("text"));
        rest = next;
    }
    assert!(rest.is_empty());
    assert_eq!(
        usize::from(u16::from_be_bytes([body[2], body[3]])),
        urls.len()
    );
    urls.sort();
    urls
}

const ON: &str = "[agent]\nscopes = [\"DEFAULT\", \"west\"]\nslpv1 = true\n";

#[test]
fn both_versions_share_one_registry() {
    let mut stage = Stage::new(ON);
    let capture = Capture::start(stage.lan.host(0), &stage.scratch, "port 427");
    let printer = "service:lpr://igore.wco.ftp.com:515/draft";
    let attributes = "(PAPER COLOR=WHITE), UNRESTRICTED_ACCESS, (LOCATION=12&#44; FLOOR), (PPM=12)";
    assert_eq!(stage.register(printer, attributes), (0x08, 0), "new");
    assert_eq!(
        stage.register("service:lpr://west", "(SCOPE=west),(PPM=3)"),
        (0x08, 0)
    );
    assert_eq!(
        stage.register("service:lpr://nowhere", "(SCOPE=moon)"),
        (0, 4),
        "SCOPE_NOT_SUPPORTED"
    );
    stage.register_v2("service:lpr://two", "en", "(PPM=99)");
    stage.register_v2("service:printer:lpr://abstract", "en", "(PPM=99)");
    stage.register_v2("service:lpr://dialect", "en-GB", "(PPM=99)");
    // Of these types version 1 would find nothing in the default scope: it is not told of them.
    stage.register_v2("service:unseen://1", "en-GB", "");
    assert_eq!(
        stage.register("service:elsewhere://1", "(SCOPE=west)"),
        (0x08, 0)
    );

    // The examples of RFC 2165 5.1.
    assert_eq!(
        stage.find("lpr//(& (PPM==12) (UNRESTRICTED_ACCESS) (LOCATION==12&#44; FLOOR))/"),
        (0, vec![printer.into()])
    );
    assert_eq!(
        stage.find("lpr//PPM>=12, PAPER COLOR=white/"),
        (0, vec![printer.into()])
    );
    assert_eq!(stage.find("lpr//(PPM==1)/"), (0, vec![]));
    assert_eq!(
        stage.find("lpr///"),
        (0, vec![printer.into(), "service:lpr://two".into()]),
        "without a scope the default one"
    );
    assert_eq!(
        stage.find("lpr/west//"),
        (0, vec!["service:lpr://west".into()])
    );
    assert_eq!(stage.find("printer///"), (0, vec![]), "no abstract types");
    assert_eq!(stage.find("lpr/moon//"), (4, vec![]));
    assert_eq!(stage.find("lpr//(PPM==1/"), (2, vec![]));
    // What version 1 registers, version 2 finds.
    assert_eq!(
        stage.find_v2("service:lpr", "(&(ppm=12)(location=12\\2c floor))"),
        [printer]
    );

    assert_eq!(
        stage.attributes(printer, "", ""),
        "(PAPER COLOR=WHITE),UNRESTRICTED-ACCESS,(LOCATION=12&#44; FLOOR),(PPM=12)"
    );
    assert_eq!(stage.attributes(printer, "moon", "PPM"), "(PPM=12)");
    assert_eq!(stage.attributes("service:lpr:", "", "PP*"), "(PPM=12,99)");
    assert_eq!(stage.attributes("service:printer:", "", ""), "");

    // Types, without the abstract one.
    let body = [string(""), vec![0xFF, 0xFF], string("")].concat();
    let (_, body) = stage.ask(9, 0, "en", &body);
    assert_eq!(body, [vec![0, 0, 0, 1], string("service:lpr://")].concat());

    // An update changes what it names and leaves the rest.
    assert_eq!(stage.register(printer, "(PPM=20),(NEW=1)"), (0, 0));
    assert_eq!(
        stage.attributes(printer, "", "PPM,NEW,PAPER COLOR"),
        "(PAPER COLOR=WHITE),(PPM=20),(NEW=1)"
    );
    let body = [string(printer), string("NEW")].concat();
    assert_eq!(stage.ask(4, 0, "en", &body).1, [0, 0]);
    assert_eq!(stage.attributes(printer, "", "NEW"), "");
    let body = [string(printer), string("")].concat();
    assert_eq!(stage.ask(4, 0, "en", &body).1, [0, 0]);
    assert_eq!(stage.ask(4, 0, "en", &body).1, [0, 3], "it is gone");

    // Another language: English will do, unless it must not.
    assert_eq!(
        stage.find_in("fr", 0, "lpr//(PPM==99)/"),
        (0, vec!["service:lpr://two".into()])
    );
    assert_eq!(
        stage.find_in("fr", MONOLINGUAL, "lpr//(PPM==99)/"),
        (1, vec![])
    );
    let recording = capture.stop();
    assert_eq!(recording.count("_ws.malformed"), 0);
    // tshark marks answers that say an error, and those alone.
    assert_eq!(
        recording.malformed().len(),
        5,
        "{:?}",
        recording.malformed()
    );
    assert!(recording.count("srvloc.version == 1") > 40);
}

#[test]
fn directory_agents_are_discovered() {
    let mut stage = Stage::new(ON);
    let body = [string(""), string("directory-agent///")].concat();
    let (_, unicast) = stage.ask(1, 0, "en", &body);
    let url = format!("service:directory-agent://{}", stage.agent.ip());
    let advert = [vec![0, 0], string(&url), string("DEFAULT,west")].concat();
    assert_eq!(unicast, advert);

    let group = SocketAddr::from((Ipv4Addr::new(224, 0, 1, 35), 427));
    let request = message(1, 0, "en", ASCII, 500, &body);
    let octets = ask(&stage.socket, group, &request).octets;
    assert_eq!((octets[1], &octets[12..]), (8, &*advert));

    // Who has answered is silent, and so is whoever has no such scope or cannot read the request.
    let own = stage.agent.ip().to_string();
    let probe = message(
        1,
        0,
        "en",
        ASCII,
        777,
        &[string(""), string("x///")].concat(),
    );
    for (flags, encoding, previous, predicate) in [
        (0, ASCII, own.as_str(), "directory-agent///"),
        (0, ASCII, "", "directory-agent/moon//"),
        (0, UCS2, "", "directory-agent///"),
        (0, ASCII, "", "directory-agent"),
    ] {
        let body = [string(previous), string(predicate)].concat();
        let request = message(1, flags, "en", encoding, 600, &body);
        let to = stage.agent.address();
        let before = silence(&stage.socket, group, &request, to, &probe);
        assert!(before.is_empty(), "{previous} {predicate}: {before:?}");
    }
    // In unicast it says why.
    let body = [string(""), string("lpr///")].concat();
    let request = message(1, 0, "en", UCS2, 601, &body);
    let octets = ask(&stage.socket, stage.agent.address(), &request).octets;
    assert_eq!(octets[12..], [0, 5, 0, 0], "CHARSET_NOT_UNDERSTOOD");
}

#[test]
fn much_comes_by_tcp_and_never_in_a_datagram_too_long() {
    let mut stage = Stage::new(ON);
    for number in 0..200 {
        stage.register_v2(
            &format!("service:lpr://host{number:03}.example.org"),
            "en",
            "",
        );
    }
    let body = [string(""), string("lpr///")].concat();
    let (flags, part) = stage.ask(1, 0, "en", &body);
    assert_eq!(flags, 0x80, "OVERFLOW");
    assert!(part.len() + 12 <= 1_400);
    assert!(urls(&part).len() > 30);

    let mut stream = stage
        .lan
        .host(1)
        .tcp(stage.agent.address())
        .expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = message(1, 0, "en", ASCII, 9, &body);
    // Two of them, the second of version 2.
    let second = wire::service_request(0, 10, "", "service:lpr", "DEFAULT", "");
    stream.write_all(&[request, second].concat()).expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    let mut octets = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]])) - 12];
    stream.read_exact(&mut octets).expect("all of it");
    assert_eq!((head[0], head[4]), (1, 0), "no OVERFLOW on a stream");
    assert_eq!(urls(&octets).len(), 200);
    let mut version = [0];
    stream.read_exact(&mut version).expect("an answer");
    assert_eq!(version, [2]);
}

#[test]
fn without_the_setting_version_1_is_not_spoken() {
    let stage = Stage::new("");
    let body = [string(""), string("directory-agent///")].concat();
    let request = message(1, 0, "en", ASCII, 7, &body);
    let reply = ask(&stage.socket, stage.agent.address(), &request);
    assert_eq!(reply.octets[0], 2);
    assert_eq!(reply.error(), 9, "VER_NOT_SUPPORTED");
}
