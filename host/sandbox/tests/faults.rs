//! Connectors that break, hoard, spin and lie: one failure each, and no neighbour
//! notices.

use std::sync::Arc;

use model::{Failure, Limits};

mod support;
use support::{World, failure, limit, output};

#[tokio::test]
async fn limits_end_a_call_and_are_named() {
    let world = World::new().await;
    let small = Limits { wall_ms: 20_000, memory_bytes: 16 << 20, ..Limits::default() };
    // The others have time, however busy the machine is.
    let brief = Limits { cpu_ms: 50, ..small };
    let hasty = Limits { wall_ms: 50, ..Limits::default() };
    for (operation, input, limits, wanted) in [
        ("spin", "", brief, limit("cpu_ms", 50)),
        ("sleep", "", hasty, limit("wall_ms", 50)),
        ("spin", "", hasty, limit("wall_ms", 50)),
        ("memory", "", small, limit("memory_bytes", 16 << 20)),
        ("memory-tried", "", small, limit("memory_bytes", 16 << 20)),
        ("recurse", "", small, limit("stack_bytes", 512 << 10)),
        ("big", "2000000", Limits { output_bytes: 1_000_000, ..small }, limit("output_bytes", 1_000_000)),
    ] {
        let report = world.invoke_with(operation, input, limits).await;
        assert_eq!(failure(&report), &wanted, "{operation}: {report:?}");
        assert!(!report.sent && report.memory_bytes <= 64 << 20, "{operation}");
    }
    assert_eq!(output(&world.invoke("echo", "1").await), "1", "the sandbox still works");
}

#[tokio::test]
async fn what_it_hands_over_is_limited() {
    let world = World::new().await;
    let limits = Limits { request_bytes: 1_000, output_bytes: 1_000, file_bytes: 0, ..Limits::default() };
    let report = world.invoke_with("big", "2000000", limits).await;
    assert!(
        matches!(failure(&report), Failure::LimitExceeded { which, .. } if which == "host_call_bytes"),
        "{report:?}"
    );
    let report = world.invoke_with("huge-url", "2000000", limits).await;
    assert!(
        matches!(failure(&report), Failure::LimitExceeded { which, .. } if which == "host_call_bytes"),
        "{report:?}"
    );
    let report = world.invoke("huge-url", "20000").await;
    assert!(output(&report).contains("url_bytes"), "a refusal is an ordinary answer, with its limit: {report:?}");
}

#[tokio::test]
async fn a_crash_says_its_last_words() {
    let world = World::new().await;
    for (operation, wanted) in [("panic", "the sky fell on input"), ("exit", "exit code 1"), ("trap", "`unreachable`")]
    {
        let report = world.invoke(operation, "input").await;
        let Failure::Crashed { message } = failure(&report) else { panic!("{operation}: {report:?}") };
        assert!(message.contains(wanted), "{operation}: {message}");
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_no_error() {
    let world = World::new().await;
    let limits = Limits { log_bytes: 2_000, cpu_ms: 20_000, ..Limits::default() };
    let report = world.invoke_with("flood", "", limits).await;
    assert_eq!(output(&report), "null");
    assert!(report.log.len() < 100, "{} lines", report.log.len());
    let cuts = report.log.iter().filter(|line| line.message.contains("log_bytes = 2000")).count();
    assert_eq!(cuts, 1);
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_refused() {
    let world = World::new().await;
    let report = world.invoke("not-json", "").await;
    assert!(matches!(failure(&report), Failure::InvalidOutput { .. }), "{report:?}");
}

#[tokio::test]
async fn a_denial_overrules_what_the_connector_claims() {
    let world = World::new().await;
    let report = world.invoke("claim", "https://example.com/").await;
    assert!(matches!(failure(&report), Failure::PolicyDenied { .. }), "{report:?}");
    assert!(!report.sent && report.accesses.len() == 1 && !report.accesses[0].allowed, "{report:?}");

    let report = world.invoke("shrug", "https://example.com/").await;
    assert!(output(&report).contains("denied"), "a denial is an ordinary answer: {report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_finish_while_others_spin() {
    let world = Arc::new(World::new().await);
    let limits = Limits { cpu_ms: 300, wall_ms: 60_000, ..Limits::default() };
    let spinners: Vec<_> = (0..4)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.invoke_with("spin", "", limits).await })
        })
        .collect();
    let mut finished = 0;
    while spinners.iter().any(|spinner| !spinner.is_finished()) {
        assert_eq!(output(&world.invoke("echo", "1").await), "1");
        finished += 1;
    }
    for spinner in spinners {
        let report = spinner.await.expect("not even a panic");
        assert_eq!(failure(&report), &limit("cpu_ms", 300));
    }
    assert!(finished > 50, "only {finished} neighbours' calls finished");
}

#[tokio::test]
async fn a_dropped_call_frees_its_room() {
    let world = World::with(|options| options.calls_max = 1).await;
    for _ in 0..20 {
        let call = world.invoke("sleep", "");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), call).await.is_err());
    }
    assert_eq!(output(&world.invoke("echo", "1").await), "1");
}

#[tokio::test]
async fn a_full_sandbox_makes_calls_wait_and_then_says_so() {
    let world = World::with(|options| options.calls_max = 1).await;
    let hasty = Limits { wall_ms: 30, ..Limits::default() };
    let (long, refused) = tokio::join!(
        world.invoke_with("sleep", "", Limits { wall_ms: 300, ..Limits::default() }),
        world.invoke_with("echo", "1", hasty),
    );
    assert_eq!(failure(&long), &limit("wall_ms", 300));
    let Failure::Transient { message } = failure(&refused) else { panic!("{refused:?}") };
    assert!(message.starts_with("the host was busy with other calls for "), "{message}");
}

#[tokio::test]
async fn a_full_line_refuses_at_once_and_says_so() {
    let world = World::with(|options| (options.calls_max, options.waiting_max) = (1, 1)).await;
    let long = Limits { wall_ms: 400, ..Limits::default() };
    let (first, second, third) = tokio::join!(
        biased;
        world.invoke_with("sleep", "", long),
        world.invoke_with("echo", "2", Limits::default()),
        world.invoke_with("echo", "3", Limits::default()),
    );
    assert_eq!(failure(&first), &limit("wall_ms", 400));
    assert_eq!(output(&second), "2", "its turn came");
    let message = "the host was busy: calls under way 1, waiting for room 1".to_owned();
    assert_eq!(failure(&third), &Failure::Transient { message });
    assert!(!third.sent && third.memory_bytes == 0 && third.duration_us < first.duration_us);
    assert_eq!((world.sandbox.free_room(), world.sandbox.waiting()), (1, 0));
}

#[tokio::test]
async fn without_a_pool_the_same_limits_hold() {
    let world = World::with(|options| (options.calls_max, options.pooled) = (2, false)).await;
    assert_eq!(world.sandbox.calls_max(), 2);
    let small = Limits { memory_bytes: 16 << 20, ..Limits::default() };
    assert_eq!(failure(&world.invoke_with("memory", "", small).await), &limit("memory_bytes", 16 << 20));
    assert_eq!(output(&world.invoke("echo", "1").await), "1");
    for _ in 0..3 {
        assert_eq!(output(&world.invoke("leave", "").await), "0", "memory of another call was seen");
    }
}

#[tokio::test]
async fn no_more_calls_are_let_in_than_the_machine_has_room_for() {
    let world = World::with(|options| options.calls_max = 40_000).await;
    let room = world.sandbox.calls_max();
    assert!(room < 40_000, "processes have 128 TiB of addresses, and each call reserves 16 GiB");
    assert_eq!(world.sandbox.free_room(), room as usize);
    assert_eq!(output(&world.invoke("echo", "1").await), "1");
    assert_eq!(world.sandbox.free_room(), room as usize);
}
