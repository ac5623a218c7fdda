//! A test of the test: one connection that may not be, made past the host.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::bombard::Siege;
use crate::ground::Place;
use crate::tally::Tally;

/// Touches one canary with three bytes: the tally does not hold.
///
/// # Errors
/// When the siege itself cannot be set up.
pub fn sing(place: &Place) -> Result<Tally> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let siege = Arc::new(Siege::begin(place, &[80], Duration::from_secs(5)).await?);
        let mut stream = TcpStream::connect(("127.0.0.9", siege.target_port())).await?;
        stream.write_all(b"cat").await?;
        while siege.outside.account.canary_bytes.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        siege.finish(Tally::default()).await
    })
}
