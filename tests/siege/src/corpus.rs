//! The targets: special addresses in every spelling, their neighbours, tricks, and the
//! published cases of the URL standard and of IDNA.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context as _, Result};
use url::Url;

use crate::case::{Target, Want, written};
use crate::ranges::Ranges;
use crate::{spell, tricks};

const URLS: &str = include_str!("../data/urls.json");
const NAMES: &str = include_str!("../data/names.json");

/// What tricks lead to: addresses in the URL, and names that lead inside when names do.
pub(crate) const INNER: [&str; 7] =
    ["127.0.0.1", "169.254.169.254", "10.66.6.6", "[::1]", "[fd00:ec2::254]", "2130706433", "localhost"];

/// Every target once. The port is where special addresses are asked for.
pub(crate) fn targets(port: u16) -> Result<Vec<Target>> {
    let ranges = Ranges::read()?;
    let mut targets = edges(&ranges, port);
    for template in tricks::templates()? {
        targets.extend(INNER.iter().map(|inner| Target {
            url: tricks::fill(&template, inner, port),
            from: None,
            address: None,
            want: Want::AsRead,
            kind: "tricks",
        }));
    }
    targets.extend(urls(&ranges)?);
    targets.extend(names(&ranges)?);
    let mut known = BTreeSet::new();
    targets.retain(|target| known.insert((target.url.clone(), target.from.clone())));
    Ok(targets)
}

/// Special ranges at their ends and in the middle, and their neighbours.
fn edges(ranges: &Ranges, port: u16) -> Vec<Target> {
    let mut targets = Vec::new();
    for address in ranges.edges() {
        let special = ranges.has(address);
        let host = Url::parse(&format!("http://{}:{port}/", spell::same(address).last().map_or("", String::as_str)));
        let want = match host.ok().and_then(|url| written(&url, false)) {
            Some((host, address)) if !special => Want::Served(host, address),
            _ => Want::Nothing,
        };
        let kind = if special { "special addresses" } else { "their neighbours" };
        targets.extend(spelled(address, port, &want, kind));
        if let IpAddr::V4(hidden) = address {
            // Shortest and longest: how IPv6 is spelled is tried above.
            let spelled = |address| spelled(IpAddr::V6(address), port, &Want::Nothing, "hidden in IPv6");
            targets.extend(spell::hiding(hidden).into_iter().flat_map(|address| spelled(address).into_iter().take(2)));
        }
    }
    targets
}

/// One name is enough for all spellings of an address.
fn spelled(address: IpAddr, port: u16, want: &Want, kind: &'static str) -> Vec<Target> {
    let hosts = spell::same(address).into_iter().enumerate();
    let target = |(place, host): (usize, String)| Target {
        url: format!("http://{host}:{port}/"),
        from: None,
        address: Some(address).filter(|_| place == 0),
        want: want.clone(),
        kind,
    };
    hosts.map(target).collect()
}

/// The URL standard's cases.
fn urls(ranges: &Ranges) -> Result<Vec<Target>> {
    let cases: Vec<(Option<String>, String, Option<String>)> = serde_json::from_str(URLS).context("urls.json")?;
    let target = |(base, input, result): (Option<String>, String, Option<String>)| Target {
        // Egress knows no base but that of a redirect.
        from: base.filter(|base| Url::parse(base).is_ok_and(|base| want(Some(&base), ranges) != Want::Nothing)),
        url: input,
        address: None,
        want: want(result.and_then(|result| Url::parse(&result).ok()).as_ref(), ranges),
        kind: "the URL standard",
    };
    let targets = cases.into_iter().map(target);
    // Without its base, a relative URL is none.
    let alone = |target: Target| match target.from {
        Some(_) => target,
        None => Target { want: want(Url::parse(&target.url).ok().as_ref(), ranges), ..target },
    };
    Ok(targets.map(alone).collect())
}

/// Unicode's cases.
fn names(ranges: &Ranges) -> Result<Vec<Target>> {
    let cases: Vec<(String, Option<String>)> = serde_json::from_str(NAMES).context("names.json")?;
    let is_host = |name: &str| !name.contains(['/', '?', '#', '@', ':', '\\', '%', '[', ']', '<', '>', '^', '|', ' ']);
    let cases = cases.into_iter().filter(|(name, _)| is_host(name));
    let target = |(name, ascii): (String, Option<String>)| Target {
        url: format!("http://{name}/"),
        from: None,
        address: None,
        want: want(ascii.and_then(|ascii| Url::parse(&format!("http://{ascii}/")).ok()).as_ref(), ranges),
        kind: "IDNA",
    };
    Ok(cases.map(target).collect())
}

/// What may come of a URL that the standard reads like this.
pub(crate) fn want(url: Option<&Url>, ranges: &Ranges) -> Want {
    let Some(url) = url else { return Want::Nothing };
    let speaks = ["http", "https"].contains(&url.scheme());
    let bare = url.username().is_empty() && url.password().is_none();
    if !speaks || !bare || url.port() == Some(0) || is_refused(url.path()) {
        return Want::Nothing;
    }
    match written(url, false) {
        Some((_, address)) if ranges.has(address) => Want::Nothing,
        Some((host, address)) if has_plain_name(url) => Want::Served(host, address),
        Some(_) => Want::AsRead,
        None => Want::Nothing,
    }
}

/// Paths that servers read in different ways, which the host says it refuses.
fn is_refused(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let encodings = lower.split('%').skip(1).map(|rest| rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()));
    let mut bad = encodings.map(|byte| byte.is_none_or(|byte| byte < 0x20 || [0x7f, b'/', b'\\'].contains(&byte)));
    lower.contains("//") || lower.contains("/..;") || lower.contains("/.;") || bad.any(|bad| bad)
}

/// Letters, digits, hyphens and underscores in labels of a length that DNS has: others
/// are URLs' hosts, and no resolver's names.
fn has_plain_name(url: &Url) -> bool {
    let Some(url::Host::Domain(name)) = url.host() else { return true };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name != "localhost" && name.split('.').all(is_label)
}
