//! Whether a text is JSON that the host can read: well-formed, and not too deep.
//!
//! Builds nothing, so that a large answer costs no memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Checks one JSON document. Nesting is limited to 128 levels, as wherever the host
/// reads JSON.
pub(crate) fn check(text: &str) -> Result<(), String> {
    serde_json::from_str::<Any>(text).map(|Any| ()).map_err(|error| error.to_string())
}

/// Any value; unlike `IgnoredAny` it counts levels.
struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_host_can_read() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (text, ok) in [
            (r#"{"a":[1,-2,3.5,true,null,"x"]}"#.to_owned(), true),
            ("null".to_owned(), true),
            (String::new(), false),
            ("{".to_owned(), false),
            ("{} x".to_owned(), false),
            ("NaN".to_owned(), false),
            (r#"{1:2}"#.to_owned(), false),
            (deep(100), true),
            (deep(200), false),
            ("[".repeat(1_000_000), false),
        ] {
            let is_value = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            assert_eq!(check(&text).is_ok(), ok, "{}", &text[..text.len().min(40)]);
            assert_eq!(is_value, ok, "the host reads it differently: {}", &text[..text.len().min(40)]);
        }
    }
}
