//! Nothing waits for ever, and the answer says who was slow.

use std::time::Duration;

use egress::SendError;
use model::Failure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::Server;
use crate::world::{Given, World, get};

/// Sends `head` and then nothing more, for ever.
async fn stuck_after(head: &'static str) -> Server {
    Server::raw(move |mut stream, _, _| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(head.as_bytes()).await;
        std::future::pending::<()>().await;
    })
    .await
}

const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn slow_servers_are_named() {
    for (head, first_byte, idle, wish, wanted) in [
        ("", SHORT, Duration::from_secs(9), None, "did not begin to answer within 60 ms"),
        (HALF, Duration::from_secs(9), SHORT, None, "sent nothing for 60 ms"),
        ("", Duration::from_secs(9), Duration::from_secs(9), Some(60), "did not answer within 60 ms"),
        (HALF, Duration::from_secs(9), Duration::from_secs(9), Some(60), "did not answer within 60 ms"),
    ] {
        let world = World::with(|options| {
            options.first_byte_timeout = first_byte;
            options.idle_timeout = idle;
        });
        let server = stuck_after(head).await;
        let session = world.session(&Given::ports(&[server.port()]));
        match session.send(egress::Request { timeout_ms: wish, ..get("{base-url}/") }).await {
            Err(SendError::Unreachable(reason)) => assert!(reason.contains(wanted), "{reason}"),
            outcome => panic!("{wanted}: {outcome:?}"),
        }
        assert!(session.sent());
        assert_eq!(session.verdict(), None);
        assert!(session.records()[0].duration_ms > 0);
    }
}

#[tokio::test]
async fn the_calls_own_limit_is_a_limit() {
    let world = World::new();
    for head in ["", HALF] {
        let server = stuck_after(head).await;
        let mut given = Given::ports(&[server.port()]);
        given.limits.wall_ms = 60;
        let session = world.session(&given);
        // A wish for more time changes nothing.
        let outcome = session.send(egress::Request { timeout_ms: Some(60_000), ..get("{base-url}/") }).await;
        assert_eq!(outcome, Err(SendError::LimitExceeded { which: "wall_ms", limit: 60 }));
        assert_eq!(session.verdict(), Some(Failure::LimitExceeded { which: "wall_ms".to_owned(), limit: 60 }));
    }
}
