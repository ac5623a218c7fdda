//! The schedule of a document: a rhythm that fires, in a zone that exists.

use model::Problem;

use super::read::Fields;
use super::report::Report;
use super::shape::Shape;
use super::trigger::Started;
use crate::plan::Trigger;
use crate::schedule::{Missed, Rhythm, Schedule, Zone};

/// A flow that starts more often is a loop of its own; a run takes about as long.
const EVERY_MS_MIN: u64 = 1_000;
/// A year; what is rarer has a date, which cron can say.
const EVERY_MS_MAX: u64 = 366 * 86_400_000;

pub(super) fn read(fields: &Fields<'_>, report: &mut Report<'_>) -> Started {
    fields.only(&["schedule"], report);
    let event = Shape(Schedule::event_schema());
    let inner = fields.get("schedule").and_then(|node| Fields::of(node, "trigger.schedule", report));
    let Some(inner) = inner else { return Started { event, ..Started::unknown() } };
    inner.only(&["cron", "every", "zone", "missed"], report);
    let rhythm = rhythm(&inner, report);
    let zone = zone(&inner, report);
    let missed = missed(&inner, report);
    let schedule = rhythm.zip(zone).zip(missed);
    let trigger = schedule.map(|((rhythm, zone), missed)| Trigger::Schedule(Schedule { rhythm, zone, missed }));
    Started { trigger, respond: None, event }
}

fn rhythm(inner: &Fields<'_>, report: &mut Report<'_>) -> Option<Rhythm> {
    match (inner.get("cron"), inner.get("every")) {
        (Some(_), None) => cron(inner, report),
        (None, Some(_)) => every(inner, report),
        (cron, _) => {
            let found = if cron.is_some() { "both" } else { "neither" };
            let problem = Problem::new("no-schedule", format!("a schedule has cron or every, this one has {found}"));
            let fix = "write cron: \"0 9 * * mon-fri\" with a zone, or every: 15m";
            report.add(inner.node, "trigger.schedule", problem.fix(fix));
            None
        }
    }
}

fn cron(inner: &Fields<'_>, report: &mut Report<'_>) -> Option<Rhythm> {
    let node = inner.get("cron")?;
    let text = inner.text("cron", report)?;
    let explain = |error: crate::CronError| {
        let problem = match &error {
            crate::CronError::Never { .. } => Problem::new("never-fires", error.to_string())
                .cause("with such days the flow would never start")
                .fix("name a day that exists in one of the months"),
            crate::CronError::Fields { .. } | crate::CronError::Field { .. } => {
                Problem::new("bad-cron", error.to_string())
                    .fix("write minute, hour, day, month and weekday, such as 30 9 * * mon-fri")
            }
        };
        report.add(node, "trigger.schedule.cron", problem);
    };
    text.parse().map_err(explain).ok().map(Rhythm::Cron)
}

fn every(inner: &Fields<'_>, report: &mut Report<'_>) -> Option<Rhythm> {
    let expected = "a time such as 30s, 5m or 2h, from 1s to 366d";
    let ms = inner.duration_within("every", &(EVERY_MS_MIN..=EVERY_MS_MAX), expected, report)?;
    Some(Rhythm::Every { ms })
}

fn zone(inner: &Fields<'_>, report: &mut Report<'_>) -> Option<Zone> {
    let Some(node) = inner.get("zone") else { return Some(Zone::utc()) };
    let name = inner.text("zone", report)?;
    let found = Zone::find(&name);
    if found.is_none() {
        let names = Zone::names();
        let problem = Problem::new("unknown-zone", format!("there is no time zone {name:?}"));
        let problem = match model::nearest(&name, names.iter().map(String::as_str)) {
            Some(near) => problem.fix(format!("write {near}")),
            None => problem.fix("write a name of the IANA database, such as Europe/Berlin"),
        };
        report.add(node, "trigger.schedule.zone", problem);
    }
    found
}

fn missed(inner: &Fields<'_>, report: &mut Report<'_>) -> Option<Missed> {
    if inner.get("missed").is_none() {
        return Some(Missed::default());
    }
    let words = [Missed::Skip, Missed::Once, Missed::All].map(|missed| (missed.as_str(), missed));
    inner.choice("missed", &words, report)
}
