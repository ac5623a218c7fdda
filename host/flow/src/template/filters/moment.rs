//! Instants as expressions see them: texts in, texts out, zones by their IANA names.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::fmt::temporal::DateTimeParser;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp, ToSpan as _, Unit, Zoned};
use minijinja::Value as View;

use super::call::words;
use crate::schedule::Zone;

static ISO: DateTimeParser = DateTimeParser::new();
/// Numbers up to this are seconds since 1970, greater ones milliseconds; the year 5138.
const SECONDS_MAX: i64 = 100_000_000_000;

/// The zone of this name.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    if let Some(zone) = Zone::find(name) {
        return Ok(zone.rules().clone());
    }
    let names = Zone::names();
    let near = model::nearest(name, names.iter().map(String::as_str));
    let near = near.map_or_else(|| "such as Europe/Berlin".to_owned(), |near| format!("perhaps {near}"));
    Err(format!("expects a time zone of the IANA database, {near}, got {name:?}"))
}

/// A date or an instant: ISO 8601, RFC 2822, or a number since 1970. What has no
/// offset of its own is meant in `otherwise`.
pub(super) fn read(value: &View, otherwise: &TimeZone) -> Result<Zoned, String> {
    let wrong = || {
        let forms = "2026-03-29, 2026-03-29T09:00:00+02:00, \"Sun, 29 Mar 2026 09:00:00 +0200\" or seconds since 1970";
        format!("expects a date such as {forms}, got {}", words(value))
    };
    if let Some(number) = value.as_i64().filter(|_| value.is_number()) {
        let ms = if number.abs() < SECONDS_MAX { number.checked_mul(1_000) } else { Some(number) };
        let at = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).ok_or_else(wrong)?;
        return Ok(at.to_zoned(TimeZone::UTC));
    }
    let text = value.as_str().map(str::trim).ok_or_else(wrong)?;
    if let Ok(pieces) = ISO.parse_pieces(text) {
        let local = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
        let named = pieces.to_time_zone().map_err(|_| wrong())?;
        let zone = match (named, pieces.to_numeric_offset()) {
            (_, Some(offset)) if offset.is_zero() => TimeZone::UTC,
            (Some(zone), Some(_) | None) => zone,
            (None, Some(offset)) => TimeZone::fixed(offset),
            (None, None) => otherwise.clone(),
        };
        return local.to_zoned(zone).map_err(|_| wrong());
    }
    rfc2822::parse(text).map_err(|_| wrong())
}

/// A date or an instant that is written as a pattern says.
pub(super) fn read_as(text: &str, pattern: &str, otherwise: &TimeZone) -> Result<Zoned, String> {
    let wrong = |error: jiff::Error| format!("expects a date written as {pattern:?}, got {text:?}: {error}");
    let parts = strtime::parse(pattern, text).map_err(wrong)?;
    if parts.offset().is_some() || parts.iana_time_zone().is_some() {
        return parts.to_zoned().map_err(wrong);
    }
    let day = parts.to_date().map_err(wrong)?;
    // A pattern without hours means the beginning of the day.
    let local = parts.to_time().map_or_else(|_| day.at(0, 0, 0, 0), |time| DateTime::from_parts(day, time));
    local.to_zoned(otherwise.clone()).map_err(wrong)
}

/// ISO 8601 with an offset, `Z` in UTC; milliseconds where there are any.
pub(super) fn write(at: &Zoned) -> String {
    let fraction = if at.millisecond() == 0 { "" } else { "%.3f" };
    let offset = if *at.time_zone() == TimeZone::UTC { "Z" } else { "%:z" };
    at.strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}{offset}")).to_string()
}

/// As a pattern says: `%d.%m.%Y`.
pub(super) fn write_as(at: &Zoned, pattern: &str) -> Result<String, String> {
    strtime::format(pattern, at).map_err(|error| format!("expects a pattern such as %Y-%m-%d %H:%M: {error}"))
}

/// A stretch of time added; with days and longer, on the calendar of its zone.
pub(super) fn add(at: &Zoned, span: &str) -> Result<Zoned, String> {
    let wrong = || format!("expects a time such as 2h, -1d, 1mo or '1y 6mo', got {span:?}");
    let span: jiff::Span = span.trim().parse().map_err(|_| wrong())?;
    at.checked_add(span).map_err(|_| format!("makes a date beyond the year 9999 with {span}"))
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Part {
    /// By its name, one or many.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let names = [
            ("millisecond", Self::Millisecond),
            ("second", Self::Second),
            ("minute", Self::Minute),
            ("hour", Self::Hour),
            ("day", Self::Day),
            ("week", Self::Week),
            ("month", Self::Month),
            ("quarter", Self::Quarter),
            ("year", Self::Year),
        ];
        let singular = name.strip_suffix('s').unwrap_or(name);
        let found = names.iter().find(|(known, _)| *known == singular).map(|(_, part)| *part);
        found.ok_or_else(|| {
            let near = model::nearest(singular, names.iter().map(|(name, _)| *name));
            let near = near.map_or_else(String::new, |near| format!("; write {near}"));
            format!("expects a unit from millisecond to year, got {name:?}{near}")
        })
    }

    /// Whole units between two instants, cut off towards zero.
    #[expect(clippy::cast_possible_truncation, reason = "whole units are asked for; the range is that of the calendar")]
    pub(super) fn between(self, later: &Zoned, earlier: &Zoned) -> Result<i64, String> {
        let (unit, times) = match self {
            Self::Millisecond => (Unit::Millisecond, 1.0),
            Self::Second => (Unit::Second, 1.0),
            Self::Minute => (Unit::Minute, 1.0),
            Self::Hour => (Unit::Hour, 1.0),
            Self::Day => (Unit::Day, 1.0),
            Self::Week => (Unit::Week, 1.0),
            Self::Month => (Unit::Month, 1.0),
            Self::Quarter => (Unit::Month, 3.0),
            Self::Year => (Unit::Year, 1.0),
        };
        // Both ends in one zone: the same days are meant.
        let earlier = earlier.with_time_zone(later.time_zone().clone());
        let span = later.since(&earlier).map_err(|error| error.to_string())?;
        let total = span.total((unit, SpanRelativeTo::from(&earlier))).map_err(|error| error.to_string())?;
        Ok((total / times).trunc() as i64)
    }

    /// The first instant of the unit that this one lies in.
    pub(super) fn start(self, at: &Zoned) -> Result<Zoned, String> {
        let beyond = |error: jiff::Error| format!("makes a date beyond the calendar: {error}");
        let day = at.date();
        let of_day = |day: Date| day.to_zoned(at.time_zone().clone()).map_err(beyond);
        match self {
            Self::Millisecond => self.cut(at, Unit::Millisecond),
            Self::Second => self.cut(at, Unit::Second),
            Self::Minute => self.cut(at, Unit::Minute),
            Self::Hour => self.cut(at, Unit::Hour),
            Self::Day => of_day(day),
            Self::Week => {
                let since_monday = day.weekday().since(Weekday::Monday);
                of_day(day.checked_sub(i64::from(since_monday).days()).map_err(beyond)?)
            }
            Self::Month => of_day(day.first_of_month()),
            Self::Quarter => {
                let since_first = (day.month() - 1) % 3;
                of_day(day.first_of_month().checked_sub(i64::from(since_first).months()).map_err(beyond)?)
            }
            Self::Year => of_day(day.first_of_year()),
        }
    }

    fn cut(self, at: &Zoned, unit: Unit) -> Result<Zoned, String> {
        let down = jiff::ZonedRound::new().smallest(unit).mode(jiff::RoundMode::Trunc);
        at.round(down).map_err(|error| error.to_string())
    }

    /// The last millisecond of it.
    pub(super) fn end(self, at: &Zoned) -> Result<Zoned, String> {
        let beyond = |error: jiff::Error| format!("makes a date beyond the calendar: {error}");
        let start = self.start(at)?;
        let one = match self {
            Self::Millisecond => return Ok(start),
            Self::Second => 1.second(),
            Self::Minute => 1.minute(),
            Self::Hour => 1.hour(),
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Quarter => 3.months(),
            Self::Year => 1.year(),
        };
        let next = self.start(&start.checked_add(one).map_err(beyond)?)?;
        next.checked_sub(1.millisecond()).map_err(beyond)
    }
}
