//! The ports of both guests, as they are built into `tests/probe`: what becomes of calls that go wrong in each of the ways
//! that calls do, and of large ones and many.

mod peer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use host::{Host, Options, Wasi};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::component::on_each_wasi;
use peer::{Peer, checksum, closed, pattern};

on_each_wasi! {
    a_host_that_is_not_allowed_is_denied,
    a_refused_connection_is_an_error,
    a_reset_connection_is_an_error,
    half_an_answer_is_an_error,
    an_answer_that_stalls_times_out,
    a_peer_that_never_answers_times_out,
    an_answer_before_the_end_of_the_upload_is_read,
    an_answer_may_have_as_many_bytes_as_the_caller_can_hold_and_no_more,
    a_hundred_calls_go_on_at_once,
    a_large_answer_is_read_into_one_buffer,
    a_large_answer_of_unknown_length_is_read,
    a_large_body_is_sent_without_a_copy_of_it,
    headers_that_are_there_twice_stay_so,
    the_app_reaches_itself,
    work_goes_on_after_the_response,
    work_goes_on_where_the_client_has_gone,
    the_head_is_checked_before_the_body_is_there,
    half_a_request_is_not_handled,
    a_body_is_read_no_further_than_it_may_be_long,
    tasks_that_wait_for_each_other_are_woken,
}

/// Whatever is not answered within this time hangs.
const HANG: Duration = Duration::from_secs(60);

async fn within<T>(answering: impl Future<Output = T>) -> T {
    let answered = tokio::time::timeout(HANG, answering).await;
    answered.expect("it hangs")
}

/// The probe in its host, and the peer that it calls.
struct Probe {
    host: Host,
    peer: Peer,
    closed: String,
    _held: TcpSocket,
    client: reqwest::Client,
}

impl Probe {
    async fn open(wasi: Wasi) -> Self {
        let peer = Peer::start().await;
        let (closed, held) = closed();
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe/spin.toml");
        let host = Host::start(Options {
            variables: BTreeMap::from([
                ("peer".to_owned(), peer.url.clone()),
                ("closed".to_owned(), closed.clone()),
            ]),
            wasi,
            ..Options::new(manifest)
        });
        Self {
            host: host.await.expect("the host starts"),
            peer,
            closed,
            _held: held,
            client: reqwest::Client::builder()
                .timeout(HANG)
                .build()
                .expect("a client"),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let url = format!("http://{}{path}", self.host.address());
        let sending = self.client.post(url).body(body.to_string()).send();
        sending.await.expect("the probe answers")
    }

    /// What becomes of these calls, made at once.
    async fn calls(&self, calls: &Value) -> Vec<Value> {
        let response = self.post("/calls", calls).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.expect("a body");
        serde_json::from_str(&text).expect("what became of the calls")
    }

    async fn call(&self, call: Value) -> Value {
        let mut outcomes = self.calls(&json!([call])).await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// What became of a call that went wrong.
    async fn error(&self, call: Value) -> String {
        let outcome = self.call(call).await;
        let error = outcome["error"].as_str();
        error.unwrap_or_else(|| panic!("{outcome}")).to_owned()
    }

    /// A connection to the probe, on which this has been sent.
    async fn connect(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host.address())
            .await
            .expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("it is sent");
        stream
    }

    fn assert_no_trap(&self) {
        let stats = self.host.stats();
        assert_eq!((stats.traps, stats.refused_growths), (0, 0), "{stats:?}");
    }
}

async fn a_host_that_is_not_allowed_is_denied(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let (other, _held) = closed();
    assert_eq!(probe.error(json!({"url": other})).await, "denied");
    assert_eq!(probe.host.stats().denied, 1);
}

async fn a_refused_connection_is_an_error(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let error = probe.error(json!({"url": probe.closed})).await;
    assert_eq!(error, "connection: ConnectionRefused");
}

async fn a_reset_connection_is_an_error(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let error = probe.error(json!({"path": "/reset", "send": 10})).await;
    assert_eq!(error, "connection: ConnectionTerminated");
}

async fn half_an_answer_is_an_error(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    for path in ["/half", "/half-chunked"] {
        let error = probe.error(json!({"path": path})).await;
        assert!(error.starts_with("connection: "), "{path}: {error}");
    }
}

async fn an_answer_that_stalls_times_out(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let call = json!({"path": "/stalled", "timeout": 300});
    assert_eq!(probe.error(call).await, "timeout");
    // the platform has been told as well; for a body of WASI 0.2, wasmtime 48 does not say what was wrong
    let call = json!({"path": "/stalled", "timeout": 300, "bounded": "by the platform"});
    let error = probe.error(call).await;
    assert!(
        error == "timeout" || error.starts_with("connection: "),
        "{error}"
    );
}

async fn a_peer_that_never_answers_times_out(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    for bounded in ["by the ports", "by the platform"] {
        let call = json!({"path": "/mute", "timeout": 300, "send": 1_000, "bounded": bounded});
        assert_eq!(probe.error(call).await, "timeout", "{bounded}");
    }
}

async fn an_answer_before_the_end_of_the_upload_is_read(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    // more than the connection's buffers take
    let outcome = probe
        .call(json!({"path": "/early", "send": 50_000_000}))
        .await;
    assert_eq!(outcome["status"], 413, "{outcome}");
    assert_eq!(outcome["text"], "early", "{outcome}");
    probe.assert_no_trap();
}

async fn an_answer_may_have_as_many_bytes_as_the_caller_can_hold_and_no_more(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    for query in ["1000000", "1000000&chunked"] {
        let path = format!("/bytes?{query}");
        let outcome = probe.call(json!({"path": path, "most": 1_000_000})).await;
        assert_eq!(outcome["bytes"], 1_000_000, "{outcome}");
        let call = json!({"path": path, "most": 999_999});
        assert_eq!(probe.error(call).await, "too large", "{query}");
    }
    for query in ["0", "0&chunked"] {
        let call = json!({"path": format!("/bytes?{query}"), "most": 0});
        assert_eq!(probe.call(call).await["bytes"], 0, "{query}");
    }
}

async fn a_hundred_calls_go_on_at_once(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    // none of them is answered before all have come
    let calls: Vec<Value> = (0..100)
        .map(|n| json!({"path": "/together?100", "send": n * 100}))
        .collect();
    let outcomes = probe.calls(&Value::Array(calls)).await;
    assert_eq!(outcomes.len(), 100);
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["status"], 200, "{outcome}");
        let text = outcome["text"].as_str().unwrap_or_default();
        let expected = format!("{} ", n * 100);
        assert!(text.starts_with(&expected), "{outcome}");
    }
    assert_eq!(probe.host.stats().instances, 1);
}

/// What is held beside the bodies, in bytes: the stack, the code's data, a piece of a body.
const BESIDE: usize = 2 << 20;

async fn a_large_answer_is_read_into_one_buffer(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let outcome = probe.call(json!({"path": "/bytes?25000000"})).await;
    assert_eq!(outcome["bytes"], 25_000_000, "{outcome}");
    assert_eq!(outcome["checksum"], checksum(0, &pattern(25_000_000)));
    let peak = probe.host.stats().peak_memory;
    assert!(peak < 25_000_000 + BESIDE, "{peak}");
}

async fn a_large_answer_of_unknown_length_is_read(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let call = json!({"path": "/bytes?25000000&chunked", "most": 26_000_000});
    let outcome = probe.call(call).await;
    assert_eq!(outcome["bytes"], 25_000_000, "{outcome}");
    assert_eq!(outcome["checksum"], checksum(0, &pattern(25_000_000)));
    // while the buffer grows, the one before is held, and what it left behind: each half of the next
    let peak = probe.host.stats().peak_memory;
    assert!(peak < 26_000_000 + 2 * 17_000_000 + BESIDE, "{peak}");
}

async fn a_large_body_is_sent_without_a_copy_of_it(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let outcome = probe
        .call(json!({"path": "/upload", "send": 5_000_000}))
        .await;
    let slice: Vec<u8> = (0..10_000).map(|index| (index % 251) as u8).collect();
    let sum = (0..500).fold(0, |sum, _| checksum(sum, &slice));
    assert_eq!(outcome["text"], format!("5000000 {sum}"), "{outcome}");
    // the probe's body is the same slice again and again, so what is held is what the guest adds
    let peak = probe.host.stats().peak_memory;
    assert!(peak < BESIDE, "{peak}");
}

async fn headers_that_are_there_twice_stay_so(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let outcome = probe.call(json!({"path": "/bytes?10"})).await;
    assert_eq!(outcome["headers"], 2, "{outcome}");
    let outcome = probe.call(json!({})).await;
    let echo: Value =
        serde_json::from_str(outcome["text"].as_str().expect("an echo")).expect("JSON");
    assert_eq!(echo["headers"], 2, "{echo}");
}

async fn the_app_reaches_itself(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let outcome = probe.call(json!({"send": 20_000})).await;
    let echo: Value =
        serde_json::from_str(outcome["text"].as_str().expect("an echo")).expect("JSON");
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["bytes"], 20_000);
}

async fn work_goes_on_after_the_response(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let calls = json!([{"path": "/held"}, {"path": "/upload", "send": 300_000}, {"path": "/last"}]);
    // answered while the first of the calls is held
    assert_eq!(probe.post("/after", &calls).await.status(), 202);
    within(probe.peer.held().arrived(1)).await;
    assert_eq!(probe.peer.seen(), ["/held"]);
    // and others are served meanwhile
    assert_eq!(probe.call(json!({"path": "/other"})).await["status"], 200);
    probe.peer.held().open();
    within(probe.peer.called("/last")).await;
    probe.assert_no_trap();
    let instances = match wasi {
        Wasi::V0_2 => 2,
        Wasi::V0_3 => 1,
    };
    assert_eq!(probe.host.stats().instances, instances);
}

async fn work_goes_on_where_the_client_has_gone(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let calls = json!([{"path": "/held"}, {"path": "/then"}, {"path": "/last"}]).to_string();
    let length = calls.len();
    let connection = probe
        .connect(&format!(
            "POST /around HTTP/1.1\r\nhost: probe\r\ncontent-length: {length}\r\n\r\n{calls}"
        ))
        .await;
    within(probe.peer.held().arrived(1)).await;
    drop(connection);
    probe.peer.held().open();
    within(probe.peer.called("/last")).await;
    probe.assert_no_trap();
    assert_eq!(probe.call(json!({"path": "/other"})).await["status"], 200);
}

async fn the_head_is_checked_before_the_body_is_there(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let head =
        "POST /echo HTTP/1.1\r\nhost: probe\r\nx-refuse: 1\r\ncontent-length: 1000000\r\n\r\n";
    let mut connection = probe.connect(head).await;
    let mut answer = vec![0; 12];
    let reading = connection.read_exact(&mut answer);
    within(reading).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
    probe.assert_no_trap();
}

async fn half_a_request_is_not_handled(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let calls = json!([{"path": "/called"}]);
    let head = "POST /after HTTP/1.1\r\nhost: probe\r\ncontent-length: 1000\r\n\r\n";
    let mut connection = probe.connect(&format!("{head}{calls}")).await;
    connection.shutdown().await.expect("half a connection");
    // nobody is there to be answered, so what comes is the end
    let mut answer = Vec::new();
    let reading = connection.read_to_end(&mut answer);
    within(reading).await.expect("an end");
    // what came of it would have been sent before this
    assert_eq!(probe.call(json!({"path": "/other"})).await["status"], 200);
    assert_eq!(probe.peer.seen(), ["/other"]);
    probe.assert_no_trap();
}

async fn a_body_is_read_no_further_than_it_may_be_long(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    let limit = klaviyo_bulk_import::api::MAX_BODY_BYTES;
    for (length, read) in [
        (limit, limit),
        (limit + 1, limit + 1),
        (limit + 100_000, limit + 1),
    ] {
        let text = "x".repeat(length);
        let head = "POST /echo HTTP/1.1\r\nhost: probe\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("{head}{length:x}\r\n{text}\r\n0\r\n\r\n");
        let mut connection = probe.connect(&chunk).await;
        let mut answer = Vec::new();
        // what it does not read it may answer with a reset, after its answer
        let _ = within(connection.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        let (from, to) = (answer.find('{'), answer.rfind('}'));
        let body = &answer[from.expect("a body")..=to.expect("a body")];
        let echo: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(echo["bytes"], read, "of {length}");
    }
}

async fn tasks_that_wait_for_each_other_are_woken(wasi: Wasi) {
    let probe = Probe::open(wasi).await;
    // several at once, so that instances that serve many requests have several of them
    let answers = join_all((0..5).map(|_| async {
        let answer = probe.post("/tasks", &Value::Null).await;
        let text = answer.text().await.expect("a body");
        serde_json::from_str::<Value>(&text).expect("JSON")
    }));
    for answer in answers.await {
        assert_eq!(answer["messages"], answer["expected"], "{answer}");
    }
    probe.assert_no_trap();
}
