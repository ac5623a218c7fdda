//! Hosts: the one that was decided on is the one that is dialled.
//!
//! The judge knows nothing of `model`'s matcher: it splits into labels what the `url`
//! crate says the host is. What leaves is looked at where it leaves, in the transport,
//! and as HTTP libraries read it; names are looked at where they are resolved.

mod dial;
mod spell;

use std::net::IpAddr;

use http::Uri;
use model::{Host, HostPattern, Target};
use url::Url;

use crate::choices::Choices;
use dial::{Dialled, dial};

pub(crate) use spell::{request, rule};

/// A pattern, a URL, and what becomes of a request to it.
pub fn host(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    match choices.below(4) {
        0 => spelled(&mut choices),
        1 => any_text(&String::from_utf8_lossy(choices.rest())),
        _ => decided(&mut choices),
    }
}

/// An address is recognised however it is spelled.
fn spelled(choices: &mut Choices<'_>) {
    let (address, text) = spell::address(choices);
    assert_eq!(text.parse::<Host>().ok(), Some(Host::Address(address)), "{text}");
    let pattern = Host::Address(address).to_string();
    assert_eq!(pattern.parse::<HostPattern>().ok(), Some(HostPattern::Exact(Host::Address(address))), "{pattern}");
    let url = format!("https://{text}:8443/a");
    let target = Target::parse("GET", &url).expect("an address is a host");
    assert_eq!((&target.host, target.port), (&Host::Address(address), 8443), "{url}");
    consistent(&target);
    if let IpAddr::V4(v4) = address {
        let below = format!("*.{}", v4.octets()[3]);
        let matches = below.parse::<HostPattern>().is_ok_and(|below| below.matches(&target.host));
        assert!(!matches, "{below} means the address {address}");
    }
}

fn any_text(text: &str) {
    for text in [text.to_owned(), format!("https://{text}"), format!("http://{text}/x")] {
        if let Ok(target) = Target::parse("GET", &text) {
            consistent(&target);
        }
        // Refused, or read as something that can be printed: never a panic.
        if let Ok(pattern) = text.parse::<HostPattern>() {
            assert_eq!(pattern.to_string().parse::<HostPattern>(), Ok(pattern));
        }
    }
}

/// A request to a place that rules may mean or not, all the way to where it leaves.
fn decided(choices: &mut Choices<'_>) {
    let (rule, (method, url)) = (rule(choices), request(choices));
    let Ok(target) = Target::parse(&method, &url) else { return };
    consistent(&target);
    let Ok(destination) = rule.parse::<model::Destination>() else { return };
    let means = means(&destination.host, &target);
    assert_eq!(destination.host.matches(&target.host), means, "{rule} and {url}");
    for dialled in dial(&rule, &method, &url, choices) {
        match dialled {
            Dialled::Refused => {}
            Dialled::Sent(sent) => {
                assert!(means, "{rule} let {url} leave, as {sent}");
                same_place(&target, &sent);
            }
            Dialled::Resolved(name) => assert_eq!(Host::Name(name), target.host, "{url}"),
            Dialled::Denied(address) => assert_eq!(Host::Address(address), target.host, "{url}"),
        }
    }
}

/// What is decided on is what every library will read in the URL that is sent.
fn consistent(target: &Target) {
    let url = target.url();
    // Some that are URLs cannot be written into a request: those lead nowhere.
    if url.as_str().parse::<Uri>().is_ok() {
        same_place(target, url);
    }
    if let Host::Name(name) = &target.host {
        // Resolvers drop one dot at the end, or look for the name in domains of their
        // own: two names that rules tell apart would be one.
        assert!(!name.is_empty() && name.split('.').all(|label| !label.is_empty()), "{name:?} has an empty label");
        assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
    }
    let again = Target::parse(&target.method, url.as_str()).expect("a canonical URL is a target");
    assert_eq!(&again, target, "canonical at the first time");
}

/// That a URL leads to the target's host and port, for the `url` crate and for `http`.
fn same_place(target: &Target, url: &Url) {
    assert_eq!(Host::of(url).as_ref(), Some(&target.host), "{url}");
    assert_eq!(url.port_or_known_default(), Some(target.port), "{url}");
    assert_eq!(url.scheme(), target.scheme.as_str());
    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    let uri: Uri = url.as_str().parse().unwrap_or_else(|error| panic!("{url} cannot be sent: {error}"));
    let host = uri.host().expect("an authority");
    match &target.host {
        Host::Name(name) => assert_eq!(host.strip_suffix('.').unwrap_or(host), name, "{url}"),
        address @ Host::Address(_) => assert_eq!(host.parse::<Host>().ok().as_ref(), Some(address), "{url}"),
    }
    assert_eq!(uri.port_u16().unwrap_or(target.scheme.default_port()), target.port, "{url}");
    let path = uri.path();
    assert_eq!(path, target.path, "{url}");
}

/// Whether a pattern means a URL's host, label by label.
fn means(pattern: &HostPattern, target: &Target) -> bool {
    let host = target.url().host_str().expect("it has a host").trim_end_matches('.').to_owned();
    let labels = |name: &str| name.split('.').map(str::to_owned).collect::<Vec<String>>();
    match (pattern, target.url().host().expect("it has a host")) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(Host::Name(name)), url::Host::Domain(_)) => labels(name) == labels(&host),
        (HostPattern::Below(apex), url::Host::Domain(_)) => {
            let (apex, host) = (labels(apex), labels(&host));
            host.len() > apex.len() && host.ends_with(&apex)
        }
        (HostPattern::Exact(Host::Address(IpAddr::V4(address))), url::Host::Ipv4(host)) => *address == host,
        (HostPattern::Exact(Host::Address(IpAddr::V6(address))), url::Host::Ipv6(host)) => *address == host,
        (HostPattern::Range(range), url::Host::Ipv4(host)) => in_range(range, host.into()),
        (HostPattern::Range(range), url::Host::Ipv6(host)) => in_range(range, host.into()),
        (HostPattern::Exact(_) | HostPattern::Below(_) | HostPattern::Range(_), _) => false,
    }
}

/// Whether the first bits are the same.
fn in_range(range: &ipnet::IpNet, host: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
        IpAddr::V6(address) => (address.to_bits(), false),
    };
    let ((range_bits, range_v4), (host_bits, host_v4)) = (bits(range.network()), bits(host));
    let rest = 128 - u32::from(range.prefix_len());
    range_v4 == host_v4 && (rest == 128 || range_bits >> rest == host_bits >> rest)
}
