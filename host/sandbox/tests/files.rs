//! The `files` interface through a real component, a real grant and a real disk.

use model::{Failure, Limits};

mod support;
use support::{World, failure, limit, output};

#[tokio::test]
async fn works_in_granted_folders_and_records_it() {
    let world = World::new().await;
    let commands = "write inbox/a/b.txt one;append inbox/a/b.txt two;read inbox/a/b.txt;list inbox/a;\
                    rename inbox/a/b.txt inbox/c.txt;read shelf/c.txt;list shelf";
    let report = world.invoke("files", commands).await;
    assert_eq!(output(&report), "\"ok;ok;onetwo;b.txt;ok;onetwo;a+c.txt\"");
    assert!(report.sent, "a file may have changed");
    let seen: Vec<_> =
        report.accesses.iter().map(|a| (a.method.as_str(), a.target.as_str(), a.path.as_str())).collect();
    assert_eq!(seen[0], ("WRITE", "folder inbox", "a/b.txt"));
    assert_eq!(seen.len(), 7);
    assert!(report.accesses.iter().all(|access| access.allowed && access.error.is_none() && !access.rule.is_empty()));
    assert_eq!((report.accesses[0].sent_bytes, report.accesses[2].received_bytes), (3, 6));
}

#[tokio::test]
async fn reading_sends_nothing() {
    let world = World::new().await;
    std::fs::write(world.inbox().join("a"), "text").expect("written");
    let report = world.invoke("files", "read inbox/a;list inbox;read inbox/none").await;
    assert_eq!(output(&report), "\"text;a;not-found\"");
    assert!(!report.sent);
}

#[tokio::test]
async fn nothing_leads_out() {
    let world = World::new().await;
    let secret = world.home.path().join("secret");
    std::fs::write(&secret, "secret").expect("written");
    std::os::unix::fs::symlink(&secret, world.inbox().join("link")).expect("linked");
    std::os::unix::fs::symlink(world.home.path(), world.inbox().join("up")).expect("linked");
    std::fs::hard_link(&secret, world.inbox().join("twin")).expect("linked");
    for path in [
        "inbox/../secret",
        "../secret",
        "/etc/passwd",
        "inbox//secret",
        "inbox/link",
        "inbox/twin",
        "inbox/up/secret",
        "inbox/./link",
        "inbox/.sluicegate-0.tmp",
    ] {
        let commands = format!("read {path};write {path} x;append {path} x;rename {path} inbox/y");
        let report = world.invoke("files", &commands).await;
        assert_eq!(output(&report), "\"invalid;invalid;invalid;invalid\"", "{path}");
    }
    assert_eq!(std::fs::read_to_string(&secret).expect("read"), "secret");
}

#[tokio::test]
async fn what_is_not_granted_is_denied_on_record() {
    let world = World::new().await;
    for command in ["read attic/a", "write shelf/a x", "append shelf/a x", "rename shelf/a shelf/b"] {
        let report = world.invoke("files", command).await;
        assert_eq!(output(&report), "\"denied\"", "{command}");
        let access = &report.accesses[0];
        assert!(!access.allowed && access.fix.is_some() && !report.sent, "{command}: {access:?}");
    }
    let report = world.invoke("files", "read attic/a;nonsense").await;
    assert!(matches!(failure(&report), Failure::PolicyDenied { .. }), "{report:?}");
}

#[tokio::test]
async fn a_granted_folder_that_is_missing_is_for_the_administrator() {
    let world = World::new().await;
    std::fs::remove_dir(world.inbox()).expect("removed");
    let missing = world.invoke("files", "read inbox/a;write inbox/a x;nonsense").await;
    std::fs::write(world.inbox(), "a file").expect("written");
    let no_folder = world.invoke("files", "read inbox/a;nonsense").await;
    for (report, why) in [(missing, "does not exist"), (no_folder, "is no folder")] {
        let failure = failure(&report);
        let Failure::Unavailable { problem } = failure else { panic!("{failure:?}") };
        let path = world.inbox().display().to_string();
        assert!(problem.what.starts_with(&format!("the granted folder inbox ({path}) {why}")), "{problem}");
        assert!(problem.fix.as_ref().is_some_and(|fix| fix.contains(&path)) && !failure.may_pass(), "{problem}");
        assert!(!report.sent, "nothing was written");
    }
    // Whoever can go on without it may.
    let report = world.invoke("files", "read inbox/a").await;
    assert!(output(&report).contains("failed the granted folder is no folder"), "{report:?}");
    assert!(!output(&report).contains(&world.home.path().display().to_string()), "paths are not the guest's");
}

#[tokio::test]
async fn the_quota_holds_for_the_whole_call() {
    let world = World::new().await;
    let limits = Limits { file_bytes: 10, ..Limits::default() };
    let report = world.invoke_with("files", "write inbox/a 123456;append inbox/a 1234;write inbox/b x", limits).await;
    assert_eq!(output(&report), "\"ok;ok;limit file_bytes\"");
    let report = world.invoke_with("files", "write inbox/a 12345678901;nonsense", limits).await;
    assert_eq!(failure(&report), &limit("file_bytes", 10), "the limit is why it failed");
    assert_eq!(std::fs::read_to_string(world.inbox().join("a")).expect("read"), "1234561234");
}

#[tokio::test]
async fn operations_are_counted_whatever_they_do() {
    let world = World::new().await;
    let report = world.invoke("files", &["read inbox/none"; 10_001].join(";")).await;
    let told: Vec<&str> = output(&report).trim_matches('"').split(';').collect();
    assert_eq!((told.len(), told[9_999], told[10_000]), (10_001, "not-found", "limit file_operations"));
    assert_eq!(report.accesses.len(), 1_001, "a thousand, and how many more");
    let commands = format!("{};nonsense", ["read inbox/none"; 10_001].join(";"));
    let report = world.invoke("files", &commands).await;
    assert_eq!(failure(&report), &limit("file_operations", 10_000), "the limit is why it failed");
}
