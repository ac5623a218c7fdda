//! What this process has: memory, descriptors, threads, tasks.

use std::fs;

/// What wasmtime calls an image.
const IMAGE: &str = "wasm-memory-image";

/// A look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Memory of its own that is in use, without files, in KiB.
    pub(crate) memory_kib: u64,
    /// Without the images.
    pub(crate) descriptors: usize,
    /// Memories' first contents. A slot of the pool keeps that of its last guest.
    pub(crate) images: usize,
    pub(crate) threads: usize,
    pub(crate) tasks: usize,
}

impl Look {
    /// At this moment, in a runtime.
    pub(crate) fn now() -> Self {
        let (images, descriptors): (Vec<_>, Vec<_>) = descriptors().into_iter().partition(|name| name.contains(IMAGE));
        Self {
            memory_kib: memory_kib(),
            descriptors: descriptors.len(),
            images: images.len(),
            threads: entries("/proc/self/task"),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        }
    }
}

/// What the descriptors are, for whoever has to find out why there are more.
pub(crate) fn descriptors() -> Vec<String> {
    let links = fs::read_dir("/proc/self/fd").expect("Linux shows it").flatten();
    let mut names: Vec<String> =
        links.filter_map(|link| Some(fs::read_link(link.path()).ok()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("Linux shows it").count()
}

/// `Anonymous` of proc_pid_smaps(5).
fn memory_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux shows it");
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("a line of its own");
    line.trim().trim_end_matches(" kB").trim().parse().expect("a number")
}
