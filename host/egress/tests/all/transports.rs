//! Recorded answers may stand in for the network; decisions stay the same.

use std::sync::{Arc, Mutex};

use egress::{Egress, EgressOptions, Incoming, Outgoing, SendError, Transport, TransportError};
use futures_util::future::BoxFuture;

use crate::world::{Given, get, post};

#[derive(Default)]
struct Recorded(Mutex<Vec<String>>);

impl Transport for Recorded {
    fn send(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportError>> {
        let target = outgoing.permit().target();
        let line = format!("{} {} {}", target.method, target.url(), outgoing.url());
        self.0.lock().expect("not poisoned").push(line);
        let authorised = outgoing.headers().contains_key("authorization");
        let path = target.path.clone();
        Box::pin(async move {
            match path.as_str() {
                "/lost" => Err(TransportError::Broken("the recording ends here".to_owned())),
                "/unsent" => Err(TransportError::NotSent("no such recording".to_owned())),
                _ => {
                    let headers = [("x-authorised".to_owned(), authorised.to_string())];
                    Ok(Incoming::whole(201, &headers, outgoing.body().clone()))
                }
            }
        })
    }
}

#[tokio::test]
async fn recorded_answers_stand_in_for_the_network() {
    let recorded = Arc::new(Recorded::default());
    let egress =
        Arc::new(Egress::with_transport(EgressOptions::default(), Arc::clone(&recorded) as Arc<dyn Transport>));
    let mut given = Given::new(&["* https://api.example.com"], &[]).bearer("long-enough-token");
    given.base_url = Some("https://api.example.com".to_owned());
    let session = given.session(&egress);
    let response = session.send(post("{base-url}/v1/things", "long-enough-token?")).await.expect("answered");
    assert_eq!((response.status, &response.body[..]), (201, &b"[redacted]?"[..]));
    assert_eq!(response.headers, [("x-authorised".to_owned(), "true".to_owned())]);
    assert!(matches!(session.send(get("https://other.example.com/")).await, Err(SendError::Denied(_))));
    assert_eq!(recorded.0.lock().expect("not poisoned").len(), 1);

    for (path, sent) in [("/unsent", false), ("/lost", true)] {
        let session = given.session(&egress);
        let outcome = session.send(get(format!("{{base-url}}{path}"))).await;
        assert!(matches!(outcome, Err(SendError::Unreachable(_))), "{outcome:?}");
        assert_eq!(session.sent(), sent, "{path}");
    }
}
