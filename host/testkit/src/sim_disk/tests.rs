//! The simulated disk is as unkind as it says, and no more.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{Fault, SimDisk};
use std::collections::BTreeSet;
use store::Disk;

fn outcomes(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..200).map(|seed| disk.after_power_loss(seed).contents(name)).collect()
}

#[test]
fn what_was_synced_survives_every_power_loss() {
    let disk = SimDisk::new(1);
    let file = disk.create("a").unwrap();
    file.write_at(0, &[7; 2000]).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(vec![7; 2000])].into());
}

#[test]
fn unsynced_names_come_and_go() {
    let disk = SimDisk::new(1);
    disk.create("a").unwrap();
    disk.sync_dir().unwrap();
    disk.rename("a", "b").unwrap();
    assert_eq!(outcomes(&disk, "a").len(), 2);
    disk.remove("b").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(outcomes(&disk, "b"), [None].into());
}

#[test]
fn unsynced_sectors_survive_one_by_one() {
    let disk = SimDisk::new(1);
    let file = disk.create("a").unwrap();
    disk.sync_dir().unwrap();
    file.write_at(0, &[7; 1536]).unwrap();
    let seen = outcomes(&disk, "a");
    let mut later_without_earlier = vec![0; 1536];
    later_without_earlier[512..].fill(7);
    for expected in [vec![], vec![7; 512], vec![7; 1024], vec![7; 1536], later_without_earlier] {
        assert!(seen.contains(&Some(expected.clone())), "{} bytes", expected.len());
    }
}

#[test]
fn a_failed_sync_is_never_made_good_by_the_next() {
    let disk = SimDisk::new(3);
    let file = disk.create("a").unwrap();
    disk.sync_dir().unwrap();
    file.write_at(0, &[7; 5120]).unwrap();
    disk.plan(disk.operations(), Fault::Error);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(disk.contents("a"), Some(vec![7; 5120]));
    assert!(!outcomes(&disk, "a").contains(&Some(vec![7; 5120])));
    file.write_at(0, &[7; 5120]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(outcomes(&disk, "a"), [Some(vec![7; 5120])].into());
}

#[test]
fn a_truncation_cut_short_may_or_may_not_have_happened() {
    let disk = SimDisk::new(1);
    let file = disk.create("a").unwrap();
    disk.sync_dir().unwrap();
    file.write_at(0, &[7; 600]).unwrap();
    file.sync_data().unwrap();
    disk.plan(disk.operations(), Fault::PowerLoss);
    file.truncate(10).unwrap_err();
    assert!(file.len_bytes().is_err(), "the power is off");
    assert_eq!(outcomes(&disk, "a"), [Some(vec![7; 10]), Some(vec![7; 600])].into());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = SimDisk::new(1);
    let file = disk.create("a").unwrap();
    disk.set_capacity(100);
    let error = file.write_at(0, &[7; 150]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!((file.len_bytes().unwrap(), disk.free_bytes().unwrap()), (100, 0));
}
