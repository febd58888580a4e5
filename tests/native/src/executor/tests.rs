//! Turns and time.

use std::cell::RefCell;

use futures_util::future::{join, join_all, pending};

use super::*;
use crate::setup::BEGINNING;

const SECOND: Duration = Duration::from_secs(1);

fn executor(seed: u64) -> Executor {
    Executor::new(Clock::virtual_from(BEGINNING), seed)
}

/// The order in which ten tasks, which can all go on at once, have their turns.
fn turns(seed: u64) -> Vec<u32> {
    let (executor, turns) = (executor(seed), Rc::new(RefCell::new(Vec::new())));
    for task in 0..10 {
        let turns = turns.clone();
        executor.spawn(None, async move { turns.borrow_mut().push(task) });
    }
    executor.block_on(executor.sleep(SECOND));
    turns.take()
}

#[test]
fn a_seed_decides_whose_turn_it_is() {
    assert_eq!(turns(1), turns(1));
    assert_ne!(turns(1), turns(2));
    let mut all = turns(3);
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}

#[test]
fn time_jumps_to_the_next_moment_that_anybody_waits_for() {
    let executor = executor(0);
    let woken = RefCell::new(Vec::new());
    let sleepers = [5, 3_600, 1].map(async |seconds| {
        executor.sleep(SECOND * seconds).await;
        woken.borrow_mut().push((seconds, executor.elapsed()));
    });
    executor.block_on(join_all(sleepers));
    let expected = [1, 5, 3_600].map(|seconds| (seconds, SECOND * seconds));
    assert_eq!(woken.take(), expected);
}

#[test]
fn who_waits_for_what_never_comes_is_told() {
    let executor = executor(0);
    assert_eq!(executor.run(pending::<()>(), |_| {}), None);
}

#[test]
fn an_instance_that_is_killed_has_no_more_turns_and_others_have() {
    let executor = executor(0);
    let ends = Rc::new(RefCell::new(Vec::new()));
    for instance in [1, 2] {
        let (clock, ends) = (executor.clock().clone(), ends.clone());
        executor.spawn(Some(instance), async move {
            clock.sleep(SECOND * 2).await;
            ends.borrow_mut().push(instance);
        });
    }
    executor.block_on(async {
        executor.sleep(SECOND).await;
        executor.kill(1);
        assert!(!executor.is_busy(1) && executor.is_busy(2));
        executor.sleep(SECOND * 2).await;
    });
    assert_eq!(ends.take(), [2]);
}

#[test]
fn an_instance_that_is_frozen_goes_on_when_its_pause_is_over() {
    let executor = executor(0);
    let end = Rc::new(Cell::default());
    let (clock, ended) = (executor.clock().clone(), end.clone());
    executor.spawn(Some(1), async move {
        clock.sleep(SECOND).await;
        ended.set(clock.elapsed());
    });
    executor.freeze(1, SECOND * 30);
    let before = Cell::new(0);
    let count = |_| before.set(before.get() + 1);
    executor.run(executor.sleep(SECOND * 60), count);
    assert_eq!(end.get(), SECOND * 31);
    // one turn to set its alarm, one when it has rung
    assert_eq!(before.get(), 2);
}

#[test]
fn a_task_may_be_killed_before_its_own_turn() {
    let executor = executor(0);
    executor.spawn(Some(1), async { panic!("it had a turn") });
    let kill = |instance| executor.kill(instance);
    let all = join(executor.sleep(SECOND), executor.sleep(SECOND));
    assert!(executor.run(all, kill).is_some());
}
