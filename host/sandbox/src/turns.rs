//! Whose turn it is to compute: as many guests at once as there are processors.
//!
//! A turn lasts until the guest waits for something, or until the next tick of the epoch.
//! Those that find none wait in a line of their connector's own, and the lines are served
//! one after another: a connector that is called without end keeps another one waiting
//! for one of its calls, not for all of them. They wait here rather than among the
//! runtime's tasks, so that listeners, engine and journal never stand behind more guests
//! than there are processors.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use model::Digest;

/// All turns, and the lines before them.
pub(crate) struct Turns(Mutex<Lines>);

struct Lines {
    /// Above 0 only while nobody waits.
    free: usize,
    /// One for each connector of which a call waits.
    lines: VecDeque<Line>,
}

struct Line {
    digest: Digest,
    places: VecDeque<Arc<Place>>,
}

/// One call's place in its line.
struct Place(Mutex<Stand>);

enum Stand {
    Waiting(Waker),
    /// It has a turn, and does not know yet.
    Called,
    Gone,
}

/// Held while a guest computes.
struct Turn<'a>(&'a Turns);

/// What one call has between its turns.
struct Ticket<'a> {
    turns: &'a Turns,
    digest: Digest,
    /// While it waits for one.
    place: Option<Arc<Place>>,
}

impl Turns {
    pub(crate) fn new(turns: usize) -> Self {
        Self(Mutex::new(Lines { free: turns, lines: VecDeque::new() }))
    }

    /// Runs the future of a connector's guest, each poll in a turn of its own.
    pub(crate) async fn run<F: Future>(&self, digest: Digest, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut ticket = Ticket { turns: self, digest, place: None };
        poll_fn(|context| {
            let _turn = ready!(ticket.poll_turn(context));
            future.as_mut().poll(context)
        })
        .await
    }

    fn take(&self, digest: Digest, context: &Context<'_>) -> Result<Turn<'_>, Arc<Place>> {
        let mut lines = self.lock();
        if lines.free > 0 {
            lines.free -= 1;
            return Ok(Turn(self));
        }
        let place = Arc::new(Place(Mutex::new(Stand::Waiting(context.waker().clone()))));
        match lines.lines.iter_mut().find(|line| line.digest == digest) {
            Some(line) => line.places.push_back(place.clone()),
            None => lines.lines.push_back(Line { digest, places: [place.clone()].into() }),
        }
        Err(place)
    }

    /// Who is next; when nobody is, the turn is free.
    fn next(&self) -> Option<Arc<Place>> {
        let mut lines = self.lock();
        let Some(mut line) = lines.lines.pop_front() else {
            lines.free += 1;
            return None;
        };
        let place = line.places.pop_front();
        if !line.places.is_empty() {
            lines.lines.push_back(line);
        }
        place
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        while let Some(place) = self.0.next() {
            if place.call() {
                return;
            }
        }
    }
}

impl Place {
    /// Gives it a turn; false when it is gone.
    fn call(&self) -> bool {
        let mut stand = self.lock();
        let Stand::Waiting(waker) = std::mem::replace(&mut *stand, Stand::Called) else {
            *stand = Stand::Gone;
            return false;
        };
        drop(stand);
        waker.wake();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Stand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Ticket<'a> {
    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<Turn<'a>> {
        if let Some(place) = &self.place {
            if let Stand::Waiting(waker) = &mut *place.lock() {
                waker.clone_from(context.waker());
                return Poll::Pending;
            }
            self.place = None;
            return Poll::Ready(Turn(self.turns));
        }
        match self.turns.take(self.digest, context) {
            Ok(turn) => Poll::Ready(turn),
            Err(place) => {
                self.place = Some(place);
                Poll::Pending
            }
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let stand = std::mem::replace(&mut *place.lock(), Stand::Gone);
        if matches!(stand, Stand::Called) {
            drop(Turn(self.turns));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    /// Free turns, and lines.
    fn standing(turns: &Turns) -> (usize, usize) {
        let lines = turns.lock();
        (lines.free, lines.lines.len())
    }

    #[test]
    fn each_connector_has_its_turn() {
        let (turns, context) = (Turns::new(1), Context::from_waker(Waker::noop()));
        let held = turns.take(digest("x"), &context);
        let names = ["flood", "flood", "flood", "calm", "calm"];
        let places = names.map(|name| turns.take(digest(name), &context).err().expect("there is no turn"));
        drop(held);
        let served = names.map(|_| {
            let at = places.iter().position(|place| matches!(*place.lock(), Stand::Called)).expect("one is called");
            *places[at].lock() = Stand::Gone;
            drop(Turn(&turns));
            names[at]
        });
        assert_eq!(served, ["flood", "calm", "flood", "calm", "flood"]);
        assert_eq!(standing(&turns), (1, 0));
    }

    #[tokio::test]
    async fn who_leaves_gives_the_turn_back() {
        let turns = Turns::new(1);
        let held = turns.take(digest("x"), &Context::from_waker(Waker::noop()));
        let waiting = || Box::pin(turns.run(digest("y"), async {}));
        let (mut first, mut second, mut third) = (waiting(), waiting(), waiting());
        for call in [&mut first, &mut second, &mut third] {
            assert!(call.now_or_never().is_none());
        }
        drop(first);
        drop(held);
        // The second has been called by now, and leaves all the same.
        drop(second);
        assert_eq!(third.now_or_never(), Some(()));
        assert_eq!(standing(&turns), (1, 0));
    }

    #[tokio::test]
    async fn a_guest_that_waits_holds_no_turn() {
        let turns = Turns::new(1);
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut waits = Box::pin(turns.run(digest("x"), receiver));
        assert!((&mut waits).now_or_never().is_none());
        assert_eq!(turns.lock().free, 1);
        turns.run(digest("y"), async {}).await;
        sender.send(()).expect("it waits");
        assert_eq!(waits.await, Ok(()));
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_turn_is_lost_or_given_twice() {
        let turns = Arc::new(Turns::new(2));
        let computing = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let calls = (0..64_u8).map(|number| {
            let (turns, computing) = (turns.clone(), computing.clone());
            tokio::spawn(async move {
                for round in 0..50_u8 {
                    let work = async {
                        for _ in 0..3 {
                            let now = computing.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            assert!(now < 2, "{now} others compute");
                            computing.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            yield_now().await;
                        }
                    };
                    let work = turns.run(Digest::of(&[number % 5]), work);
                    // Some are dropped wherever they are.
                    if (number + round) % 3 == 0 {
                        let _dropped = work.now_or_never();
                    } else {
                        work.await;
                    }
                }
            })
        });
        for call in join_all(calls).await {
            call.expect("no panic");
        }
        assert_eq!(standing(&turns), (2, 0));
    }
}
