//! A server that answers as servers should, and as they should not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use host::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What is written at a time, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// The server; it ends with the test's runtime.
pub(super) struct Peer {
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Paths of the requests, in the order in which they came.
    seen: Mutex<Vec<String>>,
    /// Where requests of `/held` wait for their answers.
    held: Gate,
    /// Where requests of `/together` wait for each other.
    together: Gate,
}

impl Peer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = shared.clone();
                // a client that breaks off ends its connection, and nothing else
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Self {
            url: format!("http://{address}"),
            state,
        }
    }

    /// The paths that have been called.
    pub(super) fn seen(&self) -> Vec<String> {
        let seen = self.state.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a path has been called.
    pub(super) async fn called(&self, path: &str) {
        while !self.seen().iter().any(|seen| seen == path) {
            tokio::task::yield_now().await;
        }
    }

    /// Where requests of `/held` wait for their answers.
    pub(super) fn held(&self) -> &Gate {
        &self.state.held
    }
}

/// A URL where nobody listens, as long as the socket is held: its port is taken, so that nobody else begins to.
pub(super) fn closed() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(any).expect("a port");
    let address = socket.local_addr().expect("an address");
    (format!("http://{address}"), socket)
}

/// The bytes of a body.
pub(super) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 253) as u8).collect()
}

async fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    while let Some(head) = head(&mut stream).await? {
        let seen = state.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner)
            .push(head.path.clone());
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        if [
            "/mute",
            "/stalled",
            "/half",
            "/half-chunked",
            "/reset",
            "/early",
        ]
        .contains(&path)
        {
            return misbehave(stream, path).await;
        }
        let body = read(&mut stream, head.length).await?;
        match path {
            "/bytes" => send_bytes(&mut stream, query).await?,
            "/held" => state.held.hold().await,
            "/together" => {
                let all = query.parse().expect("a number");
                let opening = async {
                    state.together.arrived(all).await;
                    state.together.open();
                };
                tokio::join!(state.together.hold(), opening);
            }
            _ => {}
        }
        if path != "/bytes" {
            let text = format!("{} {}", body.bytes, body.checksum);
            let length = format!("content-length: {}", text.len());
            stream.write_all(&answer(&length)).await?;
            stream.write_all(text.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Answers as servers should not, and keeps or closes the connection.
async fn misbehave(mut stream: TcpStream, path: &str) -> std::io::Result<()> {
    match path {
        "/stalled" => {
            stream.write_all(&answer("content-length: 1000")).await?;
            stream.write_all(&pattern(500)).await?;
            wait_for_the_end(stream).await
        }
        "/half" => {
            stream.write_all(&answer("content-length: 1000")).await?;
            stream.write_all(&pattern(500)).await
        }
        "/half-chunked" => {
            let head = answer("transfer-encoding: chunked");
            stream.write_all(&head).await?;
            stream.write_all(b"5\r\nhello\r\n").await
        }
        "/reset" => stream.set_zero_linger(),
        // before the body is read, which it never is
        "/early" => {
            let text = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 5\r\n\r\nearly";
            stream.write_all(text.as_bytes()).await?;
            wait_unread(stream).await
        }
        // says nothing
        _ => wait_for_the_end(stream).await,
    }
}

/// Answers with so many bytes, `query`, with their length or in chunks.
async fn send_bytes(stream: &mut TcpStream, query: &str) -> std::io::Result<()> {
    let (length, is_chunked) = match query.split_once('&') {
        Some((length, _)) => (length, true),
        None => (query, false),
    };
    let bytes = pattern(length.parse().expect("a number"));
    if !is_chunked {
        let headers = format!("x-twice: 1\r\nx-twice: 2\r\ncontent-length: {length}");
        stream.write_all(&answer(&headers)).await?;
        return stream.write_all(&bytes).await;
    }
    let head = answer("transfer-encoding: chunked");
    stream.write_all(&head).await?;
    for piece in bytes.chunks(PIECE_BYTES) {
        let size = format!("{:x}\r\n", piece.len());
        stream.write_all(size.as_bytes()).await?;
        stream.write_all(piece).await?;
        stream.write_all(b"\r\n").await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

fn answer(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").into_bytes()
}

struct Head {
    path: String,
    length: usize,
}

/// The next request's head; none where there is no further request.
async fn head(stream: &mut TcpStream) -> std::io::Result<Option<Head>> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => text.push(byte),
            Err(_) if text.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let path = text.split(' ').nth(1).expect("a path");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    Ok(Some(Head {
        path: path.to_owned(),
        length: length.and_then(|length| length.parse().ok()).unwrap_or(0),
    }))
}

struct Received {
    bytes: usize,
    checksum: u32,
}

async fn read(stream: &mut TcpStream, length: usize) -> std::io::Result<Received> {
    let mut received = Received {
        bytes: 0,
        checksum: 0,
    };
    let mut piece = vec![0; PIECE_BYTES];
    while received.bytes < length {
        let most = piece.len().min(length - received.bytes);
        let count = stream.read(&mut piece[..most]).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        received.bytes += count;
        received.checksum = checksum(received.checksum, &piece[..count]);
    }
    Ok(received)
}

/// As the probe reckons it.
pub(super) fn checksum(before: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(before, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    })
}

/// Reads and forgets until the client closes its connection.
async fn wait_for_the_end(mut stream: TcpStream) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    while stream.read(&mut piece).await? > 0 {}
    Ok(())
}

/// Waits, without reading, until the client closes its connection.
async fn wait_unread(mut stream: TcpStream) -> std::io::Result<()> {
    // what cannot be written any more has nobody who reads it
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        stream.write_all(b" ").await?;
    }
}
