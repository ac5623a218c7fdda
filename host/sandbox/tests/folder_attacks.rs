//! Attacks on granted folders through a real component: spellings, links, strange files,
//! floods, and somebody who changes the folder all the time while the guest works in it.
//!
//! The judges are canaries beside the folder: never read, never changed, nothing made.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Limits;
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use testkit::Torture;

mod support;
use support::{World, output};

const CANARY: &str = "canary-4f1d";

/// Files and folders beside the granted one, and how they must stay.
struct Canaries {
    folder: PathBuf,
    before: Vec<String>,
}

impl Canaries {
    fn beside(world: &World) -> Self {
        let folder = world.home.path().join("outside");
        fs::create_dir_all(folder.join("sub")).expect("made");
        for file in ["secret.txt", "sub/secret.txt", "twin.txt"] {
            fs::write(folder.join(file), format!("{CANARY} {file}")).expect("written");
        }
        let before = seen(&folder);
        Self { folder, before }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("secret.txt")
    }

    fn check(&self) {
        assert_eq!(seen(&self.folder), self.before, "what lies outside was changed");
    }
}

/// Every name below the folder, with its content.
fn seen(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            lines.extend(seen(&path));
        }
        let meta = fs::symlink_metadata(&path).expect("there");
        let content = fs::read_to_string(&path).unwrap_or_default();
        lines.push(format!("{} {:o} {} {content}", path.display(), meta.mode(), meta.ino()));
    }
    lines.sort();
    lines
}

/// `%20` for what would end a word of the guest's commands.
fn quoted(path: &str) -> String {
    let quote = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    path.bytes().map(quote).collect()
}

/// What each operation says of a path.
async fn tried(world: &World, path: &str) -> Vec<String> {
    let path = quoted(path);
    let commands = format!(
        "read {path};list {path};write {path} owned;append {path} owned;rename {path} inbox/moved;\
         rename inbox/there.txt {path}"
    );
    let report = world.invoke("files", &commands).await;
    assert!(!format!("{report:?}").contains(CANARY), "{path}: {report:?}");
    let text: String = serde_json::from_str(output(&report)).expect("a text");
    text.split(';').map(str::to_owned).collect()
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out() {
    let world = World::new().await;
    let canaries = Canaries::beside(&world);
    fs::write(world.inbox().join("there.txt"), "there").expect("written");
    let (home, long) = (world.home.path().display(), "a".repeat(256));
    let mut paths: Vec<String> = [
        "",
        "/",
        ".",
        "..",
        "../",
        "./..",
        "...",
        "~",
        "~root",
        "inbox/..",
        "inbox/../",
        "inbox/.",
        "inbox/./",
        "inbox/",
        "inbox//",
        "/inbox",
        "./inbox",
        "//inbox/x",
        "inbox/../outside/secret.txt",
        "inbox/./../outside/secret.txt",
        "inbox/a/../../outside/secret.txt",
        "inbox/a/./../../outside/secret.txt",
        "inbox//../outside/secret.txt",
        "../outside/secret.txt",
        "inbox/../../../../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "inbox//etc/passwd",
        "inbox/\0",
        "inbox/x\0/../../outside/secret.txt",
        "inbox/there.txt\0.png",
        "\0",
        "inbox/a\nb",
        "inbox/\u{7f}",
        "inbox/\u{85}",
        "inbox/.sluicegate-0.tmp",
        "inbox/.sluicegate-",
        "outside/secret.txt",
        "INBOX/there.txt",
        "Inbox/there.txt",
        "inbox./there.txt",
        "inbox /there.txt",
        "\u{ff49}nbox/there.txt",
        "inbox\u{200b}/there.txt",
        "inbox\\there.txt",
        "C:\\inbox\\there.txt",
        "\\\\host\\share",
        "file:///etc/passwd",
        "inbox:there.txt",
    ]
    .map(str::to_owned)
    .into();
    paths.push(format!("{home}/outside/secret.txt"));
    paths.push(format!("inbox/{home}/outside/secret.txt"));
    paths.push(format!("inbox/{long}"));
    paths.push(format!("inbox{}", "/d".repeat(33)));
    paths.push(format!("inbox{}", "/..".repeat(40)));
    let mut attempts = 0;
    for path in &paths {
        for said in tried(&world, path).await {
            assert!(["invalid", "denied"].contains(&said.as_str()), "{path:?}: {said}");
            attempts += 1;
        }
    }
    canaries.check();
    assert_eq!(names(&world.inbox()), ["there.txt"], "nothing came, nothing went");
    println!("{attempts} attempts over {} spellings, 0 led out", paths.len());
}

/// What looks like a way out to others, and is a plain name here, stays inside.
#[tokio::test]
async fn names_that_mean_something_elsewhere_are_names() {
    let world = World::new().await;
    let canaries = Canaries::beside(&world);
    let long = "a".repeat(255);
    let deep = format!("d{}", "/d".repeat(31));
    let odd = [
        "..\\..\\outside",
        "%2e%2e",
        "%2e%2e%2foutside",
        "...",
        ".. ",
        " ..",
        "..\u{200b}",
        "\u{2024}\u{2024}",
        "CON",
        "a:b",
        "-rf",
        "$HOME",
        "*",
        "\u{202e}txt",
        "e\u{301}",
        "\u{e9}",
        "A",
        "a",
        long.as_str(),
        deep.as_str(),
    ];
    for (number, name) in odd.iter().enumerate() {
        let path = quoted(&format!("inbox/{name}"));
        let report = world.invoke("files", &format!("write {path} {number};read {path};append {path} x")).await;
        assert_eq!(output(&report), format!("\"ok;{number};ok\""), "{name:?}");
        let content = fs::read_to_string(world.inbox().join(name)).expect("just there");
        assert_eq!(content, format!("{number}x"), "{name:?}");
    }
    canaries.check();
    assert_eq!(names(&world.inbox()).len(), odd.len(), "each has a file of its own");
}

#[tokio::test]
async fn nothing_but_plain_files_is_there() {
    let world = World::new().await;
    let canaries = Canaries::beside(&world);
    let inbox = world.inbox();
    let make = |name: &str| inbox.join(name);
    let mut strange = 0;
    for (name, to) in [
        ("link", canaries.file()),
        ("link-up", PathBuf::from("../outside/secret.txt")),
        ("link-to-folder", canaries.folder.clone()),
        ("link-to-self", PathBuf::from("link-to-self")),
        ("link-inside", PathBuf::from("there.txt")),
        ("link-here", PathBuf::from(".")),
        ("link-to-nothing", canaries.folder.join("new.txt")),
        ("proc-root", PathBuf::from("/proc/self/root")),
        ("proc-cwd", PathBuf::from("/proc/self/cwd")),
        ("proc-fd", PathBuf::from("/proc/self/fd/0")),
        ("proc-mem", PathBuf::from("/proc/self/mem")),
        ("dev-zero", PathBuf::from("/dev/zero")),
    ] {
        symlink(to, make(name)).expect("linked");
        strange += 1;
    }
    fs::hard_link(canaries.folder.join("twin.txt"), make("twin")).expect("linked");
    mknodat(CWD, make("pipe"), FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
    let _socket = UnixListener::bind(make("socket")).expect("a socket");
    strange += 3;
    // Only root makes devices, and not in every container.
    for (name, kind, device) in [("zero", FileType::CharacterDevice, (1, 5)), ("disk", FileType::BlockDevice, (7, 0))] {
        match mknodat(CWD, make(name), kind, Mode::RWXU, rustix::fs::makedev(device.0, device.1)) {
            Ok(()) => strange += 1,
            Err(error) => println!("no {name} device here: {error}"),
        }
    }
    fs::write(make("there.txt"), "there").expect("written");
    fs::write(inbox.join(OsStr::from_bytes(b"\xff\xfe.txt")), "no text").expect("a name that is not UTF-8");
    let all: Vec<String> = names(&inbox).into_iter().filter(|name| name != "there.txt" && name != "?").collect();
    assert_eq!(all.len(), strange);
    for name in &all {
        for path in [format!("inbox/{name}"), format!("inbox/{name}/secret.txt"), format!("inbox/{name}/there.txt")] {
            let said = tried(&world, &path).await;
            let exists = |said: &str| said == "exists" && path == format!("inbox/{name}");
            assert!(said.iter().all(|said| said == "invalid" || exists(said)), "{path}: {said:?}");
        }
    }
    let report = world.invoke("files", "list inbox;read shelf/there.txt;write shelf/there.txt x").await;
    assert_eq!(output(&report), "\"there.txt;there;denied\"");
    canaries.check();
}

#[tokio::test]
async fn a_call_changes_so_many_files_and_no_more() {
    let world = World::new().await;
    let report = world.invoke("files", "many 1000 inbox/f;write inbox/one-more x;read inbox/f999").await;
    assert_eq!(output(&report), "\"ok;limit file_changes;\"");
    assert_eq!(names(&world.inbox()).len(), 1_000);
    let fails = std::iter::repeat_n("rename inbox/none inbox/f0", 1_001).collect::<Vec<_>>().join(";");
    let report = world.invoke("files", &format!("{fails};nonsense")).await;
    assert_eq!(support::failure(&report), &support::limit("file_changes", 1_000), "and it is why it failed");
}

/// A file is written whole or not at all, and what is appended stays together, whoever
/// else writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_the_same_time_do_not_mix() {
    let world = Arc::new(World::new().await);
    let calls: Vec<_> = (0..4)
        .map(|writer| {
            let world = Arc::clone(&world);
            let whole = writer.to_string().repeat(900);
            let commands = format!(
                "lines 20 inbox/log w{writer};write inbox/whole {whole};read inbox/whole;lines 20 inbox/log v{writer}"
            );
            tokio::spawn(async move { output(&world.invoke("files", &commands).await).to_owned() })
        })
        .collect();
    for call in calls {
        let text = call.await.expect("no panic");
        let whole = text.split(';').nth(2).expect("three answers");
        assert!(whole.len() == 900 && whole.bytes().all(|byte| byte == whole.as_bytes()[0]), "mixed: {whole}");
    }
    let log = fs::read_to_string(world.inbox().join("log")).expect("read");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 160, "each line once and whole");
}

/// Calls and exchanges of each seed.
const CALLS: usize = 6;
const SWAPS: u64 = 1_500;

/// While the guest works at one place, that place is exchanged for everything that could
/// lead out of the folder. Not for hard links: see `folders`.
#[test]
fn tortured_folders() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut torture = Torture::new("tortured_folders", 2);
    torture.each(|torture, _seed| runtime.block_on(race(torture)));
    torture.finish();
}

async fn race(torture: &mut Torture) {
    let world = World::new().await;
    let canaries = Canaries::beside(&world);
    let racer = Racer::start(world.inbox().join("spot"), world.home.path().join("staging"), &canaries);
    let limits = Limits { wall_ms: 60_000, cpu_ms: 20_000, ..Limits::default() };
    let mut calls = 0;
    while calls < CALLS || racer.swaps() < SWAPS {
        let report = world.invoke_with("files", "race 60 inbox/spot", limits).await;
        assert!(!format!("{report:?}").contains(CANARY), "what lies outside was read: {report:?}");
        let text: String = serde_json::from_str(output(&report)).expect("a text");
        for entry in text.split('|') {
            let (said, times) = entry.rsplit_once('=').expect("a count");
            let refused = ["invalid", "not-found", "exists"].iter().any(|word| said.ends_with(word));
            let times = times.parse().expect("a number");
            torture.add(if refused { "refused" } else { "done" }, times);
        }
        canaries.check();
        calls += 1;
    }
    torture.add("swaps", racer.stop());
    canaries.check();
    assert_eq!(names(&canaries.folder), ["secret.txt", "sub", "twin.txt"]);
}

/// Changes one place all the time.
struct Racer {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Racer {
    fn start(spot: PathBuf, staging: PathBuf, canaries: &Canaries) -> Self {
        fs::create_dir(&staging).expect("made");
        fs::write(&spot, "plain").expect("written");
        let targets = [
            canaries.file(),
            canaries.folder.clone(),
            canaries.folder.join("new.txt"),
            PathBuf::from("../outside"),
            PathBuf::from("/proc/self/root"),
            PathBuf::from("/proc/self/cwd"),
        ];
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, swaps) = (Arc::clone(&stop), Arc::clone(&swaps));
            move || {
                for round in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let thing = staging.join("thing");
                    make(&thing, &targets, round);
                    // Both may be there, or the guest has moved one away.
                    if renameat_with(CWD, &thing, CWD, &spot, RenameFlags::EXCHANGE).is_err() {
                        let _ = fs::rename(&thing, &spot);
                    }
                    remove(&thing);
                    if round % 3 == 0 {
                        remove(&spot);
                    }
                    swaps.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { stop, swaps, thread }
    }

    fn swaps(&self) -> u64 {
        self.swaps.load(Ordering::SeqCst)
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("no panic");
        self.swaps.load(Ordering::SeqCst)
    }
}

fn make(thing: &Path, targets: &[PathBuf], round: usize) {
    match round % 7 {
        0 => fs::write(thing, "plain").expect("written"),
        1 => {
            fs::create_dir(thing).expect("made");
            fs::write(thing.join("secret.txt"), "mine").expect("written");
        }
        4 => mknodat(CWD, thing, FileType::Fifo, Mode::RWXU, 0).expect("a pipe"),
        _ => symlink(&targets[round % targets.len()], thing).expect("linked"),
    }
}

fn remove(thing: &Path) {
    // The guest moves it, or puts something into it, at any time.
    for _ in 0..100 {
        let gone = match fs::symlink_metadata(thing) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(thing),
            Ok(_) => fs::remove_file(thing),
            Err(_) => return,
        };
        if gone.is_ok() {
            return;
        }
    }
}

/// The names in a folder, sorted; `?` for one that is no text.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap_or_else(|_| "?".to_owned())).collect();
    names.sort();
    names
}
