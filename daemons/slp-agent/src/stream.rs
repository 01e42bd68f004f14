//! One request and its answer on a stream (RFC 2608 6.2).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tollwire_slp::announced_length;
use tollwire_slp::header::HEADER_LENGTH;

/// Octets that are asked for at once.
const CHUNK: usize = 16 * 1024;

/// Sends `request`, and reads the message that comes back, of at most `max_octets`.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &[u8],
    max_octets: usize,
) -> io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    read_message(&mut stream, max_octets).await
}

async fn read_message<S: AsyncRead + Unpin>(
    stream: &mut S,
    max_octets: usize,
) -> io::Result<Vec<u8>> {
    // Grows as octets come, not by the length that is announced.
    let mut message = Vec::new();
    loop {
        let length = announced_length(&message);
        if let Some(length) = length {
            if !(HEADER_LENGTH..=max_octets).contains(&length) {
                let what = format!("a message of {length} octets");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if message.len() >= length {
                message.truncate(length);
                return Ok(message);
            }
        }
        let missing = length
            .unwrap_or(HEADER_LENGTH)
            .saturating_sub(message.len());
        let mut part = (&mut *stream).take(missing.min(CHUNK) as u64);
        if part.read_buf(&mut message).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32, octets: usize) -> Vec<u8> {
        let mut message = vec![2, 5];
        message.extend_from_slice(&length.to_be_bytes()[1..]);
        message.resize(octets, 7);
        message
    }

    async fn read(chunks: &[&[u8]], max_octets: usize) -> io::Result<Vec<u8>> {
        let (near, mut far) = tokio::io::duplex(64);
        let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        let writer = tokio::spawn(async move {
            for chunk in chunks {
                if far.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        });
        let answer = exchange(near, b"", max_octets).await;
        writer.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_message_is_put_together_from_parts() {
        let whole = message(300, 300);
        let (head, tail) = whole.split_at(3);
        let (middle, tail) = tail.split_at(100);
        assert_eq!(read(&[head, middle, tail], 300).await.unwrap(), whole);
        // What follows belongs to nobody.
        let mut more = whole.clone();
        more.extend_from_slice(&[1, 2, 3]);
        assert_eq!(read(&[&more], 300).await.unwrap(), whole);
    }

    #[tokio::test]
    async fn impossible_lengths_and_early_ends_are_errors() {
        let kind = |answer: io::Result<Vec<u8>>| answer.unwrap_err().kind();
        let long = message(301, 20);
        assert_eq!(kind(read(&[&long], 300).await), io::ErrorKind::InvalidData);
        let short = message(13, 20);
        assert_eq!(kind(read(&[&short], 300).await), io::ErrorKind::InvalidData);
        let cut = message(100, 99);
        assert_eq!(kind(read(&[&cut], 300).await), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(read(&[], 300).await), io::ErrorKind::UnexpectedEof);
    }
}
