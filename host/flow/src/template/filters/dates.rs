//! Filters for dates. There is no clock: `run.started_at` says when a run began.

use jiff::Zoned;
use jiff::tz::TimeZone;
use minijinja::Value as View;

use super::call::{self, Call, Made};
use super::moment::{self, Part};
use super::{Group, own};

pub(super) const GROUP: Group = Group {
    title: "Dates",
    about: "A date is a text: ISO 8601 (`2026-03-29`, `2026-03-29T09:00:00+02:00`), RFC 2822, or a number of seconds or \
        milliseconds since 1970. One without an offset is meant in the filter's `zone`, in UTC when there is none. \
        What is made is ISO 8601 with an offset. There is no clock: `run.started_at` says when the run began. \
        Zones are names of the IANA database; their rules are part of the program.",
    filters: &[
        own(
            "format_date",
            &["pattern"],
            &["zone"],
            "As a pattern says (below), in a zone.",
            &[
                ("'2026-03-29T07:00:00Z' | format_date('%d.%m.%Y %H:%M', 'Europe/Berlin')", "\"29.03.2026 09:00\""),
                ("'2026-03-29' | format_date('%A, %-d %B')", "\"Sunday, 29 March\""),
            ],
            format_date,
        ),
        own(
            "parse_date",
            &[],
            &["pattern", "zone"],
            "A date in ISO 8601, out of any of the forms above or as a pattern says.",
            &[
                ("'Sun, 29 Mar 2026 09:00:00 +0200' | parse_date", "\"2026-03-29T09:00:00+02:00\""),
                ("'29.03.2026' | parse_date('%d.%m.%Y', 'Europe/Berlin')", "\"2026-03-29T00:00:00+01:00\""),
                ("1774767600 | parse_date", "\"2026-03-29T07:00:00Z\""),
            ],
            parse_date,
        ),
        own(
            "to_zone",
            &["zone"],
            &[],
            "The same instant in another zone.",
            &[("'2026-03-29T07:00:00Z' | to_zone('Europe/Berlin')", "\"2026-03-29T09:00:00+02:00\"")],
            to_zone,
        ),
        own(
            "add_time",
            &["time"],
            &["zone"],
            "Later, or with a minus earlier: `30s`, `5m`, `2h`, `1d`, `1w`, `1mo`, `1y`. Days and longer go by the calendar of the zone.",
            &[
                ("'2026-01-31T09:00:00Z' | add_time('1mo')", "\"2026-02-28T09:00:00Z\""),
                ("'2026-03-29T00:30:00+01:00' | add_time('1d', 'Europe/Berlin')", "\"2026-03-30T00:30:00+02:00\""),
                ("'2026-03-01' | add_time('-1d 12h')", "\"2026-02-27T12:00:00Z\""),
            ],
            add_time,
        ),
        own(
            "time_since",
            &["earlier"],
            &["unit", "zone"],
            "Whole units from an earlier date to this one, seconds when not said; negative when it is later.",
            &[
                ("'2026-03-02' | time_since('2026-03-01')", "86400"),
                ("'2026-03-15' | time_since('2026-01-31', 'months')", "1"),
                ("'2026-03-01' | time_since('2026-03-02', 'hours')", "-24"),
            ],
            time_since,
        ),
        own(
            "start_of",
            &["unit"],
            &["zone"],
            "The first instant of the minute, hour, day, week (Monday), month, quarter or year.",
            &[
                ("'2026-03-29T15:04:05Z' | start_of('week')", "\"2026-03-23T00:00:00Z\""),
                ("'2026-05-01T00:30:00+02:00' | start_of('month', 'UTC')", "\"2026-04-01T00:00:00Z\""),
            ],
            |call| of_unit(call, Part::start),
        ),
        own(
            "end_of",
            &["unit"],
            &["zone"],
            "The last millisecond of it.",
            &[("'2026-02-10' | end_of('month')", "\"2026-02-28T23:59:59.999Z\"")],
            |call| of_unit(call, Part::end),
        ),
        own(
            "to_unix",
            &[],
            &["zone"],
            "Seconds since 1970.",
            &[("'2026-03-29T09:00:00+02:00' | to_unix", "1774767600")],
            to_unix,
        ),
    ],
};

/// What the patterns of dates may hold: the conversions people use.
pub(in super::super) const PATTERNS: [(&str, &str); 16] = [
    ("%Y %m %d", "year, month, day: 2026 03 29"),
    ("%y", "the year in two digits"),
    ("%F", "the same as %Y-%m-%d"),
    ("%H %M %S", "hours (24), minutes, seconds: 09 05 00"),
    ("%I %p", "hours (12), AM or PM"),
    ("%T", "the same as %H:%M:%S"),
    ("%.3f", "milliseconds with the point"),
    ("%B %b", "the month's name: March, Mar"),
    ("%A %a", "the weekday's name: Sunday, Sun"),
    ("%u", "the weekday's number, Monday is 1"),
    ("%j", "the day of the year"),
    ("%V %G", "the ISO week and its year"),
    ("%z %:z", "the offset: +0200, +02:00"),
    ("%Z %Q", "the zone: CEST, Europe/Berlin"),
    ("%s", "seconds since 1970"),
    ("%-d %_d", "without the leading zero, or with a space instead"),
];

/// The value, in the zone that the argument at this place names.
fn date(call: &Call<'_>, at: usize) -> Result<Zoned, String> {
    match call.optional_text(at, "zone")? {
        None => moment::read(call.value, &TimeZone::UTC),
        Some(name) => {
            let zone = moment::zone(&name)?;
            Ok(moment::read(call.value, &zone)?.with_time_zone(zone))
        }
    }
}

fn format_date(call: &Call<'_>) -> Made {
    call::made(moment::write_as(&date(call, 1)?, &call.text_at(0, "pattern")?)?)
}

fn parse_date(call: &Call<'_>) -> Made {
    let read = match call.optional_text(0, "pattern")? {
        None => date(call, 1)?,
        Some(pattern) => {
            let zone = call.optional_text(1, "zone")?.map_or_else(|| Ok(TimeZone::UTC), |name| moment::zone(&name))?;
            moment::read_as(&call.text()?, &pattern, &zone)?
        }
    };
    Ok(View::from(moment::write(&read)))
}

fn to_zone(call: &Call<'_>) -> Made {
    call.text_at(0, "zone")?;
    Ok(View::from(moment::write(&date(call, 0)?)))
}

fn add_time(call: &Call<'_>) -> Made {
    let later = moment::add(&date(call, 1)?, &call.text_at(0, "time")?)?;
    Ok(View::from(moment::write(&later)))
}

fn time_since(call: &Call<'_>) -> Made {
    let (later, unit) = (date(call, 2)?, call.optional_text(1, "unit")?);
    let unit = Part::find(unit.as_deref().unwrap_or("second"))?;
    let earlier = call.argument(0).ok_or("needs the argument earlier")?;
    let earlier = moment::read(earlier, later.time_zone())?;
    unit.between(&later, &earlier).map(View::from)
}

fn of_unit(call: &Call<'_>, of: fn(Part, &Zoned) -> Result<Zoned, String>) -> Made {
    let unit = Part::find(&call.text_at(0, "unit")?)?;
    Ok(View::from(moment::write(&of(unit, &date(call, 1)?)?)))
}

fn to_unix(call: &Call<'_>) -> Made {
    Ok(View::from(date(call, 0)?.timestamp().as_second()))
}
