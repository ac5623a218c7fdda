//! Schedules: each time once, across restarts, downtime and clocks that jump.

use serde_json::json;

use crate::world::{Host, ManualClock, test, until};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

fn scheduled(schedule: &str) -> String {
    format!(
        "version: 1\nid: tick\nname: Tick\ntrigger: {{ schedule: {{ {schedule} }} }}\nsteps:\n  - {{ id: a, transform: \"{{{{ trigger.local }}}}\" }}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_schedule_starts_its_flow_at_local_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-03-27T10:00:00Z");
    let host = Host::start(folder.path(), &clock);
    host.publish(&scheduled("cron: \"0 9 * * *\", zone: Europe/Berlin")).await;
    let next: Vec<String> = host.schedule("tick").next.into_iter().map(|next| next.local).collect();
    let wanted = ["2026-03-28T09:00:00+01:00", "2026-03-29T09:00:00+02:00", "2026-03-30T09:00:00+02:00"];
    assert_eq!(next, wanted);

    clock.set("2026-03-28T07:59:59.999Z");
    clock.pass(1);
    clock.set("2026-03-28T08:00:00Z");
    host.events("tick", 1).await;
    clock.set("2026-03-29T07:00:10Z");
    let events = host.events("tick", 2).await;
    assert_eq!(
        events,
        [
            json!({
                "nominal": "2026-03-28T08:00:00.000Z", "local": "2026-03-28T09:00:00+01:00",
                "zone": "Europe/Berlin", "previous": null, "missed": 0
            }),
            json!({
                "nominal": "2026-03-29T07:00:00.000Z", "local": "2026-03-29T09:00:00+02:00",
                "zone": "Europe/Berlin", "previous": "2026-03-28T08:00:00.000Z", "missed": 0
            }),
        ]
    );
    let view = host.schedule("tick");
    let last = host.runs("tick").pop().expect("a run");
    assert_eq!((view.last_run, view.missed, view.note), (Some(last.id), 0, None));
    assert_eq!(view.last.expect("a last time").local, "2026-03-29T09:00:00+02:00");
}

/// The host is down for three hours and ten minutes, with a time every hour.
async fn after_downtime(missed: &str) -> (Vec<u64>, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T00:30:00Z");
    let before = Host::start(folder.path(), &clock);
    before.publish(&scheduled(&format!("cron: \"0 * * * *\", missed: {missed}"))).await;
    clock.set("2026-05-01T01:00:00Z");
    before.events("tick", 1).await;
    before.crash().await;
    clock.set("2026-05-01T04:10:00Z");
    let after = Host::start(folder.path(), &clock);
    let dealt_with = || {
        let view = after.schedule("tick");
        (view.next[0].local == "2026-05-01T05:00:00+00:00" && after.runs("tick").len() as u64 + view.missed == 4)
            .then_some(view)
    };
    let view = until("the missed times are dealt with", dealt_with).await;
    let runs = after.runs("tick").len();
    // The time after that comes as always, and nothing came between.
    clock.set("2026-05-01T05:00:00Z");
    let events = after.events("tick", runs + 1).await;
    (events.iter().map(|event| event["missed"].as_u64().expect("a number")).collect(), view.missed)
}

#[tokio::test(start_paused = true)]
async fn missed_times_follow_the_policy() {
    assert_eq!(after_downtime("skip").await, (vec![0, 3], 3));
    assert_eq!(after_downtime("once").await, (vec![0, 2, 0], 2));
    assert_eq!(after_downtime("all").await, (vec![0, 0, 0, 0, 0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_time_starts_its_flow_once_across_crashes_and_a_clock_set_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T00:30:00Z");
    let mut host = Host::start(folder.path(), &clock);
    host.publish(&scheduled("cron: \"0 * * * *\", missed: all")).await;
    for hour in 1..6 {
        clock.set(&format!("2026-05-01T0{hour}:00:00Z"));
        host.events("tick", hour).await;
        host.crash().await;
        // Set back behind the time that was just dealt with.
        clock.set(&format!("2026-05-01T0{}:59:00Z", hour - 1));
        host = Host::start(folder.path(), &clock);
        let note = host.schedule("tick").note.expect("it is explained");
        assert_eq!(note.problem.code, "clock-set-back");
        clock.pass(2 * MINUTE_MS);
    }
    let events = host.events("tick", 5).await;
    let nominal: Vec<_> =
        events.iter().map(|event| event["nominal"].as_str().expect("a text")[11..16].to_owned()).collect();
    assert_eq!(nominal, ["01:00", "02:00", "03:00", "04:00", "05:00"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_a_day_is_bounded_and_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T00:00:00Z");
    let host = Host::start(folder.path(), &clock);
    host.publish(&scheduled("every: 1m, missed: all")).await;
    clock.pass(DAY_MS);
    // A day has 1,440 minutes.
    let view = until("the day is made up for", || Some(host.schedule("tick")).filter(|view| view.note.is_some())).await;
    assert_eq!((view.missed, view.note.expect("a note").problem.code.as_str()), (440, "times-missed"));
    let events = host.events("tick", 1_000).await;
    assert_eq!((&events[0]["missed"], &events[1]["missed"]), (&json!(440), &json!(0)));

    // Back to the right time: nothing happens twice, and tomorrow it goes on.
    clock.set("2026-05-01T00:05:00Z");
    until("it is explained", || host.schedule("tick").note.filter(|note| note.problem.code == "clock-set-back")).await;
    clock.set("2026-05-02T00:01:00Z");
    host.events("tick", 1_001).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_by_a_year_does_not_silence_a_schedule() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2027-05-01T00:00:00Z");
    let host = Host::start(folder.path(), &clock);
    host.publish(&scheduled("every: 1h")).await;
    clock.pass(HOUR_MS);
    host.events("tick", 1).await;
    clock.set("2026-05-01T00:00:00Z");
    let note = until("it begins anew", || host.schedule("tick").note).await;
    assert_eq!(note.problem.code, "clock-set-back");
    until("it has a time soon", || (host.schedule("tick").next[0].local == "2026-05-01T01:00:00+00:00").then_some(()))
        .await;
    clock.pass(HOUR_MS);
    let last =
        until("it starts again", || host.schedule("tick").last.filter(|last| last.local.starts_with("2026"))).await;
    assert_eq!(last.local, "2026-05-01T01:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn publishing_again_goes_on_and_another_schedule_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T00:00:00Z");
    let host = Host::start(folder.path(), &clock);
    host.publish(&scheduled("every: 10m")).await;
    clock.pass(4 * MINUTE_MS);
    host.publish(&scheduled("every: 10m").replace("name: Tick", "name: Tock")).await;
    assert_eq!(host.schedule("tick").next[0].local, "2026-05-01T00:10:00+00:00");
    host.publish(&scheduled("every: 20m")).await;
    assert_eq!(host.schedule("tick").next[0].local, "2026-05-01T00:24:00+00:00");
    clock.pass(20 * MINUTE_MS);
    host.events("tick", 1).await;

    let by_hand = "version: 1\nid: tick\nname: Tick\ntrigger: { manual: {} }\nsteps:\n  - { id: a, transform: 1 }\n";
    host.publish(by_hand).await;
    clock.pass(DAY_MS);
    host.publish(&by_hand.replace("id: tick", "id: other")).await;
    host.publish(&scheduled("every: 1s").replace("id: tick", "id: quick")).await;
    clock.pass(1_000);
    host.events("quick", 1).await;
    assert_eq!(host.runs("tick").len(), 1, "it is started by hand now");
}

#[tokio::test(start_paused = true)]
async fn many_flows_of_one_minute_all_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T08:59:00Z");
    let host = Host::start(folder.path(), &clock);
    let flows: Vec<String> = (0..300).map(|number| format!("tick-{number}")).collect();
    for flow in &flows {
        let document = scheduled("cron: \"0 9 * * *\", missed: skip").replace("id: tick", &format!("id: {flow}"));
        host.publish(&document).await;
    }
    clock.pass(MINUTE_MS);
    for flow in &flows {
        host.events(flow, 1).await;
    }
    clock.pass(DAY_MS);
    for flow in &flows {
        host.events(flow, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_a_schedule_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at("2026-05-01T00:00:00Z");
    let full = Host::with_queue(folder.path(), &clock, 0);
    full.engine.run().expect("running");
    full.publish(&scheduled("every: 1m")).await;
    clock.pass(MINUTE_MS);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(full.runs("tick").len(), 0);
    full.crash().await;
    let roomy = Host::start(folder.path(), &clock);
    roomy.events("tick", 1).await;
    assert_eq!(roomy.schedule("tick").missed, 0);
    assert_eq!(roomy.engine.flows().expect("readable")[0].environment, test());
}
