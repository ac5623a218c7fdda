//! What follows from a failed attempt: another one, or the end of the step.

use model::{Failure, Remedy};

use super::event::After;
use super::state::Attempt;
use crate::plan::Action;

/// What follows from a failed attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Again(After),
    GiveUp(Failure),
}

/// Times that a call which did nothing may be asked to wait before it gives up: with
/// the longest default backoff some days, while a backlog drains.
const WAITS_MAX: u32 = 1_000;

/// Decides without clock or randomness. A call that must not be repeated is tried
/// again only when it surely did nothing. Being asked to wait, without having done
/// anything, costs none of the attempts.
pub(super) fn decide(action: &Action, call: &Attempt, failure: &Failure, sent: bool) -> Verdict {
    let tries = call.attempt.saturating_sub(call.waits);
    if sent && !action.repeatable() && leaves_doubt(failure) {
        return Verdict::GiveUp(Failure::MayHaveHappened {
            message: format!(
                "the call of {} failed after it was sent, and must not be repeated: {}",
                action.uses,
                failure.to_problem().what
            ),
        });
    }
    let backoff = |attempt| After::Backoff { most_ms: action.retry.wait_ms(attempt) };
    let (try_left, wait_left) = (tries < action.retry.attempts, call.waits < WAITS_MAX);
    let (after, is_left) = match failure.remedy() {
        Remedy::Retry => (backoff(tries), try_left),
        Remedy::Wait(asked) => {
            let after = asked.map_or(backoff(call.attempt), |ms| After::Wait { ms });
            (after, if sent { try_left } else { wait_left })
        }
        // Without an account there is nothing that a person could mend.
        Remedy::Reauthorise if action.connection.is_none() => return Verdict::GiveUp(failure.clone()),
        // The credential may have been replaced just now, or the remote be mistaken.
        Remedy::Reauthorise if !call.refused => (After::Wait { ms: 0 }, wait_left),
        Remedy::Reauthorise => (After::Reauthorised, wait_left),
        Remedy::GiveUp => return Verdict::GiveUp(failure.clone()),
    };
    if is_left { Verdict::Again(after) } else { Verdict::GiveUp(failure.clone()) }
}

/// Whether such a failure may hide an effect that took place. What the connector
/// reports as final is the remote's own word.
fn leaves_doubt(failure: &Failure) -> bool {
    match failure.remedy() {
        Remedy::Retry | Remedy::Wait(_) | Remedy::Reauthorise => true,
        Remedy::GiveUp => matches!(
            failure,
            Failure::LimitExceeded { .. } | Failure::InvalidOutput { .. } | Failure::PolicyDenied { .. }
        ),
    }
}

#[cfg(test)]
mod tests {
    use model::{Effect, Idempotency};
    use serde_json::json;

    use super::*;
    use crate::plan::{OnError, Retry};
    use crate::template::Template;

    fn action(effect: Effect, idempotency: Idempotency) -> Action {
        Action {
            uses: "chat/post".parse().expect("a name"),
            connection: None,
            input: Template::new(json!({})),
            retry: Retry { attempts: 3, first_ms: 100, most_ms: 150 },
            timeout_ms: None,
            on_error: OnError::Fail,
            effect,
            idempotency,
        }
    }

    fn at(attempt: u32) -> Attempt {
        let step = "post".parse().expect("a name");
        Attempt { step, attempt, waits: 0, input: std::sync::Arc::default(), key: String::new(), refused: false }
    }

    #[test]
    fn a_refused_credential_is_tried_once_more_and_then_waited_for() {
        let mut once = action(Effect::Create, Idempotency::None);
        once.connection = Some("chat".parse().expect("a name"));
        let refused = Attempt { refused: true, ..at(7) };
        for failure in [Failure::AuthExpired, Failure::AuthRevoked] {
            assert_eq!(decide(&once, &at(6), &failure, false), Verdict::Again(After::Wait { ms: 0 }));
            assert_eq!(decide(&once, &refused, &failure, false), Verdict::Again(After::Reauthorised));
            let Verdict::GiveUp(Failure::MayHaveHappened { .. }) = decide(&once, &at(6), &failure, true) else {
                panic!("something was changed before the credential was refused");
            };
            let without = action(Effect::Read, Idempotency::None);
            assert_eq!(decide(&without, &at(1), &failure, false), Verdict::GiveUp(failure));
        }
    }

    #[test]
    fn waiting_costs_no_try_and_ends_all_the_same() {
        let once = action(Effect::Create, Idempotency::None);
        let waited = |waits, tries| Attempt { waits, ..at(waits + tries) };
        let (transient, limited) =
            (Failure::Transient { message: "x".into() }, Failure::RateLimited { retry_after_ms: None });
        assert_eq!(decide(&once, &waited(40, 1), &transient, false), Verdict::Again(After::Backoff { most_ms: 100 }));
        assert_eq!(decide(&once, &waited(40, 3), &transient, false), Verdict::GiveUp(transient));
        assert_eq!(decide(&once, &waited(40, 3), &limited, false), Verdict::Again(After::Backoff { most_ms: 150 }));
        assert_eq!(decide(&once, &waited(WAITS_MAX, 1), &limited, false), Verdict::GiveUp(limited));
    }

    #[test]
    fn a_failure_is_retried_only_where_that_is_safe_and_may_help() {
        let transient = || Failure::Transient { message: "x".into() };
        let limited = |retry_after_ms| Failure::RateLimited { retry_after_ms };
        let natural = action(Effect::Update, Idempotency::Natural);
        let once = action(Effect::Create, Idempotency::None);
        let read = action(Effect::Read, Idempotency::None);
        let backoff = |most_ms| Some(After::Backoff { most_ms });
        for (action, attempt, failure, sent, wanted) in [
            (&natural, 1, transient(), true, backoff(100)),
            (&natural, 2, transient(), true, backoff(150)),
            (&natural, 3, transient(), true, None),
            (&natural, 1, Failure::NotFound { message: "x".into() }, true, None),
            (&natural, 1, limited(Some(7)), true, Some(After::Wait { ms: 7 })),
            (&natural, 1, limited(None), true, backoff(100)),
            (&natural, 1, Failure::Remote { status: 503, message: String::new() }, true, backoff(100)),
            (&natural, 1, Failure::Remote { status: 400, message: String::new() }, true, None),
            (&once, 1, transient(), true, None),
            (&once, 1, transient(), false, backoff(100)),
            (&once, 1, limited(Some(7)), true, None),
            (&once, 1, limited(Some(7)), false, Some(After::Wait { ms: 7 })),
            (&once, 9, limited(Some(7)), false, Some(After::Wait { ms: 7 })),
            (&natural, 9, limited(Some(7)), true, None),
            (&read, 1, transient(), true, backoff(100)),
        ] {
            let verdict = decide(action, &at(attempt), &failure, sent);
            match (wanted, verdict) {
                (Some(after), Verdict::Again(found)) => assert_eq!(found, after, "{failure:?}"),
                (None, Verdict::GiveUp(_)) => {}
                (wanted, found) => panic!("{failure:?} at {attempt}: wanted {wanted:?}, found {found:?}"),
            }
        }
        let slow = Failure::LimitExceeded { which: "wall_ms".into(), limit: 10 };
        for failure in [transient(), limited(None), slow, Failure::InvalidOutput { fields: Vec::new() }] {
            let Verdict::GiveUp(Failure::MayHaveHappened { message }) = decide(&once, &at(1), &failure, true) else {
                panic!("{failure:?}: a sent call that must not be repeated may have happened");
            };
            assert!(message.contains("chat/post"), "{message}");
        }
        let refused = Failure::Remote { status: 400, message: "no".into() };
        assert_eq!(decide(&once, &at(1), &refused, true), Verdict::GiveUp(refused));
    }
}
