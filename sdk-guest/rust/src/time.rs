//! Times as services write them (RFC 3339) and as hosts count them: milliseconds since
//! 1970-01-01 UTC.
//!
//! Pure, but for the present, which the host tells.

use std::time::{SystemTime, UNIX_EPOCH};

/// The present. While a connector describes itself it stands still.
#[allow(clippy::disallowed_methods, reason = "in a guest, the host is the clock; natively, tests bring times along")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 of `2026-01-05T09:00:00Z`, with fractions and offsets; None
/// when the text is no such time, or one before 1970.
pub fn parse_utc(text: &str) -> Option<u64> {
    let (date, rest) = text.trim().split_once(['T', 't', ' '])?;
    let (clock, offset_s) = split_offset(rest)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let (year, month, day) = numbers(date, '-')?;
    let (hour, minute, second) = numbers(clock, ':')?;
    let real = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    // 60: a leap second.
    if !real || !(1_970..=9_999).contains(&year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local_s = days_since_1970(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = i64::try_from(local_s).ok()?.checked_sub(offset_s)?;
    u64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(millis(fraction)?)
}

/// `2026-01-05T09:00:00Z`: whole seconds, as services take them.
pub fn format_utc(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3_600, clock / 60 % 60, clock % 60)
}

/// `09:00:00Z`, `09:00:00+02:00`: the clock, and its seconds ahead of UTC.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let (hours, minutes): (i64, i64) = (digits(hours)?.try_into().ok()?, digits(minutes)?.try_into().ok()?);
    let ahead = hours * 3_600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some((&text[..at], if text[at..].starts_with('-') { -ahead } else { ahead }))
}

fn numbers(text: &str, between: char) -> Option<(u64, u64, u64)> {
    let mut parts = text.split(between).map(digits);
    let three = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(three)
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The first three digits of a fraction.
fn millis(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    digits(fraction)?;
    digits(&format!("{fraction:0<3}")[..3])
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts years from March, so that the leap day is the last of its year.
pub(crate) fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month < 3 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + day_of_year).checked_sub(719_468)
}

/// The way back: eras of 400 years have 146,097 days each.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year + u64::from(month < 3);
    (year, month, day_of_year - (153 * month_from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_services_write() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2026-01-05T09:00:00.5Z", Some(1_767_603_600_500)),
            ("2026-01-05T09:00:00.123456Z", Some(1_767_603_600_123)),
            ("2026-01-05T11:00:00+02:00", Some(1_767_603_600_000)),
            ("2026-01-05T03:30:00-05:30", Some(1_767_603_600_000)),
            ("2026-01-05 09:00:00z", Some(1_767_603_600_000)),
            ("2025-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-01-05T24:00:00Z", None),
            ("2026-01-05T09:00:00", None),
            ("2026-01-05", None),
            ("1969-12-31T23:59:59Z", None),
            ("2026-01-05T09:00:00.Z5", None),
            ("+026-01-05T09:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_utc(text), wanted, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for day in (0..60_000).step_by(13) {
            let ms = day * 86_400_000 + (day * 7_919 % 86_400) * 1_000;
            assert_eq!(parse_utc(&format_utc(ms)), Some(ms), "{}", format_utc(ms));
        }
        assert_eq!(format_utc(951_782_400_999), "2000-02-29T00:00:00Z");
    }
}
