//! What follows from what is there and what is wanted, case by case.

use serde_json::json;

use super::*;

fn wanted() -> Wanted {
    Wanted {
        uses: "tracker/issue".parse().expect("a name"),
        connection: "issues".parse().expect("a name"),
        config: json!({ "repository": "a" }),
        digest: Digest::of(b"component"),
        url: "https://host/hooks/test/flow".to_owned(),
        secret: 1,
    }
}

fn there(expires_ms: Option<u64>) -> SubscriptionRecord {
    SubscriptionRecord { handle: Some("7".to_owned()), expires_ms, ..SubscriptionRecord::of(&wanted()) }
}

#[test]
fn the_next_step_follows_from_what_is_there_and_what_is_wanted() {
    let (wanted, now_ms) = (wanted(), 60);
    let other = Wanted { config: json!({ "repository": "b" }), ..wanted.clone() };
    let moved = Wanted { url: "https://host/hooks/test/flow/token".to_owned(), ..wanted.clone() };
    let rotated = Wanted { secret: 2, ..wanted.clone() };
    let refused = SubscriptionRecord::of(&wanted);
    let tried = SubscriptionRecord { maybe: true, ..refused.clone() };
    for (record, wanted, step) in [
        (None, None, Step::Wait(None)),
        (None, Some(&wanted), Step::Subscribe),
        (Some(tried.clone()), Some(&wanted), Step::Subscribe),
        (Some(refused.clone()), Some(&wanted), Step::Subscribe),
        (Some(there(None)), Some(&wanted), Step::Wait(None)),
        (Some(there(Some(120))), Some(&wanted), Step::Wait(Some(80))),
        (Some(there(Some(90))), Some(&wanted), Step::Renew),
        (Some(there(None)), Some(&moved), Step::Renew),
        (Some(there(None)), Some(&rotated), Step::Renew),
        (Some(there(None)), Some(&other), Step::Unsubscribe),
        (Some(tried.clone()), Some(&other), Step::Find),
        (Some(refused.clone()), Some(&other), Step::Forget),
        (Some(there(None)), None, Step::Unsubscribe),
        (Some(tried), None, Step::Find),
        (Some(refused), None, Step::Forget),
    ] {
        assert_eq!(decide(record.as_ref(), wanted, now_ms), step, "{record:?} {wanted:?}");
    }
}
