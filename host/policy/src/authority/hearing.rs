//! One request before all parties: what each of them says, and the denial if one says no.
//!
//! Invariant: `decide` and `explain` both read the same hearing, so that they agree.

use model::{Methods, Target};

use super::words::{self, Fix};
use super::{Asked, Granted, Inner, Place};
use crate::denial::Denial;
use crate::rule::CeilingRule;

/// Host names longer than this do not exist (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// Longer paths are nobody's API; matching costs time for each segment.
const PATH_BYTES_MAX: usize = 4096;
/// With two `**` in a pattern the cost grows with the square of this.
const PATH_SEGMENTS_MAX: usize = 256;

/// What each party says to one request.
#[derive(Debug)]
pub(crate) struct Hearing<'a> {
    /// Whether the target is of a size that rules are matched against.
    pub(crate) fits: bool,
    /// The ceiling's rule that denies it.
    pub(crate) denied: Option<&'a CeilingRule>,
    /// Whether the ceiling lets the method be used at all.
    pub(crate) method: bool,
    /// The ceiling's rule that allows it.
    pub(crate) allowed: Option<&'a CeilingRule>,
    /// The grant's rule that allows it.
    pub(crate) granted: Option<&'a Granted>,
    /// The manifest's destination that means it.
    pub(crate) asked: Option<&'a Asked>,
    /// What the address policy says to an address written as the host.
    pub(crate) address: Result<(), Denial>,
}

impl<'a> Hearing<'a> {
    /// The rule that allows the request, if all parties agree.
    pub(crate) fn rule(&self) -> Option<&'a Granted> {
        let agreed = self.fits
            && self.denied.is_none()
            && self.method
            && self.allowed.is_some()
            && self.asked.is_some()
            && self.address.is_ok();
        self.granted.filter(|_| agreed)
    }
}

impl Granted {
    /// `grant github: GET https://api.github.com/**`
    pub(crate) fn words(&self) -> &str {
        &self.words
    }
}

impl Asked {
    /// As the manifest writes it.
    pub(crate) fn words(&self) -> String {
        self.reach.to_string()
    }
}

fn fits(target: &Target) -> bool {
    let host = match &target.host {
        model::Host::Name(name) => name.len() <= HOST_BYTES_MAX,
        model::Host::Address(_) => true,
    };
    host && target.path.len() <= PATH_BYTES_MAX && target.path.matches('/').count() <= PATH_SEGMENTS_MAX
}

impl Inner {
    /// Hears every party.
    pub(crate) fn hear(&self, target: &Target) -> Hearing<'_> {
        let host = &target.host;
        let fits = fits(target);
        if !fits {
            let silent = Hearing {
                fits,
                denied: None,
                method: true,
                allowed: None,
                granted: None,
                asked: None,
                address: Ok(()),
            };
            return silent;
        }
        let fixed = self.asked.find(host, |asked| asked.is_fixed() && asked.matches(target));
        let asked = fixed.or_else(|| self.asked.find(host, |asked| asked.matches(target)));
        let meant = |granted: &Granted| {
            (fixed.is_some() || granted.rule.is_concrete()) && granted.rule.destination().matches(target)
        };
        Hearing {
            fits,
            denied: self.ceiling.denied().find(host, |rule| rule.matches(target)),
            method: self.ceiling.allows_method(&target.method),
            allowed: self.ceiling.allowed().find(host, |rule| rule.matches(target)),
            granted: self.granted.find(host, meant),
            asked,
            address: Self::literal(target).map_or(Ok(()), |address| self.addresses.check(address)),
        }
    }

    /// Why a request is refused: a deny first, then who cannot be helped by lines in
    /// documents, then every line that is missing at once.
    pub(crate) fn denial(&self, target: &Target, heard: &Hearing<'_>) -> Denial {
        let what = format!("{}/{} may not send {}", self.plugin, self.operation, words::request(target));
        if !heard.fits {
            let rule = format!(
                "hosts have at most {HOST_BYTES_MAX} bytes, paths {PATH_BYTES_MAX} bytes and {PATH_SEGMENTS_MAX} segments"
            );
            return Denial::new("target-too-long", what, rule, "the connector must send a shorter URL");
        }
        if let Some(rule) = heard.denied {
            let rule = format!("ceiling: denied {rule}");
            let fix = format!(
                "the ceiling denies it to everyone; if that is wrong, change `denied` in {}",
                self.ceiling.name()
            );
            return Denial::new("ceiling-denies", what, rule, fix);
        }
        let Some(asked) = heard.asked else { return self.not_asked(what, target) };
        if !heard.method {
            let rule = format!("the ceiling's methods leave out {}", target.method);
            let fix = format!("{}\n    \"{}\",", self.ceiling.add_to("methods"), target.method);
            return Denial::new("ceiling-method", what, rule, fix);
        }
        if heard.allowed.is_none() || heard.granted.is_none() {
            return self.not_allowed(what, target, heard, asked);
        }
        heard.address.clone().err().unwrap_or_else(|| Denial::new("denied", what, "nothing said means no", ""))
    }

    /// The manifest does not ask for it, or the connection lives elsewhere.
    fn not_asked(&self, what: String, target: &Target) -> Denial {
        let below_base = self.asked.find(&target.host, |asked| matches!(asked.place, Place::Anywhere(_)));
        match (self.elsewhere(target), &self.base_url) {
            (true, Some(base)) => {
                let rule =
                    format!("the manifest asks for the service of the connection, which lives at {}", base.url());
                // Never to move the connection there: the connector, or a redirect, chose the place.
                let fix = "with a connection, the operation declares only the connection's own service: if the flow itself \
                           names this URL, call it without a connection; if not, ask the connector's developer, or do \
                           not use it";
                Denial::new("outside-base-url", what, rule, fix)
            }
            (false, None) if below_base.is_some_and(|asked| asked.nowhere()) => {
                let rule = "the manifest asks for places below the base URL of a connection, and there is none";
                Denial::new(
                    "no-base-url",
                    what,
                    rule,
                    format!("choose a connection of {} with a base URL", self.plugin),
                )
            }
            _ => {
                let rule = format!("no destination of the manifest of {}/{} means it", self.plugin, self.operation);
                let fix = "no grant can help: a connector reaches only what its manifest declares; \
                           ask its publisher for a version that declares it";
                Denial::new("manifest-missing-destination", what, rule, fix)
            }
        }
    }

    /// Whether a manifest that leaves the place to the connection means this method
    /// somewhere else.
    fn elsewhere(&self, target: &Target) -> bool {
        let Some(base) = &self.base_url else { return false };
        let meant = |asked: &Asked| match &asked.place {
            Place::Open(destination) => destination.methods.matches(&target.method),
            Place::Fixed(_) | Place::Anywhere(_) => false,
        };
        base.origin() != target.origin() && self.asked.find(&base.host, meant).is_some()
    }

    /// Lines are missing in the ceiling, in the grant, or in both.
    fn not_allowed(&self, what: String, target: &Target, heard: &Hearing<'_>, asked: &Asked) -> Denial {
        let (mut rules, mut fix) = (Vec::new(), Fix::default());
        let mut code = "ceiling-missing-rule";
        if heard.allowed.is_none() {
            rules.push(format!("no rule under `allowed` of the ceiling means {}", words::origin(target)));
            fix.ceiling_allowed(&self.ceiling, target);
        }
        if heard.granted.is_none() {
            code = if heard.allowed.is_some() { "grant-missing-rule" } else { code };
            rules.push(format!("no rule of grant {} for {} means it", self.plugin, self.operation));
            fix.grant_destination(&self.grant, &self.operation, &words::suggestion(&asked.place_pattern(), target));
            fix.approve(&self.digest, &self.environment);
        }
        if let Err(denial) = &heard.address {
            rules.push(denial.rule.clone());
            fix.also(&denial.fix);
        }
        Denial::new(code, what, rules.join("; "), fix.finish())
    }
}

impl Asked {
    /// Below a base URL that is not there.
    fn nowhere(&self) -> bool {
        matches!(&self.place, Place::Anywhere(Methods::Only(methods)) if methods.is_empty())
    }

    /// What a grant would have to cover, where the manifest says it.
    fn place_pattern(&self) -> Option<model::Destination> {
        match &self.place {
            Place::Fixed(destination) => Some(destination.clone()),
            Place::Open(destination) => Some(destination.clone()).filter(|open| open.host != model::HostPattern::Any),
            Place::Anywhere(_) => None,
        }
    }
}
