//! Places that a guest may not reach, by whatever way it asks for them.

use guest_tests::Stage;
use model::Remedy;

use crate::{denial, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn outside_grant() {
    let stage = Stage::open().await;
    let report = stage.act("outside-grant").text(&stage.canary.origin()).run().await;
    assert_eq!(told(&report), ["denied no rule of grant outside-grant for act means it; 127.0.0.1:PORT is not public (loopback) and is not named by the ceiling and grant outside-grant".replace("PORT", &stage.canary.port().to_string())]);
    let [access] = report.accesses.as_slice() else { panic!("{:?}", report.accesses) };
    assert!(!access.allowed && access.fix.is_some(), "{access:?}");
    assert_eq!((stage.canary.connections(), report.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn outside_manifest() {
    let stage = Stage::open().await;
    let report = stage.act("outside-manifest").text(&stage.receiver.origin()).run().await;
    assert_eq!(denial(&report), "no destination of the manifest of outside-manifest/act means it");
    assert_eq!((stage.receiver.connections(), report.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn claim_transient() {
    let stage = Stage::open().await;
    let report = stage.act("claim-transient").text(&stage.canary.origin()).run().await;
    assert!(denial(&report).contains("no rule of grant claim-transient for act means it"), "{report:?}");
    assert_eq!(report.outcome.map_err(|failure| failure.remedy()), Err(Remedy::GiveUp), "never tried again");
    assert_eq!(stage.canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn inner_addresses() {
    let stage = Stage::open().await;
    let port = stage.receiver.port();
    let hosts = ["127.0.0.1", "localhost", "rebound.example.com", "[::1]", "169.254.169.254"];
    let act = stage.act("inner-addresses").no_addresses().input(port.to_string());
    let report = act.granted(hosts.map(|host| format!("* http://{host}:{port}/**"))).run().await;
    let told = told(&report);
    assert_eq!(told.len(), 25);
    for text in &told {
        let answer = text.split_once(' ').map_or("", |(_, answer)| answer);
        assert!(answer.starts_with("denied ") || answer.starts_with("invalid "), "{text}");
    }
    for (host, class) in [
        ("2130706433", "is not public (loopback)"),
        ("0177.0.0.1", "is not public (loopback)"),
        ("rebound.example.com", "is not public (loopback)"),
        ("localhost", "is not public (loopback)"),
        ("2852039166", "is not public (cloud metadata)"),
    ] {
        let text = told.iter().find(|text| text.starts_with(&format!("{host} "))).expect(host);
        assert!(text.contains(class), "{text}");
    }
    assert!(report.accesses.iter().all(|access| !access.allowed), "{:?}", report.accesses);
    assert_eq!((stage.receiver.connections(), report.sent), (0, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn follow_redirect() {
    let stage = Stage::open().await;
    let url = format!("{}/to/{}", stage.receiver.origin(), stage.canary.authority());
    let report = stage.act("follow-redirect").text(&url).run().await;
    assert!(denial(&report).contains("no rule of grant follow-redirect for act means it"), "{report:?}");
    let allowed: Vec<bool> = report.accesses.iter().map(|access| access.allowed).collect();
    assert_eq!(allowed, [true, false], "each step is decided on, and on record");
    assert_eq!((stage.receiver.heads().len(), stage.canary.connections()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn escape_base_url() {
    let stage = Stage::open().await;
    let report = stage.act("escape-base-url").connected().text(&stage.canary.authority()).run().await;
    for text in told(&report) {
        assert!(text.starts_with("denied ") || text.starts_with("invalid "), "{text}");
    }
    assert_eq!((stage.receiver.heads().len(), stage.canary.connections()), (0, 0));
}
