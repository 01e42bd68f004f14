//! The stage for web servers itself, without any daemon of ours: a browser that is told not to run scripts does not, names
//! and certificates lead where they should, and the judges find what is wrong.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tollwire_harness::net::Host;
use tollwire_harness::process::Scratch;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::web::browser::{Browser, FULL, PHONE, PLAIN};
use tollwire_harness::web::internet::Internet;
use tollwire_harness::web::judge::{inaccessible, invalid_html};
use tollwire_harness::web::visitor::Visitor;

const GOOD: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Good</title>\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"></head><body><main><h1>Good</h1>\
    <p id=\"p\">No scripts</p><form method=\"post\" action=\"/sent\"><label for=\"pin\">PIN</label>\
    <input id=\"pin\" name=\"pin\" type=\"password\" autocomplete=\"off\"><button type=\"submit\">Send</button></form>\
    <p><a href=\"/file\">A file</a></p>\
    <script>document.getElementById('p').textContent = 'Scripts ' + navigator.language;</script></main></body></html>";
const BAD: &str = "<!DOCTYPE html><html><head><title></title></head><body><p><div>x</p><img src=\"/a.png\">\
    <input name=\"a\"><p style=\"color:#ccc;background:#fff\">pale</p></body></html>";

/// Serves the two pages, a file, and what it is sent, until the test ends.
fn serve(host: &Host, internet: &Internet, name: &str) {
    let (certificate, key) = internet.certificate(name);
    let chain = CertificateDer::pem_file_iter(certificate).expect("PEM");
    let chain = chain.collect::<Result<_, _>>().expect("certificates");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).expect("a key"))
        .expect("a certificate");
    let (tls, to) = (Arc::new(tls), SocketAddr::new(host.ip, 443));
    let listener = host.within(|| TcpListener::bind(to)).expect("port 443");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = ServerConnection::new(Arc::clone(&tls)).expect("TLS");
            std::thread::spawn(move || answer(StreamOwned::new(tls, stream)));
        }
    });
}

fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) -> Option<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    std::io::Read::read_exact(&mut reader, &mut body).ok()?;
    let path = head.split(' ').nth(1)?;
    let (kind, content) = match path {
        "/bad" => ("text/html; charset=utf-8", BAD.to_owned()),
        "/sent" => ("text/plain", String::from_utf8(body).ok()?),
        "/file" => (
            "application/octet-stream\r\nContent-Disposition: attachment; filename=\"f.bin\"",
            "octets".into(),
        ),
        _ => ("text/html; charset=utf-8", GOOD.to_owned()),
    };
    let length = content.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}").ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

#[test]
fn a_browser_and_its_judges() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let (server, customer) = (lan.host(0), lan.host(1));
    let internet = Internet::new(&scratch, &[("pages.example", server)]);
    serve(server, &internet, "pages.example");

    let mut visitor = Visitor::new(&internet, &["pages.example"], customer);
    let page = visitor.get("https://pages.example/").expect(200);
    let sent = visitor.submit(&page, &page.form("/sent").with("pin", "a b&c"));
    assert_eq!(sent.text(), "pin=a+b%26c");
    visitor.get("https://pages.example/bad").expect(200);
    assert_eq!(
        invalid_html(&scratch, &visitor.pages[..1]),
        [] as [String; 0]
    );
    let problems = invalid_html(&scratch, &visitor.pages[1..]).join("\n");
    assert!(
        problems.contains("/bad") && problems.contains("lang"),
        "{problems}"
    );

    for (kind, said) in [
        (PLAIN, "No scripts"),
        (FULL, "Scripts en"),
        (PHONE, "Scripts de"),
    ] {
        let name = format!("stage-{}-{}", kind.size.0, kind.scripts);
        let mut browser = Browser::start(&internet, customer, &scratch, &name, kind);
        browser.open("https://pages.example/");
        browser.wait_for_text(said);
        assert!(browser.picture("good").exists());
        if kind.scripts {
            assert_eq!(inaccessible(&browser), [] as [String; 0]);
            browser.open("https://pages.example/bad");
            let problems = inaccessible(&browser).join("\n");
            for problem in ["html-has-lang", "color-contrast", "label", "image-alt"] {
                assert!(problems.contains(problem), "{problem}: {problems}");
            }
            browser.open("https://pages.example/");
        }
        browser.click_text("a", "A file");
        assert_eq!(browser.downloaded("f.bin"), b"octets");
        browser.fill("pin", "1234");
        browser.click_text("button", "Send");
        browser.wait_for_text("pin=1234");
        browser.wait_for_url("/sent");
    }
}
