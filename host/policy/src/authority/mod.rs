//! The effective permission of one operation, and the decision on each access.
//!
//! Owns the meeting of ceiling, grant, manifest and connection: all four must agree,
//! a deny anywhere wins, nothing said means no. Invariant: everything that a decision
//! looks up is computed when the authority is made; `decide` only matches.

mod folder;
mod hearing;
mod standing;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use model::{
    ConnectionId, Destination, Digest, Environment, FileAccess, Host, HostPattern, Limits, LimitsPart, Manifest,
};
use model::{Methods, PluginId, Reach, Target};

use crate::address::AddressPolicy;
use crate::approval::{Approval, ConnectionFacts, Subject};
use crate::ceiling::Ceiling;
use crate::denial::Denial;
use crate::grant::Grant;
use crate::index::Index;
use crate::permit::Permit;
use crate::rule::GrantRule;

pub(crate) use hearing::Hearing;
pub use standing::check_connection;
pub(crate) use standing::{Case, STANDING};
pub(crate) use words::request;

/// The effective permission of one digest, environment, operation and connection.
/// Cheap to clone; good for as many calls as approval, ceiling and connection last.
#[derive(Debug, Clone)]
pub struct Authority(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    plugin: PluginId,
    operation: String,
    digest: Digest,
    environment: Environment,
    connection: Option<ConnectionId>,
    ceiling: Arc<Ceiling>,
    grant: Grant,
    granted: Index<Granted>,
    asked: Index<Asked>,
    files: FileAccess,
    base_url: Option<Target>,
    audience: Audience,
    addresses: AddressPolicy,
    limits: Limits,
}

/// A destination that the grant gives this operation, with its words.
#[derive(Debug)]
pub(crate) struct Granted {
    rule: GrantRule,
    words: Arc<str>,
}

/// A destination that the manifest asks for, resolved.
#[derive(Debug)]
pub(crate) struct Asked {
    reach: Reach,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The manifest says where.
    Fixed(Destination),
    /// The connection or the manifest's wildcard says where: the grant must name the host.
    Open(Destination),
    /// Nobody says where but the grant.
    Anywhere(Methods),
}

/// Where the connection's credential may go.
#[derive(Debug)]
enum Audience {
    /// Nowhere: there is no connection.
    Nobody,
    /// The origin of the base URL.
    BaseUrl,
    /// The destinations that the manifest fixes for this operation, each with one
    /// host: whoever can make a name below a wildcard would be given the credential.
    Fixed,
}

impl Authority {
    /// The effective permission, or why there is none.
    ///
    /// # Errors
    /// Not approved, another environment, an operation that the grant leaves out,
    /// missing scopes, a connection outside the granted origins, ...
    pub fn try_new(
        ceiling: &Arc<Ceiling>,
        approval: Option<&Arc<Approval>>,
        digest: &Digest,
        environment: &Environment,
        manifest: &Manifest,
        subject: Subject<'_>,
        connection: Option<&ConnectionFacts>,
    ) -> Result<Self, Denial> {
        let approval = approval.map(Arc::as_ref);
        let case = Case { ceiling, approval, digest, environment, manifest, subject, connection };
        STANDING.iter().try_for_each(|(_, check)| check(&case))?;
        Ok(Self(Arc::new(Inner::of(&case))))
    }

    /// The connector.
    pub fn plugin(&self) -> &PluginId {
        &self.0.plugin
    }

    /// The operation's name in grants: its id, or `check`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The component.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Where it holds.
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// The connection, if there is one.
    pub fn connection(&self) -> Option<&ConnectionId> {
        self.0.connection.as_ref()
    }

    /// What the manifest asks, the grant gives and the ceiling caps: the grant's
    /// value where it says one, else the lower of the default and what the manifest
    /// asks; never above the ceiling's.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Where the connection's service lives, if the connector has such a place.
    pub fn base_url(&self) -> Option<&Target> {
        self.0.base_url.as_ref()
    }

    /// Decides one request by name. An address written as the host is checked too;
    /// every other address is for `Permit::addresses` after resolving.
    ///
    /// # Errors
    /// The denial, with the rule that is missing or that denied.
    pub fn decide(&self, target: Target) -> Result<Permit, Denial> {
        let heard = self.0.hear(&target);
        let Some(rule) = heard.rule() else { return Err(self.0.denial(&target, &heard)) };
        let may_carry_credential = self.0.may_carry_credential(&target);
        Ok(Permit { rule: rule.words.clone(), addresses: self.0.addresses.clone(), may_carry_credential, target })
    }
}

impl Inner {
    /// What the parties give together, whether or not the case stands.
    pub(crate) fn of(case: &Case<'_>) -> Self {
        let (ceiling, manifest, subject) = (case.ceiling, case.manifest, case.subject);
        let grant = case.approval.map_or_else(|| Grant::nothing(&manifest.id), |approval| approval.grant.clone());
        let base_url = standing::base_url(manifest, case.connection).unwrap_or_default();
        let has_base = manifest.connection.as_ref().is_some_and(|spec| spec.base_url.is_some());
        let asked = subject.reaches().iter().map(|reach| Asked::of(reach, base_url.as_ref())).collect();
        Self {
            plugin: manifest.id.clone(),
            operation: subject.name().to_owned(),
            digest: *case.digest,
            environment: case.environment.clone(),
            connection: case.connection.map(|facts| facts.id.clone()),
            ceiling: ceiling.clone(),
            granted: granted(&grant, subject.name()),
            asked: index_asked(asked),
            files: subject.files(),
            audience: match (case.connection, has_base) {
                (None, _) => Audience::Nobody,
                (Some(_), true) => Audience::BaseUrl,
                (Some(_), false) => Audience::Fixed,
            },
            addresses: AddressPolicy::new(&manifest.id, ceiling, &grant.addresses),
            limits: limits(manifest, &grant, ceiling),
            base_url,
            grant,
        }
    }

    pub(crate) fn may_carry_credential(&self, target: &Target) -> bool {
        let same_origin =
            |base: &Target| (base.scheme, &base.host, base.port) == (target.scheme, &target.host, target.port);
        match self.audience {
            Audience::Nobody => false,
            Audience::BaseUrl => self.base_url.as_ref().is_some_and(same_origin),
            Audience::Fixed => {
                let fixed = |asked: &Asked| match &asked.place {
                    Place::Fixed(destination) => {
                        matches!(destination.host, HostPattern::Exact(_)) && destination.matches_origin(target)
                    }
                    Place::Open(_) | Place::Anywhere(_) => false,
                };
                self.asked.find(&target.host, fixed).is_some()
            }
        }
    }

    /// Where the address written as the host would be dialled.
    fn literal(target: &Target) -> Option<SocketAddr> {
        match target.host {
            Host::Address(address) => Some(SocketAddr::new(address, target.port)),
            Host::Name(_) => None,
        }
    }
}

impl Asked {
    fn of(reach: &Reach, base_url: Option<&Target>) -> Self {
        let place = match (reach, reach.resolve(base_url)) {
            (Reach::Fixed(_), Some(destination)) if destination.host != HostPattern::Any => Place::Fixed(destination),
            (_, Some(destination)) => Place::Open(destination),
            (Reach::Any { methods }, None) => Place::Anywhere(methods.clone()),
            // Below a base URL that is not there: nothing can match.
            (Reach::Fixed(_) | Reach::BaseUrl { .. }, None) => Place::Anywhere(Methods::Only([].into())),
        };
        Self { reach: reach.clone(), place }
    }

    fn matches(&self, target: &Target) -> bool {
        match &self.place {
            Place::Fixed(destination) | Place::Open(destination) => destination.matches(target),
            Place::Anywhere(methods) => methods.matches(&target.method),
        }
    }

    fn is_fixed(&self) -> bool {
        matches!(self.place, Place::Fixed(_))
    }
}

fn granted(grant: &Grant, operation: &str) -> Index<Granted> {
    let rules = grant.said_of(operation).flat_map(|(_, said)| &said.destinations);
    Index::new(rules.map(|rule| {
        let words = format!("grant {}: {rule}", grant.plugin).into();
        (&rule.destination().host, Granted { rule: rule.clone(), words })
    }))
}

fn index_asked(asked: Vec<Asked>) -> Index<Asked> {
    let hosts: Vec<HostPattern> = asked
        .iter()
        .map(|asked| match &asked.place {
            Place::Fixed(destination) | Place::Open(destination) => destination.host.clone(),
            Place::Anywhere(_) => HostPattern::Any,
        })
        .collect();
    Index::new(hosts.iter().zip(asked))
}

fn limits(manifest: &Manifest, grant: &Grant, ceiling: &Ceiling) -> Limits {
    let said = Limits::default().capped_by(&manifest.limits).replaced_by(&grant.limits);
    said.capped_by(ceiling.limits()).capped_by(&LimitsPart::most())
}
