//! Cron expressions: five fields, as crontab(5) reads them.
//!
//! Owns the reading of the text and the search for the next minute that matches, in
//! a zone. Refuses what could never fire. Knows no clock: the time comes in.
//!
//! Days follow cron's rule: when both the day of the month and the weekday are
//! restricted (neither begins with `*`), either is enough.
//!
//! Daylight saving: a local time that does not exist fires at the first instant after
//! the gap, and one that exists twice fires the first time only. An expression whose
//! hour is `*` counts the hours that pass instead: it fires in both of two equal
//! hours, and has nothing to make up for one that was left out.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

/// A checked cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Either of the two kinds of day is enough.
    either_day: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// There are not five fields.
    #[error("a cron expression has 5 fields (minute hour day month weekday), this one has {found}")]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A field cannot be read.
    #[error("the {field} {text:?} {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// As it is written.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// No day of any year matches.
    #[error("no date matches: the days {days} do not exist in the months {months}")]
    Never {
        /// The field of days.
        days: String,
        /// The field of months.
        months: String,
    },
}

/// What one field may hold.
struct Span {
    name: &'static str,
    low: u8,
    high: u8,
    /// Words for the values from `low` on.
    words: &'static [&'static str],
}

const MINUTE: Span = Span { name: "minute", low: 0, high: 59, words: &[] };
const HOUR: Span = Span { name: "hour", low: 0, high: 23, words: &[] };
const DAY: Span = Span { name: "day", low: 1, high: 31, words: &[] };
const MONTH: Span = Span {
    name: "month",
    low: 1,
    high: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is 0 and 7.
const WEEKDAY: Span =
    Span { name: "weekday", low: 0, high: 7, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// The short forms that crontab(5) knows and that mean a time.
const NAMED: [(&str, &str); 5] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// The longest wait there is: from 29 February 2096 to that of 2104, with days to
/// spare.
const DAYS_AHEAD_MAX: u32 = 9 * 366;
const ALL_HOURS: u64 = (1 << 24) - 1;
/// The most days that each month has, January first.
const DAYS_OF_MONTH: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let spelled = NAMED.iter().find(|(name, _)| *name == text.trim()).map_or(text, |(_, spelled)| spelled);
        let fields: Vec<&str> = spelled.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::Fields { found: fields.len() });
        };
        let sundays = WEEKDAY.read(weekday)?;
        let cron = Self {
            text: text.trim().to_owned(),
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: (sundays | sundays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if cron.either_day || cron.has_a_date() {
            Ok(cron)
        } else {
            Err(CronError::Never { days: day.to_owned(), months: month.to_owned() })
        }
    }
}

impl Span {
    /// The values that a field names, one bit each.
    fn read(&self, text: &str) -> Result<u64, CronError> {
        let refuse = |why: String| CronError::Field { field: self.name, text: text.to_owned(), why };
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part).map_err(refuse)?))
    }

    /// `*`, `5`, `5-10`, and the last with a step: `*/15`, `5-10/2`.
    fn part(&self, part: &str) -> Result<u64, String> {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (low, high) = match range.split_once('-') {
            None if range == "*" => (self.low, self.high),
            None if step.is_some() => {
                return Err(format!("has a step without a range: write {range}-{}/{}", self.high, step.unwrap_or("1")));
            }
            None => (self.value(range)?, self.value(range)?),
            Some((low, high)) => (self.value(low)?, self.end(high)?),
        };
        if low > high {
            return Err(format!("goes backwards from {low} to {high}: write two ranges with a comma"));
        }
        let number = |step: &str| step.bytes().all(|b| b.is_ascii_digit()).then(|| step.parse().ok()).flatten();
        let step: Option<usize> =
            step.map_or(Some(1), number).filter(|step| (1..=usize::from(self.high)).contains(step));
        let step = step.ok_or_else(|| format!("has a step that is not a number from 1 to {}", self.high))?;
        Ok((low..=high).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        let word = self.words.iter().position(|word| text.eq_ignore_ascii_case(word));
        let value = word.and_then(|at| u8::try_from(at).ok()).map(|at| at + self.low);
        let digits = || text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        value.or_else(digits).filter(|value| (self.low..=self.high).contains(value)).ok_or_else(|| {
            let words = if self.words.is_empty() { "" } else { ", or a name such as " };
            let example = self.words.get(1).copied().unwrap_or_default();
            format!("is not a number from {} to {}{words}{example}", self.low, self.high)
        })
    }

    /// As the end of a range, Sunday is the last day: `fri-sun`.
    fn end(&self, text: &str) -> Result<u8, String> {
        let value = self.value(text)?;
        Ok(if self.high == WEEKDAY.high && value == 0 { WEEKDAY.high } else { value })
    }
}

impl Cron {
    /// The first time after `after`, in `zone`. None: the calendar ends before.
    pub(crate) fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        if self.hours == ALL_HOURS { self.next_by_hours(zone, after) } else { self.next_by_clock(zone, after) }
    }

    /// By local times, each of which is one instant. Later local times never come
    /// before earlier ones, so the first that lies after `after` is the one.
    fn next_by_clock(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut from = minute_of(zone.to_datetime(after))?;
        loop {
            let local = self.next_local(from)?;
            let at = first_instant(zone, local)?;
            if at > after {
                return Some(at);
            }
            from = local.checked_add(1.minute()).ok()?;
        }
    }

    /// By the hours that pass: one stretch of constant offset after the other.
    fn next_by_hours(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut offset = zone.to_offset(after);
        let mut from = minute_of(offset.to_datetime(after))?.checked_add(1.minute()).ok()?;
        let mut changes = zone.following(after);
        loop {
            let change = changes.next();
            let at = offset.to_timestamp(self.next_local(from)?).ok()?;
            match change {
                Some(change) if change.timestamp() <= at => {
                    offset = change.offset();
                    from = not_before(offset.to_datetime(change.timestamp()))?;
                }
                Some(_) | None => return Some(at),
            }
        }
    }

    /// The first matching minute of the calendar, `from` included.
    fn next_local(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let mut earliest = (from.hour(), from.minute());
        for _ in 0..DAYS_AHEAD_MAX {
            if self.matches(date)
                && let Some((hour, minute)) = self.next_of_day(earliest)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            date = date.tomorrow().ok()?;
            earliest = (0, 0);
        }
        None
    }

    fn matches(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month()) && if self.either_day { day || weekday } else { day && weekday }
    }

    fn next_of_day(&self, (hour, minute): (i8, i8)) -> Option<(i8, i8)> {
        let this_hour = || Some((hour, first_from(self.minutes, minute)?));
        let later_hour = || Some((first_from(self.hours, hour + 1)?, first_from(self.minutes, 0)?));
        if has(self.hours, hour) { this_hour().or_else(later_hour) } else { later_hour() }
    }

    /// Whether any of its months has any of its days.
    fn has_a_date(&self) -> bool {
        let most = (1..).zip(DAYS_OF_MONTH).filter(|(month, _)| has(self.months, *month)).map(|(_, days)| days).max();
        most.is_some_and(|most| self.days.trailing_zeros() <= most)
    }
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits >> value & 1 == 1)
}

/// The smallest value from this one on.
fn first_from(bits: u64, value: i8) -> Option<i8> {
    let rest = bits & u64::MAX.checked_shl(u32::try_from(value).ok()?)?;
    (rest != 0).then(|| i8::try_from(rest.trailing_zeros()).ok()).flatten()
}

fn minute_of(local: DateTime) -> Option<DateTime> {
    local.with().second(0).subsec_nanosecond(0).build().ok()
}

/// The first whole minute at or after this time.
fn not_before(local: DateTime) -> Option<DateTime> {
    let minute = minute_of(local)?;
    if minute == local { Some(minute) } else { minute.checked_add(1.minute()).ok() }
}

/// The instant of a local time: the first of two, or the end of a gap.
fn first_instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_gap = after.to_timestamp(local).ok()?;
            Some(zone.following(before_the_gap).next()?.timestamp())
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod tests;
