//! What follows from a failed attempt: another one, or the end of the step.

use model::{Failure, Remedy};

use super::event::After;
use crate::plan::Action;

/// What follows from a failed attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Again(After),
    GiveUp(Failure),
}

/// Decides without clock or randomness. A call that must not be repeated is tried
/// again only when the remote said that it did nothing (it asked to wait), or when
/// nothing of it left the host.
pub(super) fn decide(action: &Action, attempt: u32, failure: &Failure, sent: bool) -> Verdict {
    let backoff = After::Backoff { most_ms: action.retry.wait_ms(attempt) };
    let after = match failure.remedy() {
        Remedy::Retry if sent && !action.repeatable() => {
            return Verdict::GiveUp(Failure::MayHaveHappened {
                message: format!(
                    "the call of {} failed after it was sent, and must not be repeated: {}",
                    action.uses,
                    failure.to_problem().what
                ),
            });
        }
        Remedy::Retry | Remedy::Wait(None) => backoff,
        Remedy::Wait(Some(ms)) => After::Wait { ms },
        Remedy::GiveUp => return Verdict::GiveUp(failure.clone()),
    };
    if attempt < action.retry.attempts { Verdict::Again(after) } else { Verdict::GiveUp(failure.clone()) }
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
            (&once, 1, limited(Some(7)), true, Some(After::Wait { ms: 7 })),
            (&read, 1, transient(), true, backoff(100)),
        ] {
            let verdict = decide(action, attempt, &failure, sent);
            match (wanted, verdict) {
                (Some(after), Verdict::Again(found)) => assert_eq!(found, after, "{failure:?}"),
                (None, Verdict::GiveUp(_)) => {}
                (wanted, found) => panic!("{failure:?} at {attempt}: wanted {wanted:?}, found {found:?}"),
            }
        }
        let Verdict::GiveUp(Failure::MayHaveHappened { message }) = decide(&once, 1, &transient(), true) else {
            panic!("a sent call that must not be repeated may have happened");
        };
        assert!(message.contains("chat/post"), "{message}");
    }
}
