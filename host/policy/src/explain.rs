//! The rule trail of one request: what each party says, in order.
//!
//! Invariant: an explanation allows exactly what `Authority::try_new` and then
//! `Authority::decide` allow, since it reads the same checks and the same hearing.

use std::fmt;
use std::sync::Arc;

use model::{Digest, Environment, Manifest, Target};
use serde::Serialize;

use crate::approval::{Approval, ConnectionFacts, Subject};
use crate::authority::{Case, Hearing, Inner, STANDING, request};
use crate::ceiling::Ceiling;
use crate::denial::Denial;

/// A party to the decision, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The approval of this digest in this environment.
    Approval,
    /// What the platform denies to everyone.
    CeilingDeny,
    /// What the platform allows at most.
    CeilingAllow,
    /// What the administrator gave this connector.
    Grant,
    /// What the connector declares for this operation.
    Manifest,
    /// What the connection is for and holds.
    Connection,
    /// Which address the host is, when it is written as one.
    Address,
}

impl Layer {
    const ALL: [Self; 7] = [
        Self::Approval,
        Self::CeilingDeny,
        Self::CeilingAllow,
        Self::Grant,
        Self::Manifest,
        Self::Connection,
        Self::Address,
    ];

    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::CeilingDeny => "ceiling, denied",
            Self::CeilingAllow => "ceiling, allowed",
            Self::Grant => "grant",
            Self::Manifest => "manifest",
            Self::Connection => "connection",
            Self::Address => "address",
        }
    }
}

/// What one party says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Who.
    pub layer: Layer,
    /// Whether it lets the request pass.
    pub passes: bool,
    /// The rule that it names, or that it misses.
    pub rule: String,
}

/// The answer to "may this operation send this request?", with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was asked: `slack/post-message: POST https://slack.com/...`.
    pub question: String,
    /// The answer.
    pub allowed: bool,
    /// Whether the connection's credential would go along.
    pub carries_credential: bool,
    /// What each party says.
    pub steps: Vec<Step>,
    /// The denial that the operation would get.
    pub denial: Option<Denial>,
}

/// Explains the decision on one request.
#[expect(clippy::too_many_arguments, reason = "each is a party that must agree, and the request")]
pub fn explain(
    ceiling: &Arc<Ceiling>,
    approval: Option<&Arc<Approval>>,
    digest: &Digest,
    environment: &Environment,
    manifest: &Manifest,
    subject: Subject<'_>,
    connection: Option<&ConnectionFacts>,
    target: &Target,
) -> Explanation {
    let approval = approval.map(Arc::as_ref);
    let case = Case { ceiling, approval, digest, environment, manifest, subject, connection };
    let standing: Vec<(Layer, Denial)> =
        STANDING.iter().filter_map(|(layer, check)| check(&case).err().map(|denial| (*layer, denial))).collect();
    let inner = Inner::of(&case);
    let heard = inner.hear(target);
    let denial = match standing.first() {
        Some((_, denial)) => Some(denial.clone()),
        None if heard.rule().is_some() => None,
        None => Some(inner.denial(target, &heard)),
    };
    let tell = |layer: Layer| match standing.iter().find(|(of, _)| *of == layer) {
        Some((_, denial)) => Some(Step { layer, passes: false, rule: denial.rule.clone() }),
        None => said(&case, &heard, layer, target),
    };
    Explanation {
        question: format!("{}/{}: {}", manifest.id, subject.name(), request(target)),
        allowed: denial.is_none(),
        carries_credential: denial.is_none() && inner.may_carry_credential(target),
        steps: Layer::ALL.into_iter().filter_map(tell).collect(),
        denial,
    }
}

/// What a party says when nothing speaks against it beforehand.
fn said(case: &Case<'_>, heard: &Hearing<'_>, layer: Layer, target: &Target) -> Option<Step> {
    let (passes, rule) = match layer {
        Layer::Approval => {
            let by = case.approval.map_or("", |approval| approval.approved_by.as_str());
            (true, format!("{} in {}, approved by {by}", case.digest, case.environment))
        }
        Layer::CeilingDeny => match heard.denied {
            Some(rule) => (false, rule.to_string()),
            None => (true, "no rule denies it".to_owned()),
        },
        Layer::CeilingAllow => match (heard.method, heard.allowed) {
            (true, Some(rule)) => (true, rule.to_string()),
            (false, _) => (false, format!("methods leave out {}", target.method)),
            (true, None) => (false, "no rule allows it".to_owned()),
        },
        Layer::Grant => match heard.granted {
            Some(granted) => (true, granted.words().to_owned()),
            None => (false, "no rule of the grant means it".to_owned()),
        },
        Layer::Manifest => match heard.asked {
            Some(asked) => (true, asked.words()),
            None => (false, "no destination of the operation means it".to_owned()),
        },
        Layer::Connection => match case.connection {
            Some(facts) => (true, format!("{} in {}", facts.id, facts.environment)),
            None => (true, "none, and none is needed".to_owned()),
        },
        Layer::Address => match &heard.address {
            Ok(()) => return None,
            Err(denial) => (false, denial.rule.clone()),
        },
    };
    Some(Step { layer, passes, rule })
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", if self.allowed { "allowed" } else { "denied" }, self.question)?;
        for step in &self.steps {
            let mark = if step.passes { "yes" } else { "NO" };
            writeln!(f, "  {:<17} {mark:<4} {}", step.layer.as_str(), step.rule)?;
        }
        if self.allowed {
            let words = if self.carries_credential { "goes along" } else { "stays behind" };
            writeln!(f, "  the credential {words}")?;
        }
        match &self.denial {
            Some(denial) => write!(f, "  fix: {}", denial.fix.replace('\n', "\n    ")),
            None => Ok(()),
        }
    }
}
