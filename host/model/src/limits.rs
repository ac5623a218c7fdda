//! Limits of one call: what a manifest asks for, a grant gives, and a ceiling caps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident = $default:expr;)*) => {
        /// The limits that hold for one call of a plugin.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct Limits { $($(#[$doc])* pub $field: u64,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl Limits {
            /// What holds when nobody says otherwise.
            pub const DEFAULT: Self = Self { $($field: $default,)* };

            /// These limits, none above what `cap` says; a limit `cap` leaves out stays.
            #[must_use]
            pub fn capped_by(mut self, cap: &LimitsPart) -> Self {
                $(if let Some(most) = cap.$field { self.$field = self.$field.min(most); })*
                self
            }

            /// These limits, replaced by what `part` says.
            #[must_use]
            pub fn replaced_by(mut self, part: &LimitsPart) -> Self {
                $(if let Some(value) = part.$field { self.$field = value; })*
                self
            }
        }

        /// Some of the limits: the others are left to whoever is asked next.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct LimitsPart {
            $($(#[$doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<u64>,)*
        }

        impl LimitsPart {
            /// Whether grants can set a limit of this name. Others are the host's own.
            fn knows(name: &str) -> bool {
                [$(stringify!($field)),*].contains(&name)
            }

            /// The limits said, by name as documents write them.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                let mut entries = Vec::new();
                $(if let Some(value) = self.$field { entries.push((stringify!($field), value)); })*
                entries
            }
        }
    };
}

limits! {
    /// Linear memory and tables of the whole call, in bytes. At most 1 GiB; 64 MiB unless
    /// a grant says otherwise: a connector written in Rust uses 2, one in Python 30.
    memory_bytes = 64 << 20;
    /// Time on a processor, in milliseconds.
    cpu_ms = 2_000;
    /// Time from start to end, waiting included, in milliseconds. 30 s: what most
    /// services allow themselves for an answer.
    wall_ms = 30_000;
    /// One HTTP request's body, in bytes.
    request_bytes = 8 << 20;
    /// One HTTP answer's body, decompressed, in bytes.
    response_bytes = 8 << 20;
    /// HTTP requests in one call, redirects included.
    requests = 50;
    /// What an operation may return, in bytes.
    output_bytes = 4 << 20;
    /// Log text and error output of one call, in bytes.
    log_bytes = 64 << 10;
    /// Bytes that one call may write to granted folders.
    file_bytes = 64 << 20;
    /// Elements of one table of functions. At most 65,536: whole language runtimes have
    /// 10 to 30 thousand.
    table_elements = 64 << 10;
    /// Tables of the whole call. At most 16.
    tables = 16;
    /// Core instances of the whole call. At most 16: connectors with a runtime for
    /// JavaScript have 8 to 11.
    instances = 16;
    /// Handles held at the same time: streams, bodies, pollables. At most 1,000: real
    /// connectors hold a handful, and each costs the host up to 200 bytes.
    handles = 1_000;
    /// One request's URL, in bytes. At most 16 KiB: twice what servers accept.
    url_bytes = 16 << 10;
    /// One request's headers. At most 64: no API asks for more.
    request_headers = 64;
    /// Names and values of one request's headers, in bytes. At most 16 KiB: most servers
    /// refuse more than 8 to 16.
    request_header_bytes = 16 << 10;
    /// The same of one answer. At most 64 KiB.
    response_header_bytes = 64 << 10;
    /// Calls of the plugin at the same time.
    concurrency = 64;
    /// HTTP requests of the plugin in a minute.
    requests_per_minute = 6_000;
}

impl LimitsPart {
    /// What no grant gives more of, whatever it says: the host is built for this much.
    pub fn most() -> Self {
        let Limits { table_elements, tables, instances, handles, .. } = Limits::DEFAULT;
        let Limits { url_bytes, request_headers, request_header_bytes, response_header_bytes, .. } = Limits::DEFAULT;
        Self {
            table_elements: Some(table_elements),
            tables: Some(tables),
            instances: Some(instances),
            handles: Some(handles),
            url_bytes: Some(url_bytes),
            request_headers: Some(request_headers),
            request_header_bytes: Some(request_header_bytes),
            response_header_bytes: Some(response_header_bytes),
            memory_bytes: Some(1 << 30),
            ..Self::default()
        }
    }

    /// Whether a grant can give more than this of the limit of that name.
    pub fn can_raise(name: &str, limit: u64) -> bool {
        let is_most = |(most, value): (&str, u64)| most == name && limit >= value;
        Self::knows(name) && !Self::most().entries().into_iter().any(is_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_only_lowers() {
        let cap = LimitsPart { wall_ms: Some(10), memory_bytes: Some(u64::MAX), ..LimitsPart::default() };
        let limits = Limits::default().capped_by(&cap);
        assert_eq!(limits.wall_ms, 10);
        assert_eq!(limits.memory_bytes, Limits::default().memory_bytes);
        assert_eq!(cap.entries(), [("memory_bytes", u64::MAX), ("wall_ms", 10)]);
    }

    #[test]
    fn what_the_host_is_built_for_cannot_be_raised() {
        assert!(
            LimitsPart::can_raise("memory_bytes", (1 << 30) - 1) && !LimitsPart::can_raise("memory_bytes", 1 << 30)
        );
        assert!(LimitsPart::can_raise("cpu_ms", u64::MAX));
        assert!(LimitsPart::can_raise("handles", 999));
        assert!(!LimitsPart::can_raise("handles", 1_000));
        assert!(!LimitsPart::can_raise("stack_bytes", 1));
        assert_eq!(Limits::default().capped_by(&LimitsPart::most()), Limits::default(), "defaults are within");
    }
}
