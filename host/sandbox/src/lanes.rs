//! Lanes for guests that compute, and the lines before them.
//!
//! Owns who computes next. Every connector has a line of its own, and a lane that comes
//! free goes to the next line, then to the next one after it: a connector with a hundred
//! calls waits for itself, and keeps none of another for longer than one turn. They wait
//! here rather than among the runtime's tasks, so that listeners, engine and journal never
//! stand behind more guests than there are lanes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use model::Digest;
use tokio::sync::oneshot;

/// A number of lanes.
pub(crate) struct Lanes(Mutex<State>);

struct State {
    free: usize,
    /// None is empty; the first is served next.
    lines: VecDeque<Line>,
}

/// Calls of one connector, the one that has waited longest first.
struct Line {
    connector: Digest,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A lane, until it is dropped.
pub(crate) struct Turn(Option<Arc<Lanes>>);

/// In a line, until it is dropped.
pub(crate) struct Place(oneshot::Receiver<Turn>);

impl Future for Place {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let told = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(told.expect("whoever waits keeps the lanes alive, and they keep what it is told by"))
    }
}

impl Lanes {
    /// So many lanes, all free. At least one.
    pub(crate) fn new(lanes: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: lanes.max(1), lines: VecDeque::new() })))
    }

    /// A lane, when it is the connector's turn. Dropping the future leaves the line.
    pub(crate) async fn enter(self: &Arc<Self>, connector: Digest) -> Turn {
        match self.line_up(connector) {
            Ok(turn) => turn,
            Err(place) => place.await,
        }
    }

    /// A lane, or a place in the connector's line.
    pub(crate) fn line_up(self: &Arc<Self>, connector: Digest) -> Result<Turn, Place> {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Ok(Turn(Some(Arc::clone(self))));
        }
        let (given, waiting) = oneshot::channel();
        state.line(connector).waiting.push_back(given);
        Err(Place(waiting))
    }

    /// Gives a lane to whoever is next.
    fn pass_on(self: &Arc<Self>) {
        let mut state = self.lock();
        while let Some(next) = state.next() {
            match next.send(Turn(Some(Arc::clone(self)))) {
                Ok(()) => return,
                // It has left the line. This turn was never anybody's.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        state.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, connector: Digest) -> &mut Line {
        let at = self.lines.iter().position(|line| line.connector == connector).unwrap_or_else(|| {
            self.lines.push_back(Line { connector, waiting: VecDeque::new() });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    /// Takes the first of the first line, which is the last line then.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut line = self.lines.pop_front()?;
        let first = line.waiting.pop_front();
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        first
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(lanes) = self.0.take() {
            lanes.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    type Waiting = Pin<Box<dyn Future<Output = Turn>>>;

    fn connector(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    /// In the line.
    fn wait(lanes: &Arc<Lanes>, name: &str) -> Waiting {
        let (lanes, connector) = (Arc::clone(lanes), connector(name));
        let mut waiting: Waiting = Box::pin(async move { lanes.enter(connector).await });
        assert!(waiting.as_mut().now_or_never().is_none(), "{name} has to wait");
        waiting
    }

    #[test]
    fn connectors_take_turns() {
        let lanes = Lanes::new(1);
        let mut held = lanes.enter(connector("a")).now_or_never().expect("a free lane");
        let names = ["a", "a", "a", "b", "b", "c"];
        let mut waiting: Vec<_> = names.iter().map(|name| (*name, wait(&lanes, name))).collect();
        let mut order = String::new();
        while !waiting.is_empty() {
            drop(held);
            let mut turns = waiting.iter_mut().enumerate();
            let (at, turn) = turns
                .find_map(|(at, (_, waiting))| Some((at, waiting.as_mut().now_or_never()?)))
                .expect("somebody's turn");
            held = turn;
            order.push_str(waiting.remove(at).0);
        }
        assert_eq!(order, "abcaba");
    }

    #[test]
    fn a_turn_comes_back_however_it_ends() {
        let lanes = Lanes::new(2);
        let held = [connector("a"), connector("b")].map(|it| lanes.enter(it).now_or_never().expect("a free lane"));
        let (gone, told, last) = (wait(&lanes, "c"), wait(&lanes, "c"), wait(&lanes, "d"));
        // It left before its turn, and the next one after it was given and never looked at.
        drop(gone);
        let [first, second] = held;
        drop(first);
        drop(told);
        let turn = last.now_or_never().expect("the last one's turn");
        drop((turn, second));
        let state = lanes.lock();
        assert_eq!((state.free, state.lines.len()), (2, 0));
    }
}
