//! A counting upstream: ten thousand deliveries to as many flows, hundreds of
//! kills, every effect counted.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Part;
use super::tally::{Counted, Sum};
use crate::stage::Stage;
use crate::storm::{Ends, Storm};

/// Keeps the host's workers busy.
const CONNECTIONS: usize = 8;

/// Kills a host evenly over one long storm, then counts.
pub(super) fn count(part: &mut Part<'_>) -> Result<()> {
    let Counted { flows, deliveries, kills } = part.scale.counted;
    let mut stage = Stage::set(&part.folder, false)?;
    stage.copy_flow(flows)?;
    let storm = Storm { name: "count".to_owned(), deliveries, connections: CONNECTIONS, kill_at: deliveries };
    let mut killed = 0;
    let aftermath = stage.ride_out(&storm, |stage, sending| {
        let mut down = Duration::ZERO;
        for kill in 1..=kills {
            sending.wait_until(deliveries * kill / (kills + 1));
            if part.is_late() {
                break;
            }
            let began = Instant::now();
            stage.kill_and_restart()?;
            down = down.max(began.elapsed());
            killed += 1;
        }
        Ok(Ends { times: killed, down })
    });
    let mut sum = Sum::default();
    sum.add("count", aftermath);
    println!("   {deliveries} deliveries to {flows} flows, {killed} kills");
    sum.settle("each effect of a counting upstream happens once, or is a dead letter that says so", part.claims);
    stage.stop()
}
