//! A thousand hostile calls in one host leave it as it was: no descriptor, no task, no
//! thread, no memory. In a program of its own, since all of these belong to the process.

#![allow(clippy::panic, reason = "tests")]

mod process;

use std::sync::Arc;
use std::time::Duration;

use guest_tests::{Act, Stage};
use model::Failure;
use sandbox::{Answer, Report};
use testkit::{Seeded, Torture};
use tokio::sync::Mutex;

use process::{Look, descriptors};

/// Calls of each seed, at the same time.
const AT_ONCE: usize = 4;
/// A thousand calls.
const SEEDS: u64 = 250;
/// Seeds after which everything that is made once has been made: each guest has been
/// loaded.
const WARM_UP: u64 = 120;
/// Seeds after which each slot of a small pool has had each guest.
const WARM_UP_POOL: u64 = 200;
/// Idle slots of a small pool.
const WARM_SLOTS: u32 = 4;
/// What a slot of the pool keeps of a call, in KiB, with its tables.
const KEPT_KIB_MAX: u64 = (4 << 10) + 512;
/// What the host may grow by with a thousand calls.
const GROWTH_KIB_MAX: u64 = 1 << 10;
/// Thousands of calls that are made before growth is called a leak.
const ROUNDS: usize = 3;
/// Looks until what a call leaves to its runtime is put away: connections, timers, and
/// threads for files, which live on for ten seconds.
const LOOKS: u32 = 800;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// Looks that must be alike before nothing more is expected: four times what an unused
/// connection is kept.
const ALIKE: u32 = 80;

/// One test at a time: what is looked at is the whole process's.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A guest, how it is called, and what must become of it.
struct Hostile {
    guest: &'static str,
    shape: for<'s> fn(Act<'s>, &'s Stage) -> Act<'s>,
    wanted: &'static str,
}

const SMALL: &str = "output_bytes = 100000\nrequest_bytes = 100000\nfile_bytes = 0";

#[rustfmt::skip]
static HOSTILE: [Hostile; 30] = [
    Hostile { guest: "spin", shape: |act, _| act.limits("cpu_ms = 20"), wanted: "cpu_ms" },
    Hostile { guest: "spin-in-bulk", shape: |act, _| act.limits("cpu_ms = 20"), wanted: "cpu_ms" },
    Hostile { guest: "tail-calls", shape: |act, _| act.limits("cpu_ms = 20"), wanted: "cpu_ms" },
    Hostile { guest: "sleep", shape: |act, _| act.limits("wall_ms = 20"), wanted: "wall_ms" },
    Hostile {
        guest: "await-stalled",
        shape: |act, stage| act.limits("wall_ms = 60").text(&stage.receiver.origin()),
        wanted: "wall_ms",
    },
    Hostile { guest: "grow-memory", shape: |act, _| act.limits("memory_bytes = 16777216"), wanted: "memory_bytes" },
    Hostile { guest: "grow-table", shape: |act, _| act, wanted: "table_elements" },
    Hostile { guest: "hoard-tables", shape: |act, _| act, wanted: "answered" },
    Hostile { guest: "hoard-handles", shape: |act, _| act, wanted: "handles" },
    Hostile { guest: "recurse", shape: |act, _| act, wanted: "stack_bytes" },
    Hostile { guest: "panic", shape: |act, _| act.input("7"), wanted: "crashed" },
    Hostile { guest: "trap", shape: |act, _| act, wanted: "crashed" },
    Hostile { guest: "exit", shape: |act, _| act, wanted: "crashed" },
    Hostile { guest: "trap-after-answer", shape: |act, _| act, wanted: "crashed" },
    Hostile { guest: "wild-answers", shape: |act, _| act.text("a"), wanted: "crashed" },
    Hostile { guest: "wild-calls", shape: |act, _| act.text("i"), wanted: "crashed" },
    Hostile { guest: "lying-realloc", shape: |act, _| act.text("f"), wanted: "crashed" },
    Hostile { guest: "huge-output", shape: |act, _| act.limits(SMALL).input("5000000"), wanted: "host_call_bytes" },
    Hostile {
        guest: "list-bomb",
        shape: |act, stage| act.limits(SMALL).text(&stage.receiver.origin()),
        wanted: "host_call_bytes",
    },
    Hostile {
        guest: "request-flood",
        shape: |act, stage| act.limits("requests = 5").text(&stage.receiver.origin()),
        wanted: "requests",
    },
    Hostile {
        guest: "huge-request",
        shape: |act, stage| act.limits("request_bytes = 100000").text(&stage.receiver.origin()),
        wanted: "url_bytes",
    },
    Hostile { guest: "forbidden-headers", shape: |act, stage| act.text(&stage.receiver.origin()), wanted: "answered" },
    Hostile { guest: "wasi-sockets", shape: |act, stage| act.input(stage.receiver.port().to_string()), wanted: "answered" },
    Hostile { guest: "leave-behind", shape: |act, _| act, wanted: "answered" },
    Hostile {
        guest: "hoard-streams",
        shape: |act, stage| act.limits("requests = 8").text(&format!("{}/bytes/100000", stage.receiver.origin())),
        wanted: "answered",
    },
    Hostile { guest: "drop-streams", shape: |act, stage| act.text(&stage.receiver.origin()), wanted: "answered" },
    Hostile { guest: "carry-files", shape: carry_files, wanted: "answered" },
    Hostile { guest: "disk-flood", shape: |act, _| act.limits("file_bytes = 30000"), wanted: "file_bytes" },
    Hostile { guest: "path-traversal", shape: |act, _| act, wanted: "answered" },
    Hostile {
        guest: "wasi-http",
        shape: |act, stage| act.text(&format!("POST {}/ a-body-in-pieces", stage.receiver.origin())),
        wanted: "answered",
    },
];

/// A download, one that is thrown away, one to nowhere, and an upload.
fn carry_files<'s>(act: Act<'s>, stage: &'s Stage) -> Act<'s> {
    let (origin, canary) = (stage.receiver.origin(), stage.canary.origin());
    let orders = [
        format!("get {origin}/bytes/50 inbox/carried.txt"),
        format!("get {origin}/status/500 inbox/thrown.txt"),
        format!("get {canary}/bytes/50 inbox/denied.txt"),
        format!("put {origin}/up inbox/carried.txt"),
    ];
    act.text(&orders.join(";"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_hostile_runs() {
    let _alone = ALONE.lock().await;
    // Slots keep what a call touched, and few of them have soon seen everything.
    let stage = Stage::open_with(|options| options.warm_slots = WARM_SLOTS).await;
    let images_max = stage.room_max();
    run("hostile-runs", stage, WARM_UP_POOL, images_max).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tortured_hostile_runs_without_a_pool() {
    let _alone = ALONE.lock().await;
    let stage = Stage::open_with(|options| options.pooled = false).await;
    run("hostile-runs-without-a-pool", stage, WARM_UP, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_took_is_given_back_as_it_ends() {
    const CALLS: u64 = 4;
    let _alone = ALONE.lock().await;
    let stage = Stage::open().await;
    let greedy = || stage.act("grow-memory").limits("memory_bytes = 268435456").run_alone();
    assert_eq!(became(&greedy().await), "memory_bytes");
    let before = settled(&stage, None).await;
    for _ in 0..CALLS {
        assert_eq!(became(&greedy().await), "memory_bytes");
    }
    let after = settled(&stage, Some(before)).await;
    let growth_kib = after.memory_kib.saturating_sub(before.memory_kib);
    assert!(growth_kib < CALLS * KEPT_KIB_MAX + GROWTH_KIB_MAX, "{before:?}, {after:?}");
    assert!(before.memory_kib < 64 << 10, "the first call's is there: {before:?}");
}

/// A thousand calls, after so many seeds. Images are as many as they were afterwards, or
/// at most so many.
async fn run(name: &'static str, stage: Stage, warm_up: u64, images_max: usize) {
    let (mut torture, stage) = (Torture::new(name, SEEDS), Arc::new(stage));
    for seed in 0..warm_up {
        batch(&stage, seed, &mut torture).await;
    }
    let before = settled(&stage, None).await;
    let open = descriptors();
    while let Some(seed) = torture.next_seed() {
        batch(&stage, seed, &mut torture).await;
    }
    stage.neighbour().await;
    let after = settled(&stage, Some(before)).await;
    torture.add("kib_before", before.memory_kib);
    torture.add("kib_after", after.memory_kib);
    torture.finish();
    let images_max = images_max.max(before.images);
    assert!(after.images <= images_max, "images leak: {before:?}, {after:?}");
    assert!(after.descriptors <= before.descriptors, "descriptors leak:\n{open:#?}\n{:#?}", descriptors());
    assert!(after.tasks <= before.tasks, "tasks leak: {before:?}, {after:?}");
    assert!(after.threads <= before.threads, "threads leak: {before:?}, {after:?}");
    let growths_kib = growths(&stage, after.memory_kib.saturating_sub(before.memory_kib)).await;
    let leaks = growths_kib.iter().all(|growth_kib| *growth_kib >= GROWTH_KIB_MAX);
    assert!(!leaks, "memory leaks, with every thousand calls: {growths_kib:?} KiB");
    assert_eq!(stage.canary.connections(), 0);
}

/// By how much the process grew with the calls so far, and, while that is too much, with
/// a thousand more: what leaks grows each time, what an allocator keeps does not.
async fn growths(stage: &Arc<Stage>, first_kib: u64) -> Vec<u64> {
    let mut growths_kib = vec![first_kib];
    while growths_kib.len() < ROUNDS && growths_kib.last().is_some_and(|growth_kib| *growth_kib >= GROWTH_KIB_MAX) {
        let before = settled(stage, None).await;
        let mut torture = Torture::new("hostile-runs-again", SEEDS);
        for seed in 0..SEEDS {
            batch(stage, seed, &mut torture).await;
        }
        let after = settled(stage, Some(before)).await;
        growths_kib.push(after.memory_kib.saturating_sub(before.memory_kib));
    }
    growths_kib
}

/// One seed's calls, side by side.
async fn batch(stage: &Arc<Stage>, seed: u64, torture: &mut Torture) {
    let mut chance = Seeded::new(seed);
    let calls: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (hostile, stage) = (chance.pick(&HOSTILE), stage.clone());
            (hostile, tokio::spawn(async move { (hostile.shape)(stage.act(hostile.guest), &stage).run_alone().await }))
        })
        .collect();
    for (Hostile { guest, wanted, .. }, call) in calls {
        match call.await.map(|report| became(&report)) {
            Ok(found) if found == *wanted => torture.count(wanted),
            Ok(found) => torture.fail(seed, format!("{guest}: {found} instead of {wanted}")),
            Err(panic) => torture.fail(seed, format!("{guest}: the host panicked: {panic}")),
        }
    }
    stage.receiver.forget();
}

fn became(report: &Report) -> String {
    match &report.outcome {
        Ok(Answer::Output(_)) => "answered".to_owned(),
        Err(Failure::LimitExceeded { which, .. }) => which.clone(),
        Err(Failure::Crashed { .. }) => "crashed".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The process when all is put away, which takes a moment; with an earlier look, when it
/// has no more than then, or after long enough.
async fn settled(stage: &Stage, earlier: Option<Look>) -> Look {
    let (mut look, mut alike) = (Look::now(), 0);
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let next = Look::now();
        let still = (next.descriptors, next.tasks, next.threads) == (look.descriptors, look.tasks, look.threads);
        alike = if still { alike + 1 } else { 0 };
        look = next;
        let quiet = match earlier {
            None => alike >= ALIKE && stage.free_room() == stage.room_max(),
            Some(earlier) => {
                look.descriptors <= earlier.descriptors
                    && look.tasks <= earlier.tasks
                    && look.threads <= earlier.threads
            }
        };
        if quiet {
            break;
        }
    }
    assert_eq!(stage.free_room(), stage.room_max(), "every place is given back");
    look
}
