//! A disk in memory that loses power, fails and fills up on demand.
//!
//! It keeps what was written apart from what is durable, and promises no more
//! than POSIX does: unsynced sectors survive a power loss one by one, unsynced
//! names come and go, a failed sync forgets what it did not write. Operations
//! that change something are counted; faults are planned by that count.

mod inode;

use crate::seeded::Seeded;
use inode::Inode;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Disk, DiskFile};

/// What goes wrong at a planned operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Power is lost while the operation is under way: any part of it may have
    /// happened. Everything after fails.
    PowerLoss,
    /// The operation fails with an I/O error; a write or a sync may have done
    /// any part of its work.
    Error,
    /// The operation finds the disk full; a write may have done a part.
    Full,
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    faults: BTreeMap<u64, Fault>,
    operations: u64,
    power: bool,
    capacity: u64,
    random: Seeded,
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl SimDisk {
    /// An empty disk; the seed decides what faults leave behind.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Vec::new(), BTreeMap::new(), Seeded::new(seed))
    }

    /// Plans a fault for the operation of this number; the first is 0.
    pub fn plan(&self, operation: u64, fault: Fault) {
        self.world().faults.insert(operation, fault);
    }

    /// No fault that is still planned comes true.
    pub fn forgive(&self) {
        self.world().faults.clear();
    }

    /// How many operations have changed something, or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Limits the bytes that fit on the disk.
    pub fn set_capacity(&self, bytes: u64) {
        self.world().capacity = bytes;
    }

    /// A disk of its own with what a power loss now would leave; the seed
    /// decides which unsynced parts survive. This disk stays as it is.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let world = self.world();
        let mut random = Seeded::new(seed);
        let keep = *random.pick(&[0.0, 0.5, 0.9, 1.0]);
        let mut names = world.durable_names.clone();
        for change in &world.name_changes {
            if random.chance(keep) {
                change.apply(&mut names);
            }
        }
        let inodes = world.inodes.iter().map(|inode| inode.after_power_loss(&mut random)).collect();
        Self::of(inodes, names, random)
    }

    /// The bytes of a file, as a reader sees them now.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(name).map(|inode| world.inodes[*inode].live().to_vec())
    }

    /// Replaces the bytes of a file behind everybody's back, durably: damage.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let inode = world.names[name];
        let mut bytes = world.inodes[inode].live().to_vec();
        change(&mut bytes);
        world.inodes[inode] = Inode::durable(bytes);
    }

    fn of(inodes: Vec<Inode>, names: BTreeMap<String, usize>, random: Seeded) -> Self {
        Self(Arc::new(Mutex::new(World {
            inodes,
            durable_names: names.clone(),
            names,
            name_changes: Vec::new(),
            faults: BTreeMap::new(),
            operations: 0,
            power: true,
            capacity: u64::MAX,
            random,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inode: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode })
    }
}

impl World {
    /// Counts an operation and says what goes wrong with it.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        self.powered()?;
        let fault = self.faults.remove(&self.operations);
        self.operations += 1;
        self.power = fault != Some(Fault::PowerLoss);
        Ok(fault)
    }

    fn powered(&self) -> io::Result<()> {
        if self.power { Ok(()) } else { Err(io::Error::other("the simulated power is off")) }
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        self.powered()?;
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn change_name(&mut self, change: NameChange) -> io::Result<()> {
        let fault = self.begin()?;
        if matches!(fault, None | Some(Fault::PowerLoss)) {
            change.apply(&mut self.names);
            self.name_changes.push(change);
        }
        failed(fault)
    }

    fn free(&self) -> u64 {
        let used: usize = self.names.values().map(|inode| self.inodes[*inode].live().len()).sum();
        self.capacity.saturating_sub(used as u64)
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

fn failed(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::PowerLoss) => Err(io::Error::other("the simulated power went off")),
        Some(Fault::Error) => Err(io::Error::other("a simulated I/O error")),
        Some(Fault::Full) => Err(ErrorKind::StorageFull.into()),
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let world = self.world();
        world.powered()?;
        Ok(world.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.world().inode(name)?;
        Ok(self.file(inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        if world.inode(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::durable(Vec::new()));
        world.change_name(NameChange::Set(name.to_owned(), inode))?;
        drop(world);
        Ok(self.file(inode))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.inode(name)?;
        world.change_name(NameChange::Remove(name.to_owned()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        let inode = world.inode(from)?;
        world.change_name(NameChange::Rename(from.to_owned(), to.to_owned(), inode))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut world = self.world();
        let fault = world.begin()?;
        if fault.is_none() {
            world.durable_names = world.names.clone();
            world.name_changes.clear();
        }
        failed(fault)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let world = self.world();
        world.powered()?;
        Ok(world.free())
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl DiskFile for SimFile {
    fn len_bytes(&self) -> io::Result<u64> {
        let world = self.disk.world();
        world.powered()?;
        Ok(world.inodes[self.inode].live().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.disk.world();
        world.powered()?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = world.inodes[self.inode].live().get(start..start + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let fault = world.begin()?;
        let grown = (offset + bytes.len() as u64).saturating_sub(world.inodes[self.inode].live().len() as u64);
        let short = grown.saturating_sub(world.free());
        let full = fault.is_none() && short > 0;
        let written = match fault {
            Some(Fault::Error | Fault::Full) => world.random.below(bytes.len() + 1),
            _ => bytes.len() - usize::try_from(short).map_or(bytes.len(), |short| short.min(bytes.len())),
        };
        world.inodes[self.inode].write(offset, &bytes[..written]);
        failed(if full { Some(Fault::Full) } else { fault })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        let fault = world.begin()?;
        let World { inodes, random, .. } = &mut *world;
        match fault {
            None => inodes[self.inode].sync(),
            Some(Fault::PowerLoss) => {}
            Some(Fault::Error | Fault::Full) => inodes[self.inode].fail_sync(random),
        }
        failed(fault)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        let fault = world.begin()?;
        match fault {
            None => {
                world.inodes[self.inode].begin_truncate(len);
                world.inodes[self.inode].sync();
            }
            Some(Fault::PowerLoss) => world.inodes[self.inode].begin_truncate(len),
            Some(Fault::Error | Fault::Full) => {}
        }
        failed(fault)
    }
}

#[cfg(test)]
mod tests;
