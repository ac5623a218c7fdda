//! A disk that fills up: refused with the reason, nothing acknowledged, nothing lost,
//! and work again as soon as there is space, also across a restart.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::mount::{self, Mounted};
use super::tally::Sum;
use super::{Part, strace};
use crate::sender::{Answer, Client};
use crate::stage::{HOOK, Stage};
use crate::storm::{Ends, Storm};
use crate::workspace::{copy_folder, empty_folder};

/// Room for the data folder, the space that the host keeps free (64 MiB), and a little.
const DISK_MIB: u64 = 220;
/// How long a host that has space again may go on refusing.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);

/// Fills the disk below a running host, twice: as far as the host keeps free, and to the
/// last byte.
pub(super) fn fill(part: &mut Part<'_>) -> Result<()> {
    if !strace::is_root() {
        part.skip("a full disk", "only root may mount file systems");
        return Ok(());
    }
    let disk = part.folder.join("disk");
    mount::leave(&disk)?;
    empty_folder(&part.folder)?;
    empty_folder(&disk)?;
    let mounted = match Mounted::memory(&disk, DISK_MIB) {
        Ok(mounted) => mounted,
        Err(error) => {
            part.skip("a full disk", &format!("{error:#}"));
            return Ok(());
        }
    };
    let mut stage = Stage::set(&part.folder.join("stage"), false)?;
    stage.stop()?;
    let data = disk.join("data");
    empty_folder(&data)?;
    copy_folder(&part.folder.join("stage").join("data"), &data)?;
    stage.move_data(&data)?;
    stage.start()?;
    let mut sum = Sum::default();
    for (name, keep_mib) in [("almost full", 40), ("full", 0)] {
        if let Err(error) = round(&mut stage, mounted.folder(), name, keep_mib, &mut sum) {
            sum.broke(format!("{name}: {error:#}"));
        }
    }
    sum.settle("a full disk refuses with its reason, loses nothing, and works again", part.claims);
    if stage.host().is_ok() {
        stage.stop()?;
    }
    Ok(())
}

fn round(stage: &mut Stage, disk: &Path, name: &str, keep_mib: u64, sum: &mut Sum) -> Result<()> {
    let marker = name.replace(' ', "");
    let storm = |part: &str| Storm { name: format!("{marker}{part}"), deliveries: 8, connections: 2, kill_at: 8 };
    sum.add("before", stage.ride_out(&storm("before"), |_, _| Ok(Ends::default())));
    let filler = disk.join("filler");
    write_filler(&filler, keep_mib)?;
    let before = stage.api()?.open_runs()?;
    let answer = refused(stage, &format!("{marker}refused"))?;
    ensure!(answer.status == 503, "a full disk was answered with {}: {}", answer.status, answer.text());
    ensure!(answer.text().contains("disk-full"), "the reason is missing: {}", answer.text());
    ensure!(stage.api()?.open_runs()? == before, "a delivery was refused, and kept all the same");
    if stage.has_ended()? {
        bail!("the host ended when its disk was full");
    }
    fs::remove_file(&filler).context("the filler cannot be removed")?;
    let began = Instant::now();
    sum.add("after", stage.ride_out(&storm("after"), |_, _| Ok(Ends::default())));
    ensure!(began.elapsed() < RECOVERS_WITHIN, "it took {:?} to work again", began.elapsed());
    // A start on a full disk may say so and end; it must not harm what is there.
    write_filler(&filler, keep_mib)?;
    stage.kill()?;
    let started = stage.start_under(&["env".to_owned()])?;
    println!("   {name}: a start without space {}", if started { "works" } else { "is refused" });
    fs::remove_file(&filler)?;
    if !started {
        stage.start()?;
    }
    sum.add("again", stage.ride_out(&storm("again"), |_, _| Ok(Ends::default())));
    Ok(())
}

/// One delivery that nobody repeats.
fn refused(stage: &Stage, marker: &str) -> Result<Answer> {
    let delivery = stage.examples().delivery(0, marker, true, stage.webhook_secret());
    Ok(Client::new(stage.hooks()?).send("POST", HOOK, &delivery.headers(), &delivery.body)?)
}

/// Fills the disk until so much is left.
fn write_filler(filler: &Path, keep_mib: u64) -> Result<()> {
    let mut file = File::create(filler)?;
    let block = vec![0; 1 << 16];
    loop {
        let stat = rustix::fs::statvfs(filler)?;
        if stat.f_bavail * stat.f_frsize <= keep_mib << 20 {
            return Ok(());
        }
        if file.write_all(&block).is_err() {
            return Ok(());
        }
    }
}
