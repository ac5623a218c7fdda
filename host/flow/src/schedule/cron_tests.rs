//! Cron against tables: what is read, what is refused, and the hours that daylight
//! saving leaves out and repeats, in zones of several habits.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::{Cron, first_instant};

/// The next times of an expression, in its zone.
fn check(cron: &str, zone: &str, after: &str, wanted: &[&str]) {
    let cron: Cron = cron.parse().expect("an expression");
    let rules = TimeZone::get(zone).expect("a zone");
    let mut at: Timestamp = after.parse().expect("a time");
    for (number, wanted) in wanted.iter().enumerate() {
        at = cron.next(&rules, at).expect("a further time");
        let local = at.to_zoned(rules.clone()).strftime("%Y-%m-%dT%H:%M%:z").to_string();
        assert_eq!(local, *wanted, "{cron} in {zone}, time {number}");
    }
}

#[test]
fn fields_mean_what_crontab_says() {
    let from = "2026-01-01T00:00:30Z";
    for (cron, wanted) in [
        ("* * * * *", ["2026-01-01T00:01+00:00", "2026-01-01T00:02+00:00"]),
        ("0 9 * * 1-5", ["2026-01-01T09:00+00:00", "2026-01-02T09:00+00:00"]),
        ("0 9 * * mon", ["2026-01-05T09:00+00:00", "2026-01-12T09:00+00:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00+00:00", "2026-01-11T00:00+00:00"]),
        ("0 0 * * fri-sun", ["2026-01-02T00:00+00:00", "2026-01-03T00:00+00:00"]),
        ("*/20 8-9 * * *", ["2026-01-01T08:00+00:00", "2026-01-01T08:20+00:00"]),
        ("5-59/30 * * * *", ["2026-01-01T00:05+00:00", "2026-01-01T00:35+00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00+00:00", "2032-02-29T00:00+00:00"]),
        ("0 0 31 * *", ["2026-01-31T00:00+00:00", "2026-03-31T00:00+00:00"]),
        // Either kind of day is enough when both are restricted, and both when one is not.
        ("0 0 13 * fri", ["2026-01-02T00:00+00:00", "2026-01-09T00:00+00:00"]),
        ("0 0 */2 * fri", ["2026-01-09T00:00+00:00", "2026-01-23T00:00+00:00"]),
        ("15,45 6,18 1 jan,JUL *", ["2026-01-01T06:15+00:00", "2026-01-01T06:45+00:00"]),
        ("@monthly", ["2026-02-01T00:00+00:00", "2026-03-01T00:00+00:00"]),
    ] {
        check(cron, "UTC", from, &wanted);
    }
    check("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00+00:00"]);
}

#[test]
fn what_cannot_be_read_or_never_fires_is_refused() {
    for (text, wanted) in [
        ("", "has 5 fields (minute hour day month weekday), this one has 0"),
        ("* * * *", "this one has 4"),
        ("0 0 9 * * 1", "this one has 6"),
        ("60 * * * *", "the minute \"60\" is not a number from 0 to 59"),
        ("* 24 * * *", "the hour \"24\" is not a number"),
        ("* * 0 * *", "the day \"0\" is not a number from 1 to 31"),
        ("* * * 13 *", "the month \"13\" is not a number from 1 to 12, or a name such as feb"),
        ("* * * * 8", "the weekday \"8\" is not a number from 0 to 7, or a name such as mon"),
        ("* * * * funday", "the weekday \"funday\""),
        ("*/0 * * * *", "a step that is not a number from 1 to 59"),
        ("*/+5 * * * *", "a step that is not a number"),
        ("5/15 * * * *", "write 5-59/15"),
        ("30-10 * * * *", "goes backwards from 30 to 10"),
        ("1,,2 * * * *", "the minute \"1,,2\""),
        ("+1 * * * *", "the minute \"+1\""),
        ("0 0 L * *", "the day \"L\""),
        ("0 0 31 2 *", "the days 31 do not exist in the months 2"),
        ("0 0 30-31 feb *", "do not exist"),
        ("0 0 31 4,6,9,11 *", "do not exist"),
    ] {
        let error = text.parse::<Cron>().expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!("0 0 30 2 mon".parse::<Cron>().is_ok(), "fires on Mondays");
}

#[test]
fn a_local_time_that_does_not_exist_fires_at_the_end_of_the_gap() {
    // Berlin and New York leave an hour out, Lord Howe half an hour, Cairo the hour
    // after midnight, Apia a whole day.
    for (cron, zone, after, wanted) in [
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"],
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T04:00:00Z",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T10:00:00Z", ["2026-04-24T01:00+03:00", "2026-04-25T00:00+03:00"]),
        ("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["2011-12-31T00:00+14:00", "2012-12-30T09:00+14:00"]),
    ] {
        check(cron, zone, after, &wanted);
    }
}

#[test]
fn a_local_time_that_exists_twice_fires_once() {
    for (cron, zone, after, wanted) in [
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T10:00:00Z",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        // Asked within the second of the two hours, the answer is not that hour.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", ["2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00"]),
    ] {
        check(cron, zone, after, &wanted);
    }
}

#[test]
fn with_every_hour_the_hours_that_pass_count() {
    let twice =
        ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"];
    check("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59:00Z", &twice);
    let left_out = ["2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00", "2026-03-29T04:30+02:00"];
    check("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &left_out);
}

proptest! {
    /// Times strictly follow each other, each local time is what the expression says
    /// or the end of a gap, and asking from just before gives the same answer.
    #[test]
    fn the_next_time_is_the_first(
        minute in 0..60u8, hour in 0..24u8, zone in 0..6usize, start in 1_700_000_000..1_900_000_000i64,
    ) {
        let zone = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "America/St_Johns"][zone];
        let rules = TimeZone::get(zone).expect("a zone");
        let cron: Cron = format!("{minute} {hour} * * *").parse().expect("an expression");
        let mut at = Timestamp::from_second(start).expect("a time");
        for _ in 0..400 {
            let next = cron.next(&rules, at).expect("a further time");
            prop_assert!(next > at);
            prop_assert!(next.duration_since(at).as_hours() <= 26);
            prop_assert_eq!(cron.next(&rules, next - 1.second()), Some(next));
            let local = rules.to_datetime(next);
            let meant = local.date().at(i8::try_from(hour).expect("small"), i8::try_from(minute).expect("small"), 0, 0);
            prop_assert_eq!(first_instant(&rules, meant), Some(next));
            at = next;
        }
    }
}
