//! The grant of a test: what the manifest asks for, at the sample's base URL.
//!
//! A reach that leaves the place open gets the places that the sample names, as an
//! administrator would have to name them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use model::{FileAccess, FolderName, Host, Manifest, Reach, Scope, Target, parse_base_url};
use policy::{FolderAccess, FolderGrant, Grant, GrantedOperation, OperationKey, Subject};

use super::sample::Sample;
use crate::exit::Stop;

/// What one sample may do.
pub(super) fn derive(
    manifest: &Manifest,
    subject: Subject<'_>,
    sample: &Sample,
    base_url: Option<&Target>,
    folders: &[(FolderName, std::path::PathBuf)],
) -> Result<Grant, Stop> {
    let mut grant = Grant::nothing(&manifest.id);
    grant.limits = manifest.limits;
    grant.scopes = scopes(subject);
    let places = places(sample, base_url);
    let rules = subject.reaches().iter().flat_map(|reach| rules(reach, base_url, &places));
    let destinations = rules.filter_map(|rule| rule.parse().ok()).collect();
    grant.operations = BTreeMap::from([(OperationKey::Every, GrantedOperation { destinations })]);
    grant.addresses = places.iter().filter_map(address).filter_map(|address| address.parse().ok()).collect();
    grant.folders =
        folders.iter().map(|(name, path)| Ok((name.clone(), open(path, subject)?))).collect::<Result<_, Stop>>()?;
    Ok(grant)
}

/// The scopes that the operation needs: the sample's connection holds them too.
pub(super) fn scopes(subject: Subject<'_>) -> Vec<Scope> {
    subject.scopes().iter().map(|scope| scope.name.clone()).collect()
}

/// The places that the sample speaks of.
fn places(sample: &Sample, base_url: Option<&Target>) -> Vec<Target> {
    let of_requests = sample.exchanges.iter().filter_map(|exchange| Target::parse("GET", &exchange.request.url).ok());
    base_url.cloned().into_iter().chain(of_requests).collect()
}

fn rules(reach: &Reach, base_url: Option<&Target>, places: &[Target]) -> Vec<String> {
    let everywhere =
        |methods: &model::Methods| places.iter().map(|place| format!("{methods} {}/**", origin(place))).collect();
    match (reach, reach.resolve(base_url)) {
        (Reach::Any { methods }, _) => everywhere(methods),
        (_, Some(destination)) if destination.host == model::HostPattern::Any => everywhere(&destination.methods),
        (_, Some(destination)) => vec![destination.to_string()],
        (_, None) => Vec::new(),
    }
}

fn origin(place: &Target) -> String {
    format!("{}://{}:{}", place.scheme.as_str(), place.host, place.port)
}

/// Of a place that is written as an address.
fn address(place: &Target) -> Option<String> {
    match &place.host {
        Host::Address(IpAddr::V4(address)) => Some(format!("{address}:{}", place.port)),
        Host::Address(IpAddr::V6(address)) => Some(format!("[{address}]:{}", place.port)),
        Host::Name(_) => None,
    }
}

fn open(path: &Path, subject: Subject<'_>) -> Result<FolderGrant, Stop> {
    let access = match subject.files() {
        FileAccess::Write => FolderAccess::Write,
        FileAccess::Read | FileAccess::None => FolderAccess::Read,
    };
    let path = path.display().to_string().parse().map_err(anyhow::Error::new)?;
    Ok(FolderGrant { path, access })
}

/// The base URL of a sample: its own, else the manifest's default.
pub(super) fn base_url(manifest: &Manifest, sample: &Sample) -> Result<Option<Target>, Stop> {
    let spec = manifest.connection.as_ref().and_then(|spec| spec.base_url.as_ref());
    let text = sample.base_url.as_deref().or_else(|| spec?.default.as_deref());
    let parsed = text.map(parse_base_url).transpose();
    parsed.map_err(|error| Stop::failed(model::Problem::new("base-url", error)))
}
