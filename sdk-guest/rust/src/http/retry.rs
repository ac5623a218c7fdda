//! How long a service asks to wait, in whichever way it says so.
//!
//! Pure: the present comes from the answer's own `date` header where there is one, so
//! that a clock that disagrees with the service's does no harm.

use crate::time::days_since_1970;

/// A month: whatever asks for more means "never", and a timer should not hold it.
const WAIT_MS_MAX: u64 = 31 * 24 * 3_600 * 1_000;

/// The wait in milliseconds: `retry-after` as seconds or a date (RFC 9110, 10.2.3), or
/// `x-ratelimit-reset` as seconds since 1970, as GitHub sends it.
pub(super) fn wait_ms(header: impl Fn(&str) -> Option<String>, clock_ms: impl FnOnce() -> u64) -> Option<u64> {
    let asked = header("retry-after");
    if let Some(seconds) = asked.as_deref().and_then(|text| text.trim().parse::<f64>().ok()) {
        return (seconds.is_finite() && seconds >= 0.0).then(|| capped(seconds * 1_000.0));
    }
    let until_ms = match asked {
        Some(date) => parse_date_ms(&date),
        None => header("x-ratelimit-reset").and_then(|text| text.trim().parse::<u64>().ok()?.checked_mul(1_000)),
    }?;
    let now_ms = header("date").and_then(|date| parse_date_ms(&date)).unwrap_or_else(clock_ms);
    Some(until_ms.saturating_sub(now_ms).min(WAIT_MS_MAX))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is finite, not negative, and capped before it is converted"
)]
fn capped(wait_ms: f64) -> u64 {
    wait_ms.ceil().min(WAIT_MS_MAX as f64) as u64
}

/// Milliseconds since 1970 of an HTTP date in any of the three forms of RFC 9110,
/// 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`.
fn parse_date_ms(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words.as_slice() {
        [_, day, month, year, time, "GMT" | "UTC"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = month_number(month)?;
    let seconds = parse_time(time)?;
    let days = days_since_1970(parse_year(year)?, month, day)?;
    Some((days * 86_400 + seconds) * 1_000)
}

/// Two digits mean 1970 to 2069, as the obsolete form is read today.
fn parse_year(text: &str) -> Option<u64> {
    let year: u64 = text.parse().ok()?;
    match year {
        0..=69 if text.len() == 2 => Some(year + 2_000),
        70..=99 if text.len() == 2 => Some(year + 1_900),
        1_970..=9_999 => Some(year),
        _ => None,
    }
}

fn month_number(name: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.iter().position(|month| *month == name).map(|index| index as u64 + 1)
}

fn parse_time(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // 60: a leap second.
    (parts.next().is_none() && hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<u64> {
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        wait_ms(header, || 784_111_777_000)
    }

    #[test]
    fn reads_seconds_dates_and_reset_times() {
        for (headers, wanted) in [
            (&[("retry-after", "120")][..], Some(120_000)),
            (&[("retry-after", " 0 ")], Some(0)),
            (&[("retry-after", "1.5")], Some(1_500)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "99999999999999999999")], Some(WAIT_MS_MAX)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], Some(60_000)),
            (&[("retry-after", "Sunday, 06-Nov-94 08:50:37 GMT")], Some(60_000)),
            (&[("retry-after", "Sun Nov  6 08:50:37 1994")], Some(60_000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (&[("retry-after", "Sun, 32 Nov 1994 08:00:00 GMT")], None),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:50:36 GMT")],
                Some(1_000),
            ),
            (&[("x-ratelimit-reset", "784111779")], Some(2_000)),
            (&[], None),
        ] {
            assert_eq!(wait(headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn knows_the_calendar() {
        for (date, wanted) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400_000)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(1_767_225_599_000)),
            ("Wed, 31 Dec 2025 24:00:00 GMT", None),
            ("Wed, 31 Dez 2025 23:59:59 GMT", None),
            ("", None),
        ] {
            assert_eq!(parse_date_ms(date), wanted, "{date}");
        }
    }
}
