//! A peer with latency, faults, counted calls and answers checked against the contract: over HTTP/1.1 on 127.0.0.1, or
//! within the process.

mod body;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clock::Clock;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::service::{Closed, Service};
use crate::contract::{Api, Contract};
use crate::faults::Faults;
use crate::peer::Peer;

/// How long an answer takes, in simulated time: `mean`, more or less up to `jitter`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// In the middle.
    pub mean: Duration,
    /// At most so much more or less, evenly.
    pub jitter: Duration,
    /// Decides each call's share of the jitter.
    pub seed: u64,
}

/// How a peer is served.
#[derive(Clone)]
pub struct ServeOptions {
    /// Which API it is, for the contract and the shape of refusals.
    pub api: Api,
    /// The time it lives in.
    pub clock: Clock,
    /// How long its answers take.
    pub latency: Latency,
    /// What goes wrong.
    pub faults: Faults,
    /// The contract that requests and answers are checked against; none is no check.
    pub contract: Option<Arc<Contract>>,
}

/// How often each operation was answered with each status: `("GET /shop/orders", 200)`. Calls whose
/// connection was closed without an answer count under status 0.
pub type Calls = BTreeMap<(String, u16), u64>;

/// A peer that can be called; dropping it stops it at once, in the middle of whatever it does.
pub struct Server {
    url: String,
    service: Arc<Service>,
    /// Where it listens.
    listening: Option<(SocketAddr, JoinHandle<()>)>,
}

/// The pause before each byte of a body that trickles.
const TRICKLE: Duration = Duration::from_secs(1);

impl Server {
    /// A peer that is reached by [`Server::call`] alone, and is known there by this URL.
    pub fn new(peer: Arc<Mutex<dyn Peer>>, options: ServeOptions, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            service: Arc::new(Service::new(peer, options)),
            listening: None,
        }
    }

    /// Serves it over HTTP in the current Tokio runtime, where port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn listen(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("listening on {address}"))?;
        let address = listener.local_addr().context("asking for the port")?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&self.service)));
        self.url = format!("http://{address}");
        self.listening = Some((address, accepting));
        Ok(())
    }

    /// Its URL, without a slash at its end.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A call within the process, with the latency, faults and checks of a connection; `None` where the connection would
    /// have been closed before the whole answer was there.
    pub async fn call(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        self.direct().call(request).await
    }

    /// The way to the peer within the process.
    pub fn direct(&self) -> Direct {
        Direct(Arc::clone(&self.service))
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        self.service.calls()
    }

    /// Where requests or the peer's own answers broke the contract, in words; empty is as it should be.
    pub fn violations(&self) -> Vec<String> {
        self.service.violations()
    }

    /// Closes the listener and all connections, without waiting for calls under way.
    pub fn stop(&self) {
        if let Some((_, accepting)) = &self.listening {
            accepting.abort();
        }
    }
}

/// See [`Server::call`].
#[derive(Clone)]
pub struct Direct(Arc<Service>);

impl Direct {
    /// See [`Server::call`].
    pub async fn call(&self, mut request: Request<Bytes>) -> Option<Response<Bytes>> {
        let arrived = self.0.arrived(request.headers_mut());
        let answer = self.0.call(request, arrived).await.ok()?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(parts, body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    // Aborting this task drops the set, which aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&service)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, service: Arc<Service>) {
    // Small answers must not wait for the next one; without this they only come later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (mut parts, body) = request.into_parts();
            let arrived = service.arrived(&mut parts.headers);
            // The client went away in the middle of its request.
            let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
            service
                .call(Request::from_parts(parts, body), arrived)
                .await
        }
    });
    // A closed connection, by the client or by a fault, is nothing to report.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What a thread that panicked left behind is as good as what it found.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
