//! A kill at every sync, rename and truncation of a scripted run, one run for each.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Part;
use super::strace::{self, Injection};
use super::tally::Sum;
use crate::stage::Stage;
use crate::storm::{Aftermath, Ends, Sending, Storm};

/// The calls that decide what is durable.
const CALLS: [&str; 5] = ["fdatasync", "fsync", "rename", "ftruncate", "sync_file_range"];
/// A scripted run has fewer calls of one kind in one thread; a run that survives
/// three later moments in a row has none left.
const MOMENTS_MAX: usize = 200;
const SURVIVED_MAX: usize = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Kills a host at each moment.
pub(super) fn kill_at_each(part: &mut Part<'_>) -> Result<()> {
    if let Some(why) = strace::missing() {
        part.skip("kills at every sync", &why);
        return Ok(());
    }
    let mut stage = Stage::set(&part.folder, false)?;
    stage.stop()?;
    let mut sum = Sum::default();
    for call in CALLS {
        let (mut killed, mut survived) = (0, 0);
        for moment in (1..=MOMENTS_MAX).step_by(part.scale.every) {
            if survived == SURVIVED_MAX || part.is_late() {
                break;
            }
            let mut died = false;
            let name = format!("{}{moment}", call.replace('_', ""));
            let injection = Injection::new(&part.folder, call, "signal=KILL", moment);
            let outcome = scripted(&mut stage, &name, &injection.tracer, &mut died);
            if !sum.add(&name, outcome) {
                break;
            }
            (killed, survived) = if died { (killed + 1, 0) } else { (killed, survived + 1) };
        }
        println!("   {killed} kills at {call}");
    }
    sum.settle("a kill at any sync, rename or truncation loses and doubles nothing", part.claims);
    Ok(())
}

/// The script: a start, a few deliveries, a stop. Whoever dies in it is started again.
fn scripted(stage: &mut Stage, name: &str, tracer: &[String], died: &mut bool) -> Result<Aftermath> {
    let storm = Storm { name: name.to_owned(), deliveries: 4, connections: 2, kill_at: 4 };
    let aftermath = stage.ride_out(&storm, |stage, sending| {
        let began = Instant::now();
        if stage.start_under(tracer)? {
            wait(stage, sending)?;
        }
        if !stage.has_ended()? {
            // A kill may come while it stops.
            *died = !stage.stop_or_die()?;
        } else {
            *died = true;
        }
        stage.start()?;
        Ok(Ends { times: usize::from(*died), down: began.elapsed() })
    })?;
    stage.stop()?;
    Ok(aftermath)
}

fn wait(stage: &mut Stage, sending: &Sending<'_>) -> Result<()> {
    while !sending.is_over() && !stage.has_ended()? {
        thread::sleep(LOOK_AGAIN_AFTER);
    }
    Ok(())
}
