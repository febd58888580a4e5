//! A served peer, seen from the other end of the connection.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::faults::{Fault, Rule};

/// How fast the time of these tests passes.
const SPEED: f64 = 1_000.0;

/// Answers every call with ten letters, and counts them.
#[derive(Default)]
struct Letters {
    calls: u32,
}

impl Peer for Letters {
    fn answer(&mut self, _: jiff::Timestamp, _: &Request<Bytes>) -> Response<Bytes> {
        self.calls += 1;
        Response::new(Bytes::from_static(b"abcdefghij"))
    }
}

async fn letters(faults: &Faults) -> (Arc<Mutex<Letters>>, Server) {
    let peer = Arc::new(Mutex::new(Letters::default()));
    let options = ServeOptions {
        api: Api::Commercetools,
        clock: Clock::new(SPEED),
        latency: Latency::default(),
        faults: faults.clone(),
        contract: None,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = Server::new(peer.clone(), options, "http://x.test");
    server.listen(address).await.unwrap();
    (peer, server)
}

fn address(server: &Server) -> SocketAddr {
    server.listening.as_ref().unwrap().0
}

/// Everything that comes back for one call until the connection is closed.
async fn call(server: &Server) -> String {
    let mut stream = TcpStream::connect(address(server)).await.unwrap();
    let request = "GET /shop/orders HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has said all it will say.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn each_fault_shows_as_what_it_is() {
    let faults = Faults::new(1);
    let (peer, server) = letters(&faults).await;
    let refuse = Fault::throttle(7);
    for (fault, effects) in [
        (None, 1),
        (Some(Fault::LoseRequest), 1),
        (Some(Fault::LoseAnswer), 2),
        (Some(refuse), 2),
        (Some(Fault::HalfAnswer), 3),
        (Some(Fault::Trickle), 4),
        (Some(Fault::Hold(Duration::from_secs(5))), 5),
        (Some(Fault::Double), 7),
    ] {
        faults.clear();
        if let Some(fault) = &fault {
            faults.add(Rule::always(fault.clone()));
        }
        let answer = call(&server).await;
        let fits = match &fault {
            Some(Fault::LoseRequest | Fault::LoseAnswer) => answer.is_empty(),
            Some(Fault::Refuse(..)) => {
                answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 7")
            }
            Some(Fault::HalfAnswer) => {
                answer.contains("content-length: 10") && answer.ends_with("\r\n\r\nabcde")
            }
            _ => answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nabcdefghij"),
        };
        assert!(fits, "{fault:?}: {answer}");
        assert_eq!(lock(&peer).calls, effects, "{fault:?}");
    }
    let calls = server.calls();
    let of = |status| calls.get(&("GET /shop/orders".to_owned(), status)).copied();
    assert_eq!((of(0), of(429), of(200)), (Some(2), Some(1), Some(5)));
}

#[tokio::test]
async fn a_call_that_hangs_has_no_effect_and_no_answer() {
    let faults = Faults::default();
    faults.add(Rule::always(Fault::Hang));
    let (peer, server) = letters(&faults).await;
    let clock = Clock::new(SPEED);
    let answer = clock.within(Duration::from_secs(600), call(&server)).await;
    assert_eq!((answer, lock(&peer).calls), (None, 0));
    assert_eq!(faults.applied(), 1);
}

#[tokio::test]
async fn a_stopped_server_refuses_connections() {
    let (_, mut server) = letters(&Faults::default()).await;
    assert!(call(&server).await.starts_with("HTTP/1.1 200"));
    server.stop();
    let (address, accepting) = server.listening.as_mut().unwrap();
    let _ = accepting.await;
    assert!(TcpStream::connect(*address).await.is_err());
}
