//! Every target by every way, several at a time; the canaries are asked at the end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use url::Url;

use crate::case::{Target, Verdict, WAYS, Way, attack};
use crate::ground::{Place, kernel_opens};
use crate::guarded::{Guarded, home};
use crate::nameserver::{self, Book};
use crate::outside::Outside;
use crate::ranges::Ranges;
use crate::tally::Tally;
use crate::{corpus as targets, valid};

/// Cases under way at once: enough that waiting for the kernel costs no time.
const AT_ONCE: usize = 8;
/// For what is never connected to for reasons of its own.
const CONNECT: Duration = Duration::from_secs(5);

/// A siege under way.
pub(crate) struct Siege {
    pub(crate) place: Place,
    pub(crate) outside: Outside,
    pub(crate) book: Arc<Book>,
    pub(crate) guarded: Guarded,
    ranges: Ranges,
    /// The number of the next case.
    cases: AtomicU64,
}

impl Siege {
    /// Everything listens; names lead where the name server says.
    pub(crate) async fn begin(place: &Place, ports: &[u16], connect: Duration) -> Result<Self> {
        let book = Arc::new(Book::default());
        let ports = match place {
            Place::Namespace => ports,
            // Any free ones: the usual ones are not ours to take.
            Place::Loopback { .. } => &[0, 0, 0],
        };
        if *place == Place::Namespace {
            nameserver::serve(SocketAddr::from(([127, 0, 0, 1], 53)), Arc::clone(&book)).await?;
        }
        let outside = Outside::start(ports, |ports| home(place, ports)).await?;
        let guarded = Guarded::start(place, &outside, &book, connect)?;
        // Out there are real machines: no name leads to one.
        book.set_evil(*place != Place::Namespace);
        Ok(Self { place: place.clone(), outside, book, guarded, ranges: Ranges::read()?, cases: AtomicU64::new(0) })
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.place != Place::Namespace
    }

    /// Whether this is an address of the public internet.
    pub(crate) fn is_public(&self, url: &Url) -> bool {
        let address = match url.host() {
            Some(url::Host::Ipv4(address)) => address.into(),
            Some(url::Host::Ipv6(address)) => address.into(),
            Some(url::Host::Domain(_)) | None => return false,
        };
        !self.ranges.has(address)
    }

    /// The port at which targets are asked for.
    pub(crate) fn target_port(&self) -> u16 {
        if self.is_loopback() { self.outside.ports()[1] } else { 80 }
    }

    /// Every target by each of these ways.
    pub(crate) async fn run(self: &Arc<Self>, targets: &Arc<Vec<Target>>, ways: &'static [Way]) -> Result<Tally> {
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..AT_ONCE {
            let (siege, targets) = (Arc::clone(self), Arc::clone(targets));
            workers.spawn(async move { siege.work(&targets, ways, worker).await });
        }
        let mut tally = Tally::default();
        while let Some(part) = workers.join_next().await {
            tally.add(part.context("a worker")??);
        }
        Ok(tally)
    }

    async fn work(&self, targets: &[Target], ways: &[Way], worker: usize) -> Result<Tally> {
        let mut tally = Tally::default();
        for target in targets.iter().skip(worker).step_by(AT_ONCE) {
            let mut told = false;
            for &way in ways {
                let number = self.cases.fetch_add(1, Ordering::Relaxed);
                match attack(self, target, way, number).await? {
                    Verdict::Skipped(why) => {
                        tally.skip(why, 1);
                        continue;
                    }
                    Verdict::Refused => tally.refused += 1,
                    Verdict::Served => tally.served += 1,
                    // One way of a target tells enough; the others are counted.
                    Verdict::Broken(_) if told => tally.breaches += 1,
                    Verdict::Broken(what) => {
                        told = true;
                        tally
                            .breach(format!("{} {way:?} {:?} from {:?}: {what}", target.kind, target.url, target.from));
                    }
                }
                tally.cases += 1;
                *tally.ways.entry(way.to_string()).or_default() += 1;
            }
        }
        Ok(tally)
    }

    /// Asks canaries and kernel.
    pub(crate) async fn finish(&self, mut tally: Tally) -> Result<Tally> {
        let knocks = self.outside.settle().await?;
        let account = &self.outside.account;
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        tally.canary_connections = count(&account.canary_connections);
        tally.canary_bytes = count(&account.canary_bytes);
        tally.stray_credentials = count(&account.strays);
        tally.queries = self.book.queries();
        for touched in account.touched() {
            tally.breach(format!("the canary at {touched} was touched"));
        }
        match &self.place {
            Place::Namespace => {
                tally.place = "namespace".to_owned();
                tally.kernel_opens = kernel_opens()?;
                tally.accounted_opens = count(&account.served) + self.book.tcp() + knocks;
            }
            Place::Loopback { why } => tally.place = format!("loopback: {why}"),
        }
        Ok(tally)
    }
}

/// The ports that these targets mean, as the URL standard reads them.
pub(crate) fn ports<'a>(targets: impl IntoIterator<Item = &'a Target>) -> BTreeSet<u16> {
    // Redirects lead to relative ones too.
    let read = |target: &Target| {
        let base = Url::parse(target.from.as_deref().unwrap_or("http://x/")).ok()?;
        Some([base.join(&target.url).ok(), Url::parse(&target.url).ok(), Some(base)])
    };
    let urls = targets.into_iter().filter_map(read).flatten().flatten();
    let ports: BTreeSet<u16> = urls.filter_map(|url| url.port_or_known_default()).chain([80, 443]).collect();
    // 53 is the name server's.
    ports.into_iter().filter(|port| ![0, 53].contains(port)).collect()
}

/// Every target of the corpus by every way, and valid URLs that must go through.
///
/// # Errors
/// When the siege itself cannot be set up.
pub fn corpus(place: &Place) -> Result<Tally> {
    tokio::runtime::Runtime::new()?.block_on(async {
        // Ports are known once targets are; where they are not ours to take, it is the
        // other way round.
        let (mut targets, valid) = (targets::targets(80)?, valid::targets());
        let ports: Vec<u16> = ports(targets.iter().chain(&valid)).into_iter().collect();
        let siege = Arc::new(Siege::begin(place, &ports, CONNECT).await?);
        if siege.is_loopback() {
            targets = targets::targets(siege.target_port())?;
        }
        let (targets, valid) = (Arc::new(targets), Arc::new(valid));
        let mut tally = siege.run(&targets, &WAYS).await?;
        tally.add(siege.run(&valid, &[Way::Direct, Way::Kept]).await?);
        siege.book.set_evil(true);
        tally.add(siege.run(&targets, &[Way::Evil]).await?);
        for target in targets.iter().chain(valid.iter()) {
            tally.targets += 1;
            *tally.kinds.entry(target.kind).or_default() += 1;
        }
        siege.finish(tally).await
    })
}
