//! A calendar day, as documents write it. Knows no clock: whoever asks says what day it is.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A day of the calendar: `2027-01-31`. Sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("date {0:?} is not a day of the calendar written YYYY-MM-DD")]
pub struct DateError(String);

fn days_in(year: u16, month: u8) -> u8 {
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let refuse = || DateError(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        let digits = |at: std::ops::Range<usize>| bytes[at].iter().all(u8::is_ascii_digit);
        let shape = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
        if !shape || !digits(0..4) || !digits(5..7) || !digits(8..10) {
            return Err(refuse());
        }
        let year = text[..4].parse().map_err(|_| refuse())?;
        let month = text[5..7].parse().map_err(|_| refuse())?;
        let day = text[8..].parse().map_err(|_| refuse())?;
        if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
            return Err(refuse());
        }
        Ok(Self { year, month, day })
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;

    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_the_calendar() {
        for (text, good) in [
            ("2027-01-31", true),
            ("2028-02-29", true),
            ("2027-02-29", false),
            ("2027-13-01", false),
            ("2027-00-01", false),
            ("2027-1-1", false),
            ("+027-01-01", false),
            ("soon", false),
            ("2027-é-01", false),
        ] {
            assert_eq!(
                text.parse::<Date>().map(|date| date.to_string()).ok().as_deref(),
                good.then_some(text),
                "{text}"
            );
        }
    }
}
