//! A provider that acknowledges every credential, as fast as it can: what is measured is the manager.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tollwire_harness::peer::authority::Identity;
use tollwire_harness::peer::hand::{claims, nonce};

/// HTTPS on the loopback interface, until this process ends: where.
pub fn start(
    identity: Arc<Identity>,
    certificate: &Path,
    key: &Path,
) -> Result<SocketAddr, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| text(&error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| text(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| text(&error))?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| text(&error))?;
    let address = listener.local_addr().map_err(|error| text(&error))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, identity) = (Arc::clone(&config), Arc::clone(&identity));
            std::thread::spawn(move || {
                let _ = converse(stream, config, &identity);
            });
        }
    });
    Ok(address)
}

fn converse(stream: TcpStream, config: Arc<ServerConfig>, identity: &Identity) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut field = String::new();
            reader.read_line(&mut field)?;
            match field.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = if first.starts_with("POST /credentials") {
            let credential = claims(&String::from_utf8_lossy(&body));
            let acknowledged = json!({
                "accounting_session_id": credential["accounting_session_id"], "nonce": nonce(),
            });
            let token = identity.sign("user-credential-acknowledgement+jwt", &acknowledged);
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/jose\r\nContent-Length: {}\r\n\r\n{token}",
                token.len()
            )
        } else {
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        };
        let stream = reader.get_mut();
        stream.write_all(answer.as_bytes())?;
        stream.flush()?;
    }
}
