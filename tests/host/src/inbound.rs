//! The HTTP server: every request finds its component through the route table.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clock::Clock;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{ExpirationError, ProxyHandler, TrapOrPanicError};

use crate::instance::{Fleet, Served};
use crate::outbound::{body_failure, whole};
use crate::routes::{Match, Routes};
use crate::stats::Counters;

/// A running application: its routes and its components.
pub(crate) struct Application {
    pub(crate) routes: Routes,
    /// By id.
    pub(crate) components: BTreeMap<String, ProxyHandler<Served>>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    /// Set when no further request is served, also on connections that are kept open.
    pub(crate) is_closed: Arc<AtomicBool>,
}

/// The instances were killed, or the application is ending: as after a platform's kill, the connection breaks off without an
/// answer.
#[derive(Debug, thiserror::Error)]
#[error("the instance was killed")]
struct Killed;

/// Accepts connections until it is dropped.
pub(crate) async fn listen(listener: TcpListener, application: Arc<Application>) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(connection(stream, peer, application.clone()));
            }
            Err(error) => {
                eprintln!("host: accepting a connection: {error}");
                // Out of file descriptors, most likely: let some be returned.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, application: Arc<Application>) {
    let service = service_fn(move |request| {
        let application = application.clone();
        async move { application.serve(request, peer).await }
    });
    // Without it, small answers on a kept connection wait for the peer's delayed acknowledgement. Only speed is lost.
    let _ = stream.set_nodelay(true);
    // A client that goes away is nothing to report; neither is a kill, which the client sees.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Application {
    async fn serve(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<WasiBody>, Killed> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Killed);
        }
        let arrived = self.clock.arrived(request.headers_mut());
        Counters::count(&self.counters.requests_in);
        let path = request.uri().path().to_owned();
        let Some(found) = self.routes.find(&path) else {
            return Ok(plain(StatusCode::NOT_FOUND, "no route matches\n"));
        };
        let component = &self.components[found.component];
        let Some(request) = prepare(request, &found, peer) else {
            return Ok(plain(
                StatusCode::BAD_REQUEST,
                "the request has no usable host\n",
            ));
        };
        let generation = self.fleet.generation();
        let answer = arrived.while_others_work(component.handle((), request));
        match answer.await {
            Ok(response) => Ok(response),
            Err(_) if *generation.borrow() => Err(Killed),
            Err(error) if error.is::<ExpirationError>() => Ok(plain(
                StatusCode::GATEWAY_TIMEOUT,
                "the component took too long\n",
            )),
            Err(error) => {
                // A trap is reported where the instance ends, with its backtrace.
                if !error.is::<TrapOrPanicError>() {
                    eprintln!("host: component `{}` failed: {error:?}", found.component);
                }
                Ok(plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the component failed\n",
                ))
            }
        }
    }
}

/// Turns a request from the wire into one for the guest: with an absolute URI and the headers that Spin adds.
fn prepare(
    request: Request<Incoming>,
    found: &Match<'_>,
    peer: SocketAddr,
) -> Option<Request<WasiBody>> {
    let (mut parts, body) = request.into_parts();
    let authority = match parts.uri.authority() {
        Some(authority) => authority.to_string(),
        None => parts.headers.get(header::HOST)?.to_str().ok()?.to_owned(),
    };
    let path_and_query = parts.uri.path_and_query()?.clone();
    parts.uri = Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(path_and_query)
        .build()
        .ok()?;
    let route = found.route.strip_suffix("/...").unwrap_or(&found.route);
    let added = [
        ("spin-full-url", parts.uri.to_string()),
        ("spin-path-info", found.trailing.to_owned()),
        ("spin-matched-route", found.route.clone()),
        ("spin-raw-component-route", found.route.clone()),
        ("spin-component-route", route.to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-client-addr", peer.to_string()),
    ];
    for (name, value) in added {
        parts.headers.insert(
            HeaderName::from_static(name),
            HeaderValue::try_from(value).ok()?,
        );
    }
    let body = body.map_err(body_failure).boxed_unsync();
    Some(Request::from_parts(parts, body))
}

fn plain(status: StatusCode, text: &'static str) -> Response<WasiBody> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
