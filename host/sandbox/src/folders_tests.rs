//! Folders on a real disk, with everything in them that does not belong there.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// More than any file here has.
const MOST: (&str, u64) = ("response_bytes", 100);

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

fn home() -> (tempfile::TempDir, Folder) {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("made");
    let folder = Folder::open(&home.path().join("in")).expect("opened");
    (home, folder)
}

fn kind(result: Result<impl Sized, FileError>) -> &'static str {
    match result.err() {
        None => "ok",
        Some(FileError::NotFound(_)) => "not found",
        Some(FileError::AlreadyExists(_)) => "exists",
        Some(FileError::Limit { .. }) => "limit",
        Some(FileError::InvalidPath(_)) => "invalid",
        Some(FileError::NoFolder(_)) => "no folder",
        Some(FileError::Failed(_)) => "failed",
    }
}

#[test]
fn writes_reads_appends_moves_and_lists() {
    let (home, folder) = home();
    folder.write(&path("in/a/b/c.txt"), b"one").expect("written, with its folders");
    folder.append(&path("in/a/b/c.txt"), b" two").expect("appended");
    folder.append(&path("in/new.txt"), b"made").expect("appended");
    assert_eq!(folder.read(&path("in/a/b/c.txt"), 2, 3, MOST).expect("read"), b"e t");
    assert_eq!(folder.read(&path("in/a/b/c.txt"), 99, 3, MOST).expect("read"), b"");
    folder.rename(&path("in/a/b/c.txt"), &path("in/z/d.txt")).expect("moved");
    let names: Vec<_> = folder.list(&path("in")).expect("listed").into_iter().map(|e| (e.name, e.is_folder)).collect();
    assert_eq!(names, [("a".to_owned(), true), ("new.txt".to_owned(), false), ("z".to_owned(), true)]);
    assert_eq!(fs::read(home.path().join("in/z/d.txt")).expect("read"), b"one two");
}

#[test]
fn a_draft_that_may_not_be_kept_leaves_nothing() {
    let (home, folder) = home();
    folder.write(&path("in/a"), b"old").expect("written");
    let draft = || {
        let mut draft = folder.draft(&path("in/a")).expect("made");
        draft.write(b"new").expect("written");
        draft
    };
    let late = FileError::Failed("too late".to_owned());
    assert_eq!(draft().keep(|| Err(late.clone())), Err(late));
    let names = || fs::read_dir(home.path().join("in")).expect("listed").count();
    assert_eq!((fs::read(home.path().join("in/a")).expect("read"), names()), (b"old".to_vec(), 1));
    draft().keep(|| Ok(())).expect("kept");
    assert_eq!((fs::read(home.path().join("in/a")).expect("read"), names()), (b"new".to_vec(), 1));
}

#[test]
fn failures_are_told_apart() {
    let (_home, folder) = home();
    folder.write(&path("in/a"), b"12345").expect("written");
    folder.write(&path("in/b"), b"").expect("written");
    assert_eq!(kind(folder.read(&path("in/none"), 0, 1, MOST)), "not found");
    assert_eq!(kind(folder.list(&path("in/none"))), "not found");
    assert_eq!(kind(folder.list(&path("in/a"))), "invalid");
    assert_eq!(kind(folder.rename(&path("in/a"), &path("in/b"))), "exists");
    assert_eq!(kind(folder.rename(&path("in/none"), &path("in/c"))), "not found");
    let limit = FileError::Limit { which: "memory_bytes", limit: 4 };
    assert_eq!(folder.read(&path("in/a"), 0, 5, ("memory_bytes", 4)), Err(limit));
    assert_eq!(kind(folder.write(&path("in/a/under"), b"")), "invalid");
    assert_eq!(kind(folder.write(&path("in"), b"")), "invalid");
}

#[test]
fn links_pipes_and_hard_links_do_not_exist() {
    let (home, folder) = home();
    let (secret, inside) = (home.path().join("secret"), home.path().join("in"));
    fs::create_dir(home.path().join("out")).expect("made");
    fs::write(&secret, b"secret").expect("written");
    symlink(&secret, inside.join("link")).expect("linked");
    symlink(home.path().join("out"), inside.join("way-out")).expect("linked");
    symlink("self", inside.join("self")).expect("linked");
    fs::hard_link(&secret, inside.join("twin")).expect("linked");
    let fifo = inside.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");

    for name in ["in/link", "in/self", "in/twin", "in/pipe", "in/way-out"] {
        assert_eq!(kind(folder.read(&path(name), 0, 9, MOST)), "invalid", "read {name}");
        assert_eq!(kind(folder.write(&path(name), b"x")), "invalid", "write {name}");
        assert_eq!(kind(folder.append(&path(name), b"x")), "invalid", "append {name}");
        assert_eq!(kind(folder.rename(&path(name), &path("in/moved"))), "invalid", "rename {name}");
    }
    for name in ["in/way-out/x", "in/self/x"] {
        assert_eq!(kind(folder.write(&path(name), b"x")), "invalid", "{name}");
        assert_eq!(kind(folder.list(&path(name))), "invalid", "{name}");
    }
    assert_eq!(folder.list(&path("in")).expect("listed"), []);
    assert_eq!(fs::read(&secret).expect("read"), b"secret");
    assert_eq!(fs::read_dir(home.path().join("out")).expect("listed").count(), 0);
}

#[test]
fn a_granted_folder_is_no_link() {
    let (home, _folder) = home();
    symlink(home.path().join("in"), home.path().join("alias")).expect("linked");
    fs::create_dir(home.path().join("in/below")).expect("made");
    fs::write(home.path().join("file"), b"").expect("written");
    for name in ["alias", "alias/below", "none", "file", "file/below"] {
        assert_eq!(kind(Folder::open(&home.path().join(name))), "no folder", "{name}");
    }
}
