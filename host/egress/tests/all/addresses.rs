//! Every address is checked, whatever the name says and however it is spelled.

use egress::SendError;

use crate::server::{Server, answer, plain};
use crate::world::{Given, World, get};

fn closing() -> impl Future<Output = Server> {
    Server::start(|_| answer(200, &[("connection", "close")], "ok"))
}

#[tokio::test]
async fn a_name_leads_only_to_addresses_that_are_named() {
    let (world, server) = (World::new(), plain().await);
    let port = server.port();
    world.resolver.says("good.test", &[&["127.0.0.1"]]);
    let (rule, url) = (format!("* http://good.test:{port}"), format!("http://good.test:{port}/"));
    let session = world.session(&Given::new(&[&rule], &[port]));
    session.send(get(&url)).await.expect("answered");
    assert_eq!(server.seen()[0].header("host"), format!("good.test:{port}"));
    assert_eq!(session.records()[0].address, Some(server.address.to_string()));
    session.send(get(&url)).await.expect("answered");
    assert_eq!(world.resolver.asked(), ["good.test"], "one connection, one question");

    let session = world.session(&Given::new(&[&rule], &[port + 1]));
    let Err(SendError::Denied(denial)) = session.send(get(&url)).await else { panic!("was sent") };
    assert!(denial.what.contains("loopback"), "{denial}");
    let record = &session.records()[0];
    assert_eq!((record.allowed, &record.address), (false, &Some(server.address.to_string())));
    assert!(record.fix.as_ref().expect("a fix").contains(&server.address.to_string()));
    assert!(!session.sent());
    assert!(session.verdict().is_some());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn one_denied_address_denies_the_request() {
    let (world, server) = (World::new(), plain().await);
    let port = server.port();
    let good = "127.0.0.1";
    for bad in
        ["10.0.0.1", "169.254.169.254", "127.0.0.2", "0.0.0.0", "::1", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::a00:1"]
    {
        for answer in [[good, bad], [bad, good]] {
            world.resolver.says("mixed.test", &[&answer]);
            let session = world.session(&Given::new(&[&format!("* http://mixed.test:{port}")], &[port]));
            let outcome = session.send(get(format!("http://mixed.test:{port}/"))).await;
            assert!(matches!(outcome, Err(SendError::Denied(_))), "{answer:?}: {outcome:?}");
            assert!(!session.sent());
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let (world, server) = (World::new(), closing().await);
    let port = server.port();
    world.resolver.says("rebinding.test", &[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]]);
    let session = world.session(&Given::new(&[&format!("* http://rebinding.test:{port}")], &[port]));
    let url = format!("http://rebinding.test:{port}/");
    session.send(get(&url)).await.expect("answered");
    let outcome = session.send(get(&url)).await;
    assert!(
        matches!(&outcome, Err(SendError::Denied(denial)) if denial.what.contains("169.254.169.254")),
        "{outcome:?}"
    );
    session.send(get(&url)).await.expect("answered");
    assert_eq!(world.resolver.asked().len(), 3, "each new connection asks once");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn addresses_in_the_url_are_checked_in_every_spelling() {
    let (world, server, canary) = (World::new(), plain().await, plain().await);
    let (good, bad) = (server.port(), canary.port());
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0177.0.0.01",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
    ];
    for host in hosts {
        let rules = [format!("* http://127.0.0.1:{good}"), format!("* http://127.0.0.1:{bad}")];
        let session = world.session(&Given::new(&[&rules[0], &rules[1]], &[good]));
        session.send(get(format!("http://{host}:{good}/"))).await.expect(host);
        let outcome = session.send(get(format!("http://{host}:{bad}/"))).await;
        assert!(matches!(outcome, Err(SendError::Denied(_))), "{host}: {outcome:?}");
    }
    for host in [
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0",
        "0.0.0.0",
        "127.0.0.2",
    ] {
        let rules = ["* http://*.test", &format!("* http://{host}:{bad}")];
        let session = world.session(&Given::new(&rules, &[bad]));
        let outcome = session.send(get(format!("http://{host}:{bad}/"))).await;
        assert!(matches!(outcome, Err(SendError::Denied(_))), "{host}: {outcome:?}");
    }
    assert_eq!((server.seen().len(), canary.connections()), (hosts.len(), 0));
    assert!(world.resolver.asked().is_empty(), "addresses are never asked of the resolver");
}

#[tokio::test]
async fn names_that_lead_nowhere_say_so() {
    let world = World::new();
    world.resolver.says("empty.test", &[&[]]);
    for (host, wanted) in [("empty.test", "the name has no address"), ("unknown.test", "no such name")] {
        let session = world.session(&Given::new(&[&format!("* https://{host}")], &[]));
        match session.send(get(format!("https://{host}/path?query"))).await {
            Err(SendError::Unreachable(reason)) => {
                assert!(reason.contains(wanted) && reason.contains(&format!("https://{host}:443")), "{reason}");
                assert!(reason.contains("likely cause: the name does not exist"), "{reason}");
                assert!(!reason.contains("query"), "{reason}");
                assert_eq!(session.records()[0].error, Some(reason));
            }
            other => panic!("{host}: {other:?}"),
        }
        assert!(!session.sent());
        assert_eq!(session.verdict(), None);
    }
}

#[tokio::test]
async fn a_closed_port_says_so() {
    let world = World::new();
    // Bound, so that nobody else gets it, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("binds");
    let port = socket.local_addr().expect("bound").port();
    let session = world.session(&Given::ports(&[port]));
    match session.send(get("{base-url}/")).await {
        Err(SendError::Unreachable(reason)) => {
            assert!(reason.contains("refused") && reason.contains("likely cause: nothing listens there"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!session.sent());
}
