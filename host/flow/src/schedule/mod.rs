//! Schedules: the times at which a flow starts by itself.
//!
//! Owns the rhythm (a cron expression or an interval), the zone its hours are meant
//! in, and what becomes of times at which no host was there. Knows no clock: asked
//! for the time after another one, it answers the same on every machine, since the
//! zones' rules are part of the program.

mod cron;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use cron::{Cron, CronError};

/// When a flow starts by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// How often.
    pub rhythm: Rhythm,
    /// Where its hours are meant.
    pub zone: Zone,
    /// What becomes of missed times.
    pub missed: Missed,
}

/// How often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rhythm {
    /// At times of the calendar.
    Cron(#[serde(with = "as_text")] Cron),
    /// At a steady interval, counted from when it was published.
    Every {
        /// Milliseconds.
        ms: u64,
    },
}

/// What becomes of times at which the flow could not start: the host was down, or its
/// clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are counted, and that is all.
    Skip,
    /// The newest starts the flow, however many there were.
    #[default]
    Once,
    /// Each starts the flow, the newest thousand at most.
    All,
}

impl Missed {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

/// A time zone of the IANA database, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone in which no hour is left out or comes twice.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), rules: TimeZone::UTC }
    }

    /// The zone of this name, as the database writes it.
    pub fn find(name: &str) -> Option<Self> {
        let rules = TimeZone::get(name).ok()?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Some(Self { name, rules })
    }

    /// Every name there is, for suggestions.
    pub fn names() -> Vec<String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// Its rules.
    pub(crate) fn rules(&self) -> &TimeZone {
        &self.rules
    }

    /// `Europe/Berlin`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::find(&name).ok_or_else(|| format!("there is no time zone {name:?}"))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl Schedule {
    /// The first time after `after_ms`, both in milliseconds since 1970 UTC. An
    /// interval is counted from `since_ms`. None: the calendar ends before.
    pub fn next_ms(&self, since_ms: u64, after_ms: u64) -> Option<u64> {
        match &self.rhythm {
            Rhythm::Every { ms } => {
                let passed = after_ms.checked_sub(since_ms).map_or(0, |gone| gone / ms + 1);
                since_ms.checked_add(ms.checked_mul(passed.max(1))?)
            }
            Rhythm::Cron(cron) => {
                let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
                u64::try_from(cron.next(&self.zone.rules, after)?.as_millisecond()).ok()
            }
        }
    }

    /// This instant in the schedule's zone, with its offset: ISO 8601.
    pub fn local(&self, at_ms: u64) -> String {
        let at = i64::try_from(at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
        at.map_or_else(String::new, |at| {
            let local = at.to_zoned(self.zone.rules.clone());
            local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        })
    }

    /// The event of one of its times, all in milliseconds since 1970 UTC: which time
    /// was meant, the one that started the run before, and how many were passed over
    /// in between.
    pub fn event(&self, at_ms: u64, previous_ms: Option<u64>, missed: u64) -> Value {
        let utc = |at_ms: u64| {
            let at = i64::try_from(at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
            at.map_or_else(String::new, |at| format!("{at:.3}"))
        };
        json!({
            "nominal": utc(at_ms),
            "local": self.local(at_ms),
            "zone": self.zone.name(),
            "previous": previous_ms.map(utc),
            "missed": missed,
        })
    }

    /// The JSON Schema of its events.
    pub fn event_schema() -> Value {
        json!({
            "type": "object",
            "required": ["nominal", "local", "zone", "previous", "missed"],
            "properties": {
                "nominal": { "type": "string", "description": "The time that was meant, in UTC." },
                "local": { "type": "string", "description": "The same time in the schedule's zone." },
                "zone": { "type": "string", "description": "The schedule's zone." },
                "previous": {
                    "type": ["string", "null"],
                    "description": "The nominal time of the run before, in UTC; null for the first."
                },
                "missed": { "type": "integer", "description": "Times passed over since the run before." }
            }
        })
    }
}

impl std::fmt::Display for Rhythm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cron(cron) => write!(f, "cron {cron}"),
            Self::Every { ms } => write!(f, "every {}", crate::check::show_duration(*ms)),
        }
    }
}

/// A cron expression is kept as it was written.
mod as_text {
    use super::Cron;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(cron: &Cron, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(cron)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Cron, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
