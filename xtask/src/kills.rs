//! The kill loop: storms on one stage, each with its kill at another moment.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::report::Claims;
use crate::stage::Stage;
use crate::storm::Storm;
use crate::workspace::{spoken, target};

/// Small storms: the moment of the kill matters, not the length of the queue.
const DELIVERIES: usize = 40;

/// Kills a host this often under load, or until then, and settles one claim over all
/// of it.
///
/// # Errors
/// The stage cannot be set.
pub fn kill_loop(kills: usize, until: Option<Instant>, claims: &mut Claims) -> Result<()> {
    let started = Instant::now();
    let mut stage = Stage::set(&target().join("kills"), false)?;
    let (mut done, mut silent, mut uncertain, mut repeated) = (0, 0, 0, 0);
    let mut longest = Duration::ZERO;
    let mut broken = Vec::new();
    let mut killed = 0;
    for kill in 0..kills {
        if until.is_some_and(|until| Instant::now() >= until) {
            println!("   the time was over after {kill} of {kills} kills");
            break;
        }
        killed += 1;
        match stage.weather(&storm(kill)) {
            Ok(aftermath) => {
                done += aftermath.verdict.done;
                silent += aftermath.verdict.silent;
                uncertain += aftermath.verdict.uncertain;
                repeated += aftermath.repeated;
                longest = longest.max(aftermath.down);
                broken.extend(aftermath.verdict.broken.into_iter().map(|what| format!("kill {}: {what}", kill + 1)));
            }
            Err(error) => {
                broken.push(format!("kill {}: {error:#}", kill + 1));
                break;
            }
        }
    }
    println!("   {killed} kills in {}, back after {} at most", spoken(started.elapsed()), spoken(longest));
    println!("   {done} delivered once, {silent} rightly without effect, {uncertain} \"may have happened\"");
    println!("   {repeated} kept although their answer was lost, {} broken promises", broken.len());
    let outcome = if broken.is_empty() { Ok("0 lost, 0 doubled".to_owned()) } else { Err(broken.join("; ")) };
    claims.settle(&format!("{killed} kills under load lose and double nothing"), outcome);
    if let Err(error) = stage.stop() {
        claims.settle("the host stops cleanly after the kills", Err(format!("{error:#}")));
    }
    Ok(())
}

/// Every kill at another moment: early, in the middle, after the last acknowledgement.
fn storm(kill: usize) -> Storm {
    // 7 has no factor in common with 41, so that every moment comes up before one does again.
    let kill_at = (kill * 7) % (DELIVERIES + 1);
    Storm { name: format!("k{kill}"), deliveries: DELIVERIES, connections: 4, kill_at }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn kills_come_at_different_moments() {
        let moments: BTreeSet<usize> = (0..30).map(|kill| super::storm(kill).kill_at).collect();
        assert_eq!(moments.len(), 30);
    }
}
