//! The queue as the engine uses it: wakes, turns, timers, bounds.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

struct Hand(AtomicU64);

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        7
    }
}

fn flow(id: &str) -> Arc<FlowLane> {
    let environment = "test".parse().expect("a name");
    Arc::new(FlowLane { environment, flow: id.parse().expect("a name"), team: None })
}

fn lane(flow: Arc<FlowLane>) -> Lane {
    Lane { flow, key: 0, most: usize::MAX }
}

/// Even runs belong to one flow, odd ones to another; those above 1,000 have ended.
fn queue(ready_max: usize) -> (Arc<Queue>, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicU64::new(1_000)));
    let directory = |run: &RunId| {
        let number = name(run);
        (number < 1_000).then(|| lane(flow(if number.is_multiple_of(2) { "even" } else { "odd" })))
    };
    (Arc::new(Queue::new(clock.clone(), ready_max, 8, Box::new(directory))), clock)
}

fn take(queue: &Arc<Queue>) -> Option<(Name, Turn)> {
    queue.take().map(|(_, turn)| (name(&turn.run), turn))
}

#[test]
fn a_run_has_one_worker_and_no_wake_is_lost_or_doubled() {
    let (queue, _) = queue(10);
    let run = run_id(2);
    queue.push_stored(run.clone());
    queue.push_stored(run.clone());
    let (_, turn) = take(&queue).expect("a job");
    assert!(take(&queue).is_none(), "woken twice before it began: once is enough");
    queue.push_stored(run.clone());
    queue.push_stored(run.clone());
    assert!(take(&queue).is_none(), "somebody works on it");
    drop(turn);
    let (again, turn) = take(&queue).expect("it was woken meanwhile");
    assert_eq!(again, 2);
    drop(turn);
    assert!(take(&queue).is_none());
    assert!(queue.lock().standing.is_empty());
}

#[test]
fn timers_come_due_once_and_in_order() {
    let (queue, clock) = queue(10);
    queue.push_timed(3_000, run_id(4));
    queue.push_timed(2_000, run_id(2));
    queue.push_timed(2_000, run_id(2));
    queue.push_timed(2_000, run_id(5_000));
    assert_eq!(queue.depth(), (0, 0, 3));
    assert!(matches!(queue.poll(), Polled::Wait(Some(wait)) if wait == Duration::from_millis(1_000)));
    clock.0.store(5_000, Ordering::SeqCst);
    assert!(matches!(queue.poll(), Polled::Offers));
    assert_eq!(queue.depth(), (0, 2, 0), "the ended one is gone");
    let order: Vec<Name> = std::iter::from_fn(|| take(&queue)).map(|(name, _)| name).collect();
    assert_eq!(order, [2, 4]);
}

#[test]
fn a_thousand_timers_at_once_all_come() {
    let (queue, clock) = queue(10_000);
    (0..900).for_each(|number| queue.push_timed(2_000, run_id(number)));
    clock.0.store(2_000, Ordering::SeqCst);
    assert!(matches!(queue.poll(), Polled::Offers));
    assert_eq!(queue.depth(), (0, 900, 0));
}

#[test]
fn one_flow_cannot_fill_the_queue() {
    let (queue, _) = queue(10);
    let mut noisy = 0;
    while queue.room(&flow("even")) == Room::Free {
        queue.push_stored(run_id(noisy * 2));
        noisy += 1;
    }
    assert_eq!((noisy, queue.room(&flow("even"))), (8, Room::FlowFull));
    assert_eq!(queue.room(&flow("odd")), Room::Free);
    queue.push_stored(run_id(1));
    queue.push_stored(run_id(3));
    assert_eq!(queue.room(&flow("other")), Room::Full);
}

/// Those that ask for no room: begun by others, or of a flow that was resumed.
#[test]
fn what_came_in_unasked_shuts_no_other_flow_out() {
    let (queue, _) = queue(200);
    (0..300).for_each(|number| assert!(queue.push_stored(run_id(number * 2))));
    assert_eq!(queue.room(&flow("even")), Room::Full);
    for number in 0..2 {
        assert_eq!(queue.room(&flow("odd")), Room::Free, "{number}");
        queue.push_stored(run_id(number * 2 + 1));
    }
    assert_eq!(queue.room(&flow("odd")), Room::Full, "its part of what is kept for such");
    (300..400).for_each(|number| assert!(queue.push_stored(run_id(number * 2))));
    assert_eq!(queue.room(&flow("other")), Room::Full, "twice as many, and no more");
}

#[test]
fn timers_count_and_are_bounded() {
    let (queue, _) = queue(1);
    (0..49).for_each(|number| queue.push_timed(10_000, run_id(number)));
    // A run waits for one time: the last that was said.
    (0..100).for_each(|at_ms| queue.push_timed(20_000 + at_ms, run_id(2)));
    assert_eq!(queue.room(&flow("even")), Room::Free);
    queue.push_timed(20_000, run_id(49));
    assert_eq!(queue.room(&flow("even")), Room::Full);
    queue.forget(&run_id(2));
    queue.forget(&run_id(2));
    assert_eq!(queue.depth(), (0, 0, 49));
    assert_eq!(queue.room(&flow("even")), Room::Free);
}

#[tokio::test]
async fn a_closed_queue_gives_nothing() {
    let (queue, _) = queue(10);
    queue.push_stored(run_id(2));
    assert!(queue.offers().await);
    queue.close();
    assert!(!queue.offers().await && take(&queue).is_none());
    queue.closed().await;
}
