//! Time that runs fast, and time that stands still until everybody waits.

use std::future::pending;
use std::sync::Mutex;

use http::HeaderMap;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn virtual_clock() -> Clock {
    Clock::virtual_from("2026-07-15T00:00:00Z".parse().unwrap())
}

/// Polls everything else that is ready.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_fast_clock_runs_ahead_of_the_real_one() {
    let start: Timestamp = "2026-07-15T00:00:00Z".parse().unwrap();
    let real = Instant::now();
    let clock = Clock::starting_at(start, 3600.0);
    std::thread::sleep(Duration::from_millis(5));
    let simulated = clock.now().duration_since(start);
    assert!(simulated >= SignedDuration::from_secs(18), "{simulated:?}");
    assert!(simulated <= SignedDuration::try_from(real.elapsed() * 3600).unwrap());
}

#[tokio::test]
async fn waits_shrink_with_the_speed() {
    let clock = Clock::new(1e6);
    clock.sleep(SECOND * 3600).await;
    assert!(clock.elapsed() >= SECOND * 3600);
    let answer = clock.within(SECOND * 3600, pending::<()>()).await;
    assert_eq!(answer, None);
    let mut sleep = clock.sleep(Duration::MAX);
    sleep.reset(SECOND);
    sleep.await;
}

#[test]
#[should_panic(expected = "above 0")]
fn a_clock_that_stands_still_is_refused() {
    let _ = Clock::new(0.0);
}

#[tokio::test]
async fn virtual_time_passes_only_while_somebody_waits_and_stops_where_it_was_to() {
    let clock = virtual_clock();
    let woken = Arc::new(Mutex::new(Vec::new()));
    for seconds in [3, 1, 2] {
        let (clock, woken) = (clock.clone(), woken.clone());
        tokio::spawn(async move {
            clock.sleep(SECOND * seconds).await;
            woken.lock().unwrap().push(seconds);
        });
    }
    settle().await;
    assert_eq!(clock.elapsed(), Duration::ZERO);
    clock.pass(SECOND * 2).await;
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 2);
    assert_eq!(*woken.lock().unwrap(), [1, 2]);
    clock.pass(SECOND * 5).await;
    assert_eq!(clock.now().to_string(), "2026-07-15T00:00:07Z");
    let waits = clock.clone();
    tokio::spawn(async move { waits.sleep(SECOND).await });
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 7);
    clock.pass(Duration::ZERO).await;
    assert_eq!(clock.elapsed(), SECOND * 7);
}

#[tokio::test]
async fn a_call_holds_the_time_up_while_it_is_on_its_way_and_not_where_its_answering_sleeps() {
    let clock = virtual_clock();
    let mut headers = HeaderMap::new();
    let call = clock.call();
    call.mark(&mut headers);
    assert_eq!(headers.len(), 1);
    let arrived = clock.arrived(&mut headers);
    assert!(headers.is_empty());
    let passing = {
        let clock = clock.clone();
        tokio::spawn(async move { clock.pass(SECOND * 10).await })
    };
    settle().await;
    assert_eq!(clock.elapsed(), Duration::ZERO, "the call is on its way");
    arrived.sleep(SECOND * 2).await;
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 2, "the answer is on its way back");
    // an answering that is broken off does not sleep any more
    let other = clock.call();
    let answering = {
        let arrived = arrived.clone();
        tokio::spawn(async move { arrived.sleep(SECOND).await })
    };
    settle().await;
    answering.abort();
    settle().await;
    drop(other);
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 2);
    // the thread that is to answer waits for others
    let (own, participant) = clock.join().unwrap();
    let answering = {
        let arrived = arrived.clone();
        tokio::spawn(async move { arrived.while_others_work(own.sleep(SECOND)).await })
    };
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 2);
    participant.rests();
    answering.await.unwrap();
    participant.rests();
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 3);
    // nobody waits for the answer any more
    drop(call);
    passing.await.unwrap();
    assert_eq!(clock.elapsed(), SECOND * 10);
}

#[tokio::test]
async fn a_thread_that_works_holds_the_time_up_and_one_that_is_gone_does_not() {
    let clock = virtual_clock();
    let (own, participant) = clock.join().unwrap();
    let passing = {
        let clock = clock.clone();
        tokio::spawn(async move { clock.pass(SECOND * 10).await })
    };
    settle().await;
    assert_eq!(clock.elapsed(), Duration::ZERO, "it has not rested yet");
    let sleeping = tokio::spawn(async move { own.sleep(SECOND * 4).await });
    settle().await;
    participant.rests();
    sleeping.await.unwrap();
    settle().await;
    assert_eq!(clock.elapsed(), SECOND * 4, "its alarm has woken it");
    participant.rests();
    participant.works();
    drop(participant);
    passing.await.unwrap();
    assert_eq!(clock.elapsed(), SECOND * 10);
}

#[test]
fn in_real_time_nothing_is_marked_and_nobody_joins() {
    let clock = Clock::new(1.0);
    let mut headers = HeaderMap::new();
    clock.call().mark(&mut headers);
    assert!(headers.is_empty());
    assert!(clock.join().is_none() && clock.flow().is_none() && clock.is_real());
}
