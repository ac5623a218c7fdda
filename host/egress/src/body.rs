//! A request's body: whole, or in pieces while it is sent.
//!
//! Owns the count of what is sent and how the sending goes on, so that whoever waits
//! for the answer can tell a remote that takes nothing from a source that gives nothing.
//! A body that is too long, too short or broken off never ends like a whole one, and none
//! goes on once its request is over: a remote may answer early and still take everything.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::transport::BodyStream;

/// Where a body comes from that is not in memory.
pub trait Source: Send {
    /// How many bytes there are; exactly so many must come. None: not known.
    fn bytes(&self) -> Option<u64>;

    /// The pieces from the beginning; an error says what broke. None: they were handed
    /// out already and do not come a second time.
    fn open(&mut self) -> Option<BodyStream>;
}

/// The body of a request before it is sent.
pub(crate) enum Body {
    Whole(Bytes),
    Source(Box<dyn Source>),
}

impl Body {
    /// How many bytes it has, if that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Source(source) => source.bytes(),
        }
    }
}

/// A body that is sent piece by piece.
pub(crate) struct Paced {
    /// Never locked: it makes the body shareable, as HTTP libraries demand.
    pieces: Mutex<BodyStream>,
    bytes: Option<u64>,
    bytes_max: u64,
    pace: Arc<Pace>,
}

/// How the sending of a body goes on. Shared with whoever waits for the answer.
pub(crate) struct Pace(Mutex<Progress>);

struct Progress {
    sent: u64,
    /// When the network last took something, or was first offered it.
    moved_at: Instant,
    /// The network could take more, and the source has nothing yet.
    starved: bool,
    cut: Option<Ended>,
    /// The request is over: nothing more is sent.
    stopped: bool,
    /// Whoever polled the body last.
    waker: Option<Waker>,
}

/// Why a body is not sent whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the body is larger than request_bytes")]
    TooLarge,
    #[error("{0}")]
    Broken(String),
}

impl Paced {
    /// At most `bytes_max` bytes; exactly `bytes`, where that is known.
    pub(crate) fn new(pieces: BodyStream, bytes: Option<u64>, bytes_max: u64) -> Self {
        let moved_at = Instant::now();
        let progress = Progress { sent: 0, moved_at, starved: false, cut: None, stopped: false, waker: None };
        Self { pieces: Mutex::new(pieces), bytes, bytes_max, pace: Arc::new(Pace(Mutex::new(progress))) }
    }

    pub(crate) fn pace(&self) -> Arc<Pace> {
        self.pace.clone()
    }

    /// Counts a piece, unless the body ends here.
    fn count(&self, piece: &Bytes) -> Result<(), Ended> {
        let mut progress = self.pace.lock();
        progress.check_open()?;
        progress.sent = progress.sent.saturating_add(piece.len() as u64);
        (progress.moved_at, progress.starved) = (Instant::now(), false);
        if progress.sent > self.bytes_max {
            return Err(Ended::TooLarge);
        }
        match self.bytes {
            Some(bytes) if progress.sent > bytes => Err(wrong_length(bytes)),
            _ => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), Ended> {
        let mut progress = self.pace.lock();
        // From now on the remote is waited for, not the source.
        (progress.moved_at, progress.starved) = (Instant::now(), false);
        match self.bytes {
            Some(bytes) if progress.sent != bytes => Err(wrong_length(bytes)),
            _ => Ok(()),
        }
    }

    /// What the source has next; nothing from it is asked for once the body is stopped.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Ended>> {
        {
            let mut progress = self.pace.lock();
            if let Err(ended) = progress.check_open() {
                return Poll::Ready(Err(ended));
            }
            // Before the source is asked: who stops the body meanwhile wakes it.
            progress.waker = Some(context.waker().clone());
        }
        let pieces = self.pieces.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Poll::Ready(piece) = pieces.as_mut().poll_next(context) else {
            self.pace.lock().starved = true;
            return Poll::Pending;
        };
        Poll::Ready(match piece {
            Some(Ok(piece)) => self.count(&piece).map(|()| Some(piece)),
            Some(Err(reason)) => Err(Ended::Broken(reason)),
            None => self.check_end().map(|()| None),
        })
    }
}

/// Why a body does not end like the whole one of so many bytes.
pub(crate) fn wrong_length(bytes: u64) -> Ended {
    Ended::Broken(format!("the body was announced with {bytes} bytes, and has another length"))
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        let Poll::Ready(checked) = self.poll_piece(context) else { return Poll::Pending };
        let checked = checked.inspect_err(|ended| self.pace.lock().cut = Some(ended.clone()));
        Poll::Ready(checked.map(|piece| piece.map(Frame::data)).transpose())
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes - self.pace.sent().min(bytes)))
    }
}

impl Progress {
    fn check_open(&self) -> Result<(), Ended> {
        match self.stopped {
            true => Err(Ended::Broken("the request ended before all of its body was sent".to_owned())),
            false => Ok(()),
        }
    }
}

impl Pace {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request is over: its body, if it is still under way, breaks off, and
    /// [`Self::sent`] does not change any more.
    pub(crate) fn stop(&self) {
        let waker = {
            let mut progress = self.lock();
            progress.stopped = true;
            progress.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Bytes that the network took.
    pub(crate) fn sent(&self) -> u64 {
        self.lock().sent
    }

    /// Why the body was not sent whole, if it was not.
    pub(crate) fn cut(&self) -> Option<Ended> {
        self.lock().cut.clone()
    }

    /// When to stop waiting for the answer of a remote that may take nothing for `wait`.
    pub(crate) fn patience(&self, wait: Duration) -> Instant {
        let progress = self.lock();
        if progress.starved { Instant::now() + wait } else { progress.moved_at + wait }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::StreamExt as _;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn pieces(pieces: &[Result<&'static str, &str>]) -> BodyStream {
        let owned: Vec<Result<Bytes, String>> =
            pieces.iter().map(|piece| piece.map(Bytes::from).map_err(str::to_owned)).collect();
        futures_util::stream::iter(owned).boxed()
    }

    fn check(given: &[Result<&'static str, &str>], bytes: Option<u64>, wanted: Result<&str, &str>) {
        let body = Paced::new(pieces(given), bytes, 8);
        let pace = body.pace();
        let collected = futures_util::FutureExt::now_or_never(body.collect()).expect("never waits");
        let found = collected.map(|whole| whole.to_bytes()).map_err(|ended| ended.to_string());
        assert_eq!(found.as_deref(), wanted.map(str::as_bytes).map_err(str::to_owned).as_ref().map(|bytes| *bytes));
        assert_eq!(pace.cut().map(|ended| ended.to_string()).as_deref(), wanted.err());
    }

    #[test]
    fn only_whole_bodies_end_like_whole_ones() {
        let length = |bytes| format!("the body was announced with {bytes} bytes, and has another length");
        check(&[Ok("four"), Ok("more")], None, Ok("fourmore"));
        check(&[Ok("four"), Ok("more")], Some(8), Ok("fourmore"));
        check(&[], None, Ok(""));
        check(&[Ok("four"), Ok("more!")], None, Err("the body is larger than request_bytes"));
        check(&[Ok("four")], Some(5), Err(&length(5)));
        check(&[Ok("four")], Some(3), Err(&length(3)));
        check(&[Ok("four"), Err("gone")], None, Err("gone"));
    }

    fn poll(body: &mut Paced, waker: &Waker) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(waker))
    }

    /// Gives a piece, then nothing once, then ends.
    fn hesitant() -> Paced {
        let mut step = 0;
        let pieces = futures_util::stream::poll_fn(move |_| {
            step += 1;
            match step {
                1 => Poll::Ready(Some(Ok(Bytes::from("four")))),
                2 => Poll::Pending,
                _ => Poll::Ready(None),
            }
        });
        Paced::new(pieces.boxed(), None, 8)
    }

    #[test]
    fn the_remote_is_waited_for_from_the_bodys_end() {
        let (mut body, waker) = (hesitant(), Waker::noop());
        let pace = body.pace();
        assert!(poll(&mut body, waker).is_ready() && poll(&mut body, waker).is_pending());
        assert!(pace.lock().starved, "the source is slow");
        let end = Instant::now();
        assert!(matches!(poll(&mut body, waker), Poll::Ready(None)));
        let progress = pace.lock();
        assert!(!progress.starved && progress.moved_at >= end, "now the remote may be");
    }

    #[test]
    fn a_stopped_body_is_woken_and_breaks_off() {
        let woken = Arc::new(Woken::default());
        let (mut body, waker) = (hesitant(), Waker::from(woken.clone()));
        let pace = body.pace();
        assert!(poll(&mut body, &waker).is_ready() && poll(&mut body, &waker).is_pending());
        assert!(!woken.0.load(Ordering::SeqCst));
        pace.stop();
        assert!(woken.0.load(Ordering::SeqCst), "else it would wait for its source");
        for _ in 0..2 {
            let broken = poll(&mut body, &waker);
            assert!(matches!(broken, Poll::Ready(Some(Err(Ended::Broken(_))))), "it never ends like a whole one");
        }
        assert_eq!(pace.sent(), 4);
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}
