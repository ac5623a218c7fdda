//! Injected I/O errors and full disks at the system calls of a scripted run.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Part;
use super::strace::{self, Injection};
use super::tally::Sum;
use crate::stage::Stage;
use crate::storm::{Aftermath, Ends, Storm};

/// Which call meets which error.
const FAULTS: [(&str, &str); 5] = [
    ("pwrite64", "error=EIO"),
    ("pwrite64", "error=ENOSPC"),
    ("fdatasync", "error=EIO"),
    ("fsync", "error=EIO"),
    ("ftruncate", "error=EIO"),
];
/// A scripted run has fewer calls of one kind in one thread; one in which three faults in
/// a row find no call has none left.
const MOMENTS_MAX: usize = 40;
const UNMET_MAX: usize = 3;
/// What a host that still writes needs for the script. One that has stopped writing
/// answers 503, until whoever watches over it starts it again.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Fails each call once.
pub(super) fn fail_each(part: &mut Part<'_>) -> Result<()> {
    if let Some(why) = strace::missing() {
        part.skip("injected errors", &why);
        return Ok(());
    }
    let mut stage = Stage::set(&part.folder, false)?;
    stage.stop()?;
    let mut sum = Sum::default();
    for (call, error) in FAULTS {
        let (mut met, mut unmet, mut restarted) = (0, 0, 0);
        // Moments are drawn wide apart: each costs a start, and neighbours are alike.
        for moment in (1..=MOMENTS_MAX).step_by(part.scale.every.max(2)) {
            if unmet == UNMET_MAX || part.is_late() {
                break;
            }
            let name = format!("{call}{}{moment}", &error[error.len() - 3..]);
            let injection = Injection::new(&part.folder, call, error, moment);
            let mut again = false;
            if !sum.add(&name, scripted(&mut stage, &name, &injection.tracer, &mut again)) {
                break;
            }
            (met, unmet) = if injection.was_met() { (met + 1, 0) } else { (met, unmet + 1) };
            restarted += usize::from(again);
        }
        println!("   {met} calls of {call} met {error}, {restarted} hosts needed a restart");
    }
    sum.settle("an I/O error or a full disk at any write or sync loses and doubles nothing", part.claims);
    Ok(())
}

fn scripted(stage: &mut Stage, name: &str, tracer: &[String], again: &mut bool) -> Result<Aftermath> {
    let storm = Storm { name: name.to_owned(), deliveries: 4, connections: 2, kill_at: 4 };
    let aftermath = stage.ride_out(&storm, |stage, sending| {
        let began = Instant::now();
        if stage.start_under(tracer)? {
            while !sending.is_over() && began.elapsed() < PATIENCE && !stage.has_ended()? {
                thread::sleep(LOOK_AGAIN_AFTER);
            }
            *again = !sending.is_over();
        } else {
            *again = true;
        }
        if !stage.has_ended()? {
            stage.kill()?;
        }
        stage.start()?;
        Ok(Ends { times: 1, down: began.elapsed() })
    })?;
    stage.stop()?;
    Ok(aftermath)
}
