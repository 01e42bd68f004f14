//! A peer that sends what the test says, and nothing else.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tollwire_diameter::base::{CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest};
use tollwire_diameter::{Message, ResultCode, frame_length};
use tollwire_runtime::diameter::Address;

use super::PATIENCE;

pub struct RawPeer {
    stream: UnixStream,
    buffer: BytesMut,
}

impl RawPeer {
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub async fn connect(address: &Address) -> Self {
        let Address::Unix(path) = address else {
            panic!("a Unix socket is expected");
        };
        Self::new(UnixStream::connect(path).await.unwrap())
    }

    /// The next message; `None` when the connection ends.
    pub async fn read(&mut self) -> Option<Message> {
        read(&mut self.stream, &mut self.buffer).await
    }

    /// Both directions apart.
    pub fn split(self) -> (RawReader, RawWriter) {
        let (read, write) = self.stream.into_split();
        (
            RawReader {
                stream: read,
                buffer: self.buffer,
            },
            RawWriter(write),
        )
    }

    pub async fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// As the responder: answers the CER.
    pub async fn open(&mut self) {
        let cer = self.read().await.expect("a CER");
        let cea = CapabilitiesExchangeAnswer {
            result_code: ResultCode::SUCCESS,
            origin_host: "raw.example".to_owned(),
            origin_realm: "example".to_owned(),
            auth_application_ids: vec![4],
            ..CapabilitiesExchangeAnswer::default()
        };
        self.write(&cea.answer(&cer).encode()).await;
    }

    /// As the initiator: sends a CER without Host-IP-Address and reads its CEA.
    pub async fn introduce(&mut self) {
        self.write_cer().await;
        let cea = self.read().await.expect("a CEA");
        assert_eq!(cea.result_code(), Some(ResultCode::SUCCESS));
    }

    /// Sends a CER without Host-IP-Address.
    pub async fn write_cer(&mut self) {
        let cer = CapabilitiesExchangeRequest {
            origin_host: "raw.example".to_owned(),
            origin_realm: "example".to_owned(),
            auth_application_ids: vec![4],
            ..CapabilitiesExchangeRequest::default()
        };
        // The node may have hung up already.
        let _sent = self.stream.write_all(&cer.encode(1, 1).encode()).await;
    }
}

/// The reading direction of a [`RawPeer`].
pub struct RawReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

impl RawReader {
    pub async fn read(&mut self) -> Option<Message> {
        read(&mut self.stream, &mut self.buffer).await
    }
}

/// The writing direction of a [`RawPeer`].
pub struct RawWriter(OwnedWriteHalf);

impl RawWriter {
    pub async fn write(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }
}

async fn read(stream: &mut (impl AsyncReadExt + Unpin), buffer: &mut BytesMut) -> Option<Message> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(length) = frame_length(buffer, 1 << 16).unwrap()
                && buffer.len() >= length
            {
                let frame: Bytes = buffer.split_to(length).freeze();
                return Some(Message::decode(frame).unwrap());
            }
            match stream.read_buf(buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    })
    .await
    .expect("a message or the end in time")
}
