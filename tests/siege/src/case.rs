//! One target, one way to it, and whether what came of it may have.

use std::fmt;
use std::net::IpAddr;

use anyhow::Result;
use egress::{Request, Response, SendError};
use url::Url;

use crate::bombard::Siege;
use crate::guarded::{PROBE, rule};
use crate::nameserver::{address_of, saying};
use crate::outside::{CASE, Seen};

/// What may come of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nobody is reached.
    Nothing,
    /// This host (as `Host` is written) is reached, at this address.
    Served(String, IpAddr),
    /// Nobody is reached, or else the host that the URL standard reads.
    AsRead,
}

/// A place to be reached, or not.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// What a relative URL is relative to: such a target is a redirect's alone.
    pub(crate) from: Option<String>,
    /// The address, where it is one: a name can lead to it too.
    pub(crate) address: Option<IpAddr>,
    pub(crate) want: Want,
    pub(crate) kind: &'static str,
}

/// How it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Direct,
    Redirect(u16),
    /// By a name that the name server leads there.
    Named,
    /// Over a connection that another plugin keeps open.
    Kept,
    /// Directly, while every name leads inside.
    Evil,
}

/// While names lead where they say.
pub(crate) const WAYS: [Way; 8] = [
    Way::Direct,
    Way::Redirect(301),
    Way::Redirect(302),
    Way::Redirect(303),
    Way::Redirect(307),
    Way::Redirect(308),
    Way::Named,
    Way::Kept,
];

impl fmt::Display for Way {
    /// As figures name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Redirect(status) => write!(f, "redirect {status}"),
            Self::Named => f.write_str("named"),
            Self::Kept => f.write_str("kept"),
            Self::Evil => f.write_str("evil"),
        }
    }
}

/// What came of a case.
pub(crate) enum Verdict {
    Refused,
    Served,
    /// Does not apply, and why.
    Skipped(&'static str),
    /// May not have come.
    Broken(String),
}

impl Target {
    fn read(&self, home: &str) -> Option<Url> {
        match (&self.from, self.url.strip_prefix("{base-url}")) {
            (Some(from), _) => Url::parse(from).ok()?.join(&self.url).ok(),
            (None, Some(rest)) => Url::parse(&format!("{home}{rest}")).ok(),
            (None, None) => Url::parse(&self.url).ok(),
        }
    }
}

/// Tries one target by one way.
pub(crate) async fn attack(siege: &Siege, target: &Target, way: Way, number: u64) -> Result<Verdict> {
    let skip = |why| Ok(Verdict::Skipped(why));
    // Out of a network of its own, nothing public may be asked for.
    let stays = target.want == Want::Nothing || (target.want == Want::AsRead && way == Way::Evil);
    let joined = Url::parse(&siege.guarded.home)?.join(&target.url).ok();
    let public = [target.read(&siege.guarded.home), joined].iter().flatten().any(|url| siege.is_public(url));
    if siege.is_loopback() && (!stays || target.from.is_some() || public) {
        return skip("only a network of its own has public addresses");
    }
    match way {
        Way::Direct | Way::Kept | Way::Evil if target.from.is_some() => skip("a relative URL is a redirect's alone"),
        Way::Evil if target.want == Want::Nothing => skip("refused whatever names say"),
        Way::Named if target.address.is_none() => skip("only an address has a name of its own"),
        Way::Kept if !matches!(target.want, Want::Served(..)) => skip("nobody has a connection to it"),
        Way::Kept => Ok(kept(siege, target, number).await?),
        Way::Direct | Way::Evil => Ok(direct(siege, target, way == Way::Evil, number).await?),
        Way::Named => Ok(named(siege, target, number).await?),
        Way::Redirect(_) if target.url.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) => {
            skip("cannot stand in a header")
        }
        Way::Redirect(status) => Ok(redirected(siege, target, status, number).await?),
    }
}

async fn direct(siege: &Siege, target: &Target, evil: bool, number: u64) -> Result<Verdict> {
    let read = target.read(&siege.guarded.home);
    let (records, outcome) = send(siege, &target.url, &[read.as_ref()], number).await?;
    Ok(judge(siege, target, evil, read.as_ref(), records, outcome))
}

/// A keeper has a connection to the target. Without a grant a stranger does not reach the
/// target all the same, with one by a connection of its own; and the keeper's is still there.
async fn kept(siege: &Siege, target: &Target, number: u64) -> Result<Verdict> {
    let read = target.read(&siege.guarded.home);
    let rules = [read.as_ref()];
    let url = &target.url;
    // Of this case alone: others go to the same place meanwhile.
    let [keeper, stranger] = ["keeper", "stranger"].map(|who| format!("{who} {number}"));
    // A redirect to where nobody may go: the answer is read, and the connection stays.
    siege.outside.account.redirect(&number.to_string(), 307, b"http://nobody.example/");
    let (_, first) = send_as(&keeper, siege, url, &rules, number).await?;
    if !matches!(first, Err(SendError::Denied(_))) {
        return Ok(Verdict::Broken(format!("the keeper was not sent on, but {first:?}")));
    }
    // The service of the connection is granted to everybody.
    if read.as_ref().is_none_or(|read| rule(read) != Some(format!("* {}", siege.guarded.home))) {
        let (_, refused) = send_as(&stranger, siege, url, &[], number).await?;
        if !matches!(refused, Err(SendError::Denied(_))) {
            return Ok(Verdict::Broken(format!("a stranger without a grant was not denied, but {refused:?}")));
        }
    }
    for (who, turn) in [(&stranger, 1), (&keeper, 2)] {
        let (address, outcome) = send_as(who, siege, url, &rules, number).await?;
        let seen = outcome.as_ref().ok().and_then(|response| serde_json::from_slice::<Seen>(&response.body).ok());
        let verdict = judge(siege, target, false, read.as_ref(), address, outcome);
        if !matches!(verdict, Verdict::Served) {
            return Ok(verdict);
        }
        match seen.map(|seen| seen.turn) {
            Some(found) if found == turn => {}
            Some(1) => return Ok(Verdict::Skipped("the keeper's connection had gone, which proves nothing")),
            found => return Ok(Verdict::Broken(format!("the {who}'s request was {found:?} of its connection"))),
        }
    }
    Ok(Verdict::Served)
}

async fn named(siege: &Siege, target: &Target, number: u64) -> Result<Verdict> {
    let Some(address) = target.address else { return Ok(Verdict::Skipped("not an address")) };
    let name = saying(address);
    let port = siege.target_port();
    let url = Url::parse(&format!("http://{name}:{port}/"))?;
    let host = if port == 80 { name } else { format!("{name}:{port}") };
    let want = match &target.want {
        Want::Served(..) => Want::Served(host, address),
        Want::Nothing | Want::AsRead => Want::Nothing,
    };
    let target = Target { want, ..target.clone() };
    let (records, outcome) = send(siege, url.as_str(), &[Some(&url)], number).await?;
    Ok(judge(siege, &target, false, Some(&url), records, outcome))
}

async fn redirected(siege: &Siege, target: &Target, status: u16, number: u64) -> Result<Verdict> {
    let from = Url::parse(target.from.as_deref().unwrap_or(&siege.guarded.home))?;
    let read = from.join(&target.url).ok();
    // What is relative after all means something else here than it does alone.
    let relative = target.from.is_none() && Url::parse(&target.url).ok() != read;
    let target = &Target { want: if relative { Want::AsRead } else { target.want.clone() }, ..target.clone() };
    siege.outside.account.redirect(&number.to_string(), status, target.url.as_bytes());
    let (records, outcome) = send(siege, from.as_str(), &[Some(&from), read.as_ref()], number).await?;
    if let Ok(response) = &outcome
        && response.status == status
    {
        return Ok(match target.want {
            Want::Served(..) => Verdict::Broken("the redirect was not followed".to_owned()),
            Want::Nothing | Want::AsRead => Verdict::Refused,
        });
    }
    Ok(judge(siege, target, false, read.as_ref(), records, outcome))
}

/// The address on record last, and the outcome.
type Sent = (Option<String>, Result<Response, SendError>);

async fn send(siege: &Siege, url: &str, read: &[Option<&Url>], number: u64) -> Result<Sent> {
    send_as(PROBE, siege, url, read, number).await
}

/// As another component.
async fn send_as(who: &str, siege: &Siege, url: &str, read: &[Option<&Url>], number: u64) -> Result<Sent> {
    let rules: Vec<String> = read.iter().copied().flatten().filter_map(rule).collect();
    let session = siege.guarded.session(who, &rules)?;
    let request = Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: vec![(CASE.to_owned(), number.to_string())],
        ..Request::default()
    };
    let outcome = session.send(request).await;
    let address = session.records().pop().and_then(|record| record.address);
    Ok((address, outcome))
}

fn judge(
    siege: &Siege,
    target: &Target,
    evil: bool,
    read: Option<&Url>,
    address: Option<String>,
    outcome: Result<Response, SendError>,
) -> Verdict {
    let response = match (outcome, &target.want) {
        (Err(error), Want::Served(..)) if !evil => return Verdict::Broken(format!("was refused: {error}")),
        (Err(_), _) => return Verdict::Refused,
        (Ok(response), _) => response,
    };
    let Ok(seen) = serde_json::from_slice::<Seen>(&response.body) else {
        return Verdict::Broken(format!("answered by a stranger with {}", response.status));
    };
    if address != Some(seen.dialled.to_string()) {
        return Verdict::Broken(format!("{} was dialled, and {address:?} is on record", seen.dialled));
    }
    let is_home = siege.guarded.home.ends_with(&format!("//{}", seen.host));
    let wanted = match (&target.want, evil) {
        (Want::Nothing, _) => return Verdict::Broken(format!("was served by {} at {}", seen.host, seen.dialled)),
        (Want::Served(host, address), false) => (host.clone(), *address),
        (Want::Served(..) | Want::AsRead, true) if !is_home && read.is_none_or(is_name) => {
            return Verdict::Broken(format!("{} was served while names lead inside", seen.host));
        }
        (Want::Served(..) | Want::AsRead, _) => match read.and_then(|read| written(read, evil)) {
            Some(wanted) => wanted,
            None => return Verdict::Broken(format!("{} was served, and the URL has no host", seen.host)),
        },
    };
    if (seen.host.as_str(), seen.dialled.ip()) == (wanted.0.as_str(), wanted.1) {
        return Verdict::Served;
    }
    Verdict::Broken(format!("{} at {} was reached in place of {} at {}", seen.host, seen.dialled, wanted.0, wanted.1))
}

fn is_name(url: &Url) -> bool {
    matches!(url.host(), Some(url::Host::Domain(_)))
}

/// `Host` as it is written for this URL, and where that host lives.
pub(crate) fn written(url: &Url, evil: bool) -> Option<(String, IpAddr)> {
    let (host, address) = match url.host()? {
        url::Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            (name.to_owned(), address_of(name, evil))
        }
        url::Host::Ipv4(address) => (address.to_string(), address.into()),
        url::Host::Ipv6(address) => (format!("[{address}]"), address.into()),
    };
    Some((url.port().map_or(host.clone(), |port| format!("{host}:{port}")), address))
}
