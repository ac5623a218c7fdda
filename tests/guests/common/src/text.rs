//! JSON by hand, so that guests stay small and quick to build.

/// One action that may do everything a grant allows.
pub const ACTION: &str = r#"{"id":"act","label":"Act","help":"Does what this guest does.","effect":"create",
"idempotency":{"kind":"none"},"destinations":["* any"],"files":"write","connection":"optional",
"input":{},"output":{},"sample":{"input":null,"output":null}}"#;

/// One trigger.
pub const TRIGGER: &str = r#"{"id":"happened","label":"Happened","help":"When it happened.",
"webhook":{"verification":{"scheme":"github"},"delivery_key":{"from":"fingerprint"}},
"config":{},"event":{},"sample":{"config":{},"body":{},"event":{}}}"#;

/// One trigger that is polled.
pub const POLLED: &str = r#"{"id":"found","label":"Found","help":"When it was found.","kind":"poll",
"poll":{"every_s":60},"config":{},"event":{},"sample":{"config":{},"event":{}}}"#;

/// A valid manifest with the action `act`, for the package `guest-ID`.
pub fn describe(package: &str) -> String {
    let id = package.strip_prefix("guest-").unwrap_or(package);
    format!(
        r#"{{"manifest_version":1,"id":"{id}","version":"0.1.0","label":"{id}","publisher":"Tests","license":"MIT",
"support":{{"owner":"Tests","contact":"tests@example.com","policy":"none"}},"purpose":"Tests the sandbox.","data":"None.",
"connection":{{"base_url":{{"help":"Where the receiver is."}},"auth":[{{"scheme":"bearer","help":"Any token."}}]}},
"actions":[{ACTION}],"triggers":[]}}"#
    )
}

/// The text as a JSON string.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The texts as a JSON array of strings.
pub fn list(texts: impl IntoIterator<Item = String>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| quote(&text)).collect();
    format!("[{}]", quoted.join(","))
}

/// The text of a JSON string without escapes.
pub fn unquote(json: &str) -> &str {
    json.trim_matches('"')
}
