//! A customer, a shop, a billing server or an attacker who types his requests by hand: HTTP/1.1 over TLS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use url::Url;

use super::html::Form;
use super::internet::Internet;
use crate::net::Host;

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where it came from.
    pub url: Url,
    /// The status code.
    pub status: u16,
    /// Header fields, names in small letters, in order.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// Whether the connection broke off before all of it was there.
    pub broken: bool,
}

impl Answer {
    /// The first header field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The content as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Where it leads, absolute.
    ///
    /// # Panics
    /// When it leads nowhere.
    #[must_use]
    #[track_caller]
    pub fn location(&self) -> Url {
        let to = self
            .header("location")
            .unwrap_or_else(|| panic!("no Location: {} {}", self.status, self.text()));
        self.url.join(to).expect("a URL")
    }

    /// The form of the page whose action ends with this.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let text = self.text();
        Form::all(&text)
            .into_iter()
            .find(|form| form.action.ends_with(action))
            .unwrap_or_else(|| panic!("no form to {action} at {}:\n{text}", self.url))
    }

    /// The same, if its status is this one.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.url, self.text());
        self
    }
}

/// How a request goes on behind its method and URL.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Header fields beside those that HTTP needs.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
}

impl Content {
    /// Nothing but this header field.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        Self::default().and(name, value)
    }

    /// A form.
    #[must_use]
    pub fn form<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            body.append_pair(name.as_ref(), value.as_ref());
        }
        Self {
            body: body.finish().into_bytes(),
            ..Self::default()
        }
        .and("Content-Type", "application/x-www-form-urlencoded")
    }

    /// A signed token.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self {
            body: token.as_bytes().to_vec(),
            ..Self::default()
        }
        .and("Content-Type", "application/jose")
    }

    /// With another header field.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Somebody with an address, cookies, and one open connection to each server.
#[derive(Debug)]
pub struct Visitor {
    host: Option<Host>,
    addresses: BTreeMap<String, IpAddr>,
    tls: Arc<ClientConfig>,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    open: BTreeMap<String, Tls>,
    /// What he says of the languages that he reads.
    pub language: String,
    /// How long he waits for an octet.
    pub patience: Duration,
    /// Every page that he got: for a judge.
    pub pages: Vec<(String, String)>,
}

impl Visitor {
    /// On `host`.
    #[must_use]
    pub fn new(internet: &Internet, names: &[&str], host: &Host) -> Self {
        Self::at(internet, names, Some(host.clone()))
    }

    /// In the namespace of the thread that lets him visit.
    #[must_use]
    pub fn here(internet: &Internet, names: &[&str]) -> Self {
        Self::at(internet, names, None)
    }

    fn at(internet: &Internet, names: &[&str], host: Option<Host>) -> Self {
        Self {
            host,
            addresses: names
                .iter()
                .map(|name| ((*name).to_owned(), internet.address(name)))
                .collect(),
            tls: internet.tls(),
            cookies: BTreeMap::new(),
            open: BTreeMap::new(),
            language: "en".into(),
            patience: Duration::from_secs(30),
            pages: Vec::new(),
        }
    }

    /// GET.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn get(&mut self, url: impl AsRef<str>) -> Answer {
        self.ask("GET", url, &Content::default())
    }

    /// GET, going on where it leads, five times at the most.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..5 {
            if !(300..400).contains(&answer.status) {
                return answer;
            }
            let to = answer.location();
            answer = self.get(to);
        }
        panic!("it leads on and on: {}", answer.url);
    }

    /// POST of a form that was filled in.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn submit(&mut self, page: &Answer, form: &Form) -> Answer {
        let to = page.url.join(&form.action).expect("a URL");
        let origin = page.url.origin().ascii_serialization();
        let content = Content::form(&form.fields).and("Origin", &origin);
        self.ask("POST", to, &content)
    }

    /// Any request.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn ask(&mut self, method: &str, url: impl AsRef<str>, content: &Content) -> Answer {
        let url = url.as_ref();
        match self.attempt(method, url, content) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {url}: {error}"),
        }
    }

    /// Any request; a server may be gone.
    ///
    /// # Errors
    /// There is no connection, or no answer.
    ///
    /// # Panics
    /// When `url` is none.
    pub fn attempt(&mut self, method: &str, url: &str, content: &Content) -> io::Result<Answer> {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let request = self.request(method, &url, content);
        let origin = url.origin().ascii_serialization();
        let reused = self.open.remove(&origin);
        let is_reused = reused.is_some();
        let connect = |this: &Self| this.connect(&url);
        let mut stream = match reused {
            Some(stream) => stream,
            None => connect(self)?,
        };
        let sent = stream
            .write_all(&request)
            .and_then(|()| read_head(&mut stream));
        let head = match sent {
            // The server had closed it meanwhile.
            Err(_) if is_reused => {
                stream = connect(self)?;
                stream.write_all(&request)?;
                read_head(&mut stream)?
            }
            other => other?,
        };
        let mut answer = parse_head(url.clone(), &head)?;
        let whole = read_body(&mut stream, method, &mut answer);
        answer.broken = whole.is_err();
        let closes = answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !answer.broken && !closes && is_framed(&answer) {
            self.open.insert(origin.clone(), stream);
        }
        self.keep(&origin, &answer);
        Ok(answer)
    }

    /// Reads so many octets of an answer's content, and hangs up.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn break_off(&mut self, url: &Url, octets: usize) -> Vec<u8> {
        let request = self.request("GET", url, &Content::default());
        let mut stream = self.connect(url).expect("a connection");
        stream.write_all(&request).expect("sent");
        let head = read_head(&mut stream).expect("an answer");
        let answer = parse_head(url.clone(), &head).expect("an answer");
        assert!(matches!(answer.status, 200 | 206), "{}", answer.status);
        let mut body = vec![0; octets];
        stream.read_exact(&mut body).expect("content");
        body
    }

    /// Octets as they are, and what comes back until the server hangs up or is silent.
    ///
    /// # Panics
    /// When there is no connection.
    #[track_caller]
    pub fn raw(&mut self, url: &Url, octets: &[u8]) -> Vec<u8> {
        let mut stream = self.connect(url).expect("a connection");
        // A server that refuses may hang up before it has read everything.
        let _ = stream.write_all(octets);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Without cookies from here on.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    fn request(&self, method: &str, url: &Url, content: &Content) -> Vec<u8> {
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            let _ = write!(target, "?{query}");
        }
        let host = url.host_str().unwrap_or_default();
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}{port}\r\nAccept: text/html, */*\r\n"
        );
        if !content
            .headers
            .iter()
            .any(|(name, _)| name == "Accept-Language")
        {
            let _ = write!(head, "Accept-Language: {}\r\n", self.language);
        }
        let cookies = self.cookies.get(&url.origin().ascii_serialization());
        let cookies: Vec<String> = cookies
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            let _ = write!(head, "Cookie: {}\r\n", cookies.join("; "));
        }
        for (name, value) in &content.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if method != "GET" && method != "HEAD" {
            let _ = write!(head, "Content-Length: {}\r\n", content.body.len());
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(&content.body);
        request
    }

    fn connect(&self, url: &Url) -> io::Result<Tls> {
        let name = url.host_str().unwrap_or_default();
        let ip = self
            .addresses
            .get(name)
            .copied()
            .or_else(|| name.trim_matches(['[', ']']).parse().ok())
            .unwrap_or_else(|| panic!("he does not know {name}"));
        let to = SocketAddr::new(ip, url.port_or_known_default().unwrap_or(443));
        let stream = match &self.host {
            Some(host) => host.tcp(to)?,
            None => TcpStream::connect_timeout(&to, self.patience)?,
        };
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(tls, stream))
    }

    fn keep(&mut self, origin: &str, answer: &Answer) {
        let jar = self.cookies.entry(origin.to_owned()).or_default();
        for (name, value) in &answer.headers {
            if name == "set-cookie"
                && let Some((name, value)) =
                    value.split(';').next().and_then(|it| it.split_once('='))
            {
                jar.insert(name.trim().into(), value.trim().into());
            }
        }
        let is_page = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"));
        if is_page && self.pages.len() < 1_000 {
            self.pages.push((answer.url.to_string(), answer.text()));
        }
    }
}

fn read_head(stream: &mut Tls) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut octet)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.push(octet[0]);
        if head.len() > 65_536 {
            return Err(io::Error::other("a head without end"));
        }
    }
    Ok(head)
}

fn parse_head(url: Url, head: &[u8]) -> io::Result<Answer> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| io::Error::other("no HTTP/1.1"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        url,
        status,
        headers,
        body: Vec::new(),
        broken: false,
    })
}

fn is_framed(answer: &Answer) -> bool {
    matches!(answer.status, 204 | 304)
        || answer.header("content-length").is_some()
        || answer.header("transfer-encoding").is_some()
}

fn read_body(stream: &mut Tls, method: &str, answer: &mut Answer) -> io::Result<()> {
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(());
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let line = read_line(stream)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
            read_octets(stream, length, &mut answer.body)?;
            read_line(stream)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
    if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(io::Error::other)?;
        return read_octets(stream, length, &mut answer.body);
    }
    stream.read_to_end(&mut answer.body).map(drop)
}

fn read_octets(stream: &mut Tls, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    let taken = Read::by_ref(stream).take(length as u64).read_to_end(body)?;
    match taken == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_line(stream: &mut Tls) -> io::Result<String> {
    let mut line = Vec::new();
    let mut octet = [0];
    while !line.ends_with(b"\r\n") && line.len() < 64 {
        stream.read_exact(&mut octet)?;
        line.push(octet[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
