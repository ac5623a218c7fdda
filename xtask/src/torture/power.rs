//! Real losses of power: an ext4 file system of its own, shut down in the middle of a
//! storm without flushing its log, mounted again, and the host with it.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::Part;
use super::mount::{self, Mounted, must};
use super::tally::Sum;
use crate::stage::Stage;
use crate::storm::{Ends, Storm};
use crate::workspace::empty_folder;

/// Room for the code cache, the journal, and the space that the host keeps free.
const IMAGE_MIB: u64 = 320;
const DELIVERIES: usize = 16;

/// Loses power again and again.
pub(super) fn lose_power(part: &mut Part<'_>) -> Result<()> {
    if let Some(why) = mount::missing() {
        part.skip("power losses", &why);
        return Ok(());
    }
    let (image, disk) = (part.folder.join("image"), part.folder.join("disk"));
    mount::leave(&disk)?;
    empty_folder(&part.folder)?;
    empty_folder(&disk)?;
    let godown = mount::build_godown(&part.folder)?;
    mount::make_image(&image, IMAGE_MIB)?;
    let mut mounted = match Mounted::image(&image, &disk) {
        Ok(mounted) => mounted,
        Err(error) => {
            part.skip("power losses", &format!("{error:#}"));
            return Ok(());
        }
    };
    let log = part.folder.join("receiver.log");
    let mut stage = Stage::set_with(&disk.join("stage"), &log, false)?;
    // What a person set up long ago is on disk.
    must(Command::new("sync").arg("-f").arg(&disk))?;
    let (mut sum, mut losses) = (Sum::default(), 0);
    while losses < part.scale.power_losses && !part.is_late() {
        let kill_at = losses * 7 % (DELIVERIES + 1);
        let name = format!("p{losses}");
        let storm = Storm { name: name.clone(), deliveries: DELIVERIES, connections: 4, kill_at };
        let mut next = None;
        let outcome = stage.ride_out(&storm, |stage, sending| {
            sending.wait_until(kill_at);
            let began = Instant::now();
            // The kernel may report success for a sync that the shutdown overtakes, which
            // no disk without power does: nothing is under way when it goes.
            stage.host()?.freeze()?;
            must(Command::new(&godown).arg(mounted.folder()))?;
            stage.kill()?;
            mounted.unmount()?;
            next = Some(Mounted::image(&image, &disk)?);
            stage.start()?;
            Ok(Ends { times: 1, down: began.elapsed() })
        });
        losses += 1;
        let goes_on = sum.add(&name, outcome);
        match next {
            Some(again) if goes_on => mounted = again,
            _ => break,
        }
    }
    println!("   {losses} losses of power");
    sum.settle("a loss of power loses and doubles nothing", part.claims);
    if stage.host().is_ok() {
        stage.stop()?;
    }
    Ok(())
}
