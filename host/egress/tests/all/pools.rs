//! Connections are reused where permission is the same, and nowhere else.

use crate::server::plain;
use crate::world::{Given, World, get};

#[tokio::test]
async fn the_same_permission_reuses_its_connection() {
    let (world, server) = (World::new(), plain().await);
    for _ in 0..3 {
        let session = world.session(&Given::ports(&[server.port()]));
        for _ in 0..3 {
            session.send(get("{base-url}/")).await.expect("answered");
        }
    }
    assert_eq!((server.seen().len(), server.connections()), (9, 1));
}

#[tokio::test]
async fn nothing_is_shared_across_owners_or_address_policies() {
    let (world, server) = (World::new(), plain().await);
    let first = Given::ports(&[server.port()]);
    let mut more_addresses = first.clone();
    more_addresses.addresses.push("127.0.0.1:1".to_owned());
    let owners = [
        first.clone(),
        Given { component: "other component", ..first.clone() },
        Given { connection: "other-account", ..first.clone() },
        Given { environment: "production", ..first.clone() },
        more_addresses,
    ];
    for round in 1..=2 {
        for given in &owners {
            world.session(given).send(get("{base-url}/")).await.expect("answered");
        }
        assert_eq!(server.connections(), owners.len(), "round {round}");
    }
    let seen = server.seen();
    let ways: Vec<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(ways[..owners.len()], ways[owners.len()..], "each owner keeps its own");
}

#[tokio::test]
async fn the_least_recently_used_pool_goes_first() {
    let world = World::with(|options| options.pools_max = 2);
    let server = plain().await;
    let owner = |connection| Given { connection, ..Given::ports(&[server.port()]) };
    for (connection, opened) in [("a", 1), ("b", 2), ("a", 2), ("c", 3), ("a", 3), ("b", 4), ("a", 4)] {
        world.session(&owner(connection)).send(get("{base-url}/")).await.expect("answered");
        assert_eq!(server.connections(), opened, "{connection}");
    }
}
