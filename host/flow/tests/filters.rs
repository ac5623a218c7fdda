//! Every example of the reference is true, and every filter has one; what filters refuse
//! they refuse in words, when the flow is saved or when it runs.

#![allow(clippy::unwrap_used, reason = "a failed test is the wanted end")]

mod fixtures;

use std::sync::Arc;

use fixtures::{Fixture, manual, run_facts};
use flow::{Effect, Event, Format, Outcome, State, check, step};
use model::Failure;
use serde_json::{Value, json};

/// What an expression makes, or what is said of it.
fn eval(expression: &str) -> Result<Value, String> {
    let output = json!(format!("{{{{ {expression} }}}}"));
    let text = manual(&format!("steps: []\noutput: {output}"));
    let plan = check(&text, Format::Yaml, "flow.yaml", &Fixture::new()).map_err(|problems| problems[0].what.clone())?;
    let event = Event::Started { trigger: Arc::new(json!({ "x": "a" })), run: run_facts() };
    let transition = step(&plan, &State::new(), event);
    let [Effect::Finish(ending)] = transition.effects.as_slice() else { panic!("{transition:?}") };
    match (&ending.outcome, &ending.failure) {
        (Outcome::Succeeded, None) => Ok(ending.output.as_ref().clone()),
        (Outcome::Failed, Some(Failure::Expression { message, .. })) => Err(message.clone()),
        other => panic!("{other:?}"),
    }
}

/// The rows of the page's filters: what stands first, and the examples.
fn rows(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let filters = page.split_once("## Filters").unwrap().1.split_once("### Patterns").unwrap().0;
    let rows = filters.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let plain = line.replace("\\|", "\u{1}");
        let cells: Vec<String> = plain.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
        let example = |text: &str| {
            let (expression, made) = text.split_once("` → `").unwrap_or_else(|| panic!("{text}"));
            (expression.trim_start_matches('`').to_owned(), made.trim_end_matches('`').to_owned())
        };
        let examples = cells[3].split("<br>").filter(|text| !text.is_empty()).map(example).collect();
        (cells[1].trim_matches('`').to_owned(), examples)
    })
    .collect()
}

#[test]
fn every_example_of_the_reference_is_true() {
    let rows = rows(&flow::reference());
    assert!(rows.len() > 60, "the page lists {} filters", rows.len());
    for (usage, examples) in rows {
        let name = usage.split('(').next().unwrap();
        assert!(name == "lookup" || !examples.is_empty(), "{name} has no example");
        for (expression, made) in examples {
            assert!(expression.contains(name), "{expression} is no example of {name}");
            let wanted: Value = serde_json::from_str(&made).unwrap_or_else(|error| panic!("{made}: {error}"));
            assert_eq!(eval(&expression), Ok(wanted), "{expression}");
        }
    }
}

#[test]
fn what_is_wrong_names_the_filter_and_what_was_found() {
    for (expression, wanted) in [
        ("'x' | round", "filter round: expects a number, got the text \"x\""),
        ("1.5 | round(99)", "filter round: expects digits from 0 to 15, got the number 99"),
        ("1e300 | floor", "filter floor: makes 1"),
        ("none | upper2", "there is no filter \"upper2\": write upper"),
        ("'x' | int", "filter int: expects a number, got the text \"x\""),
        ("'a' | pad_left", "filter pad_left needs the argument width: pad_left(width, with?)"),
        ("'a' | pad_left(3, 'x', 1)", "filter pad_left takes at most 2 arguments in places, got 3"),
        ("'a' | pad_left(3, wth='x')", "filter pad_left has no argument \"wth\": pad_left(width, with?); write with"),
        ("'a' | pad_left(3, width=2)", "filter pad_left gets the argument width twice"),
        ("'a' | upper(1)", "filter upper takes at most 0 arguments in places, got 1"),
        ("'a' | pad_left(5000)", "filter pad_left: expects width from 0 to 1000, got the number 5000"),
        ("'a' | pad_left(3, 'xy')", "filter pad_left: expects one character to fill up with, got \"xy\""),
        ("[1] | truncate(3)", "filter truncate: expects text, got a list"),
        ("'a' | split('')", "filter split: expects something to split at, got an empty text"),
        ("{} | pluck('n')", "filter pluck: expects a list, got an object"),
        ("[1] | pluck('n')", "filter pluck: expects items with \"n\", got the number 1"),
        ("[1, 'a'] | sum", "filter sum: expects a number, got the text \"a\" among the items"),
        ("[1] | chunk(0)", "filter chunk: expects size from 1 to 10000, got the number 0"),
        ("['a'] | map('uper') | list", "there is no filter \"uper\": write upper"),
        ("['a'] | map('pad_left') | list", "filter pad_left needs the argument width"),
        ("[1] | select('grt', 1) | list", "there is no test \"grt\": write gt"),
        ("'31/12' | format_date('%Y')", "filter format_date: expects a date such as 2026-03-29"),
        ("'2026-01-01' | format_date('%!')", "filter format_date: expects a pattern such as %Y-%m-%d %H:%M"),
        (
            "'2026-01-01' | to_zone('Europe/Berln')",
            "filter to_zone: expects a time zone of the IANA database, perhaps Europe/Berlin, got",
        ),
        (
            "'2026-01-01' | add_time('soon')",
            "filter add_time: expects a time such as 2h, -1d, 1mo or '1y 6mo', got \"soon\"",
        ),
        ("'2026-01-01' | add_time('9000y')", "filter add_time: makes a date beyond the year 9999"),
        (
            "'2026-01-01' | start_of('moth')",
            "filter start_of: expects a unit from millisecond to year, got \"moth\"; write month",
        ),
        ("'a b' | base64_decode", "filter base64_decode: expects Base64, got the text \"a b\""),
        ("'/w==' | base64_decode", "filter base64_decode: expects Base64 of a text in UTF-8"),
        ("'abc' | hex_decode", "filter hex_decode: expects hexadecimal digits, got the text \"abc\""),
        ("'%2' | url_decode", "filter url_decode: expects a part of a web address, got the text \"%2\""),
        ("'{' | parse_json", "filter parse_json: expects JSON text"),
        ("'a' | lookup('t')", "the flow has no table \"t\""),
        ("trigger.y | round", "a value it reads is not there"),
        ("[trigger.x] | sum('n')", "filter sum: expects items with \"n\", got the text \"a\""),
    ] {
        let error = eval(expression).expect_err(expression);
        assert!(error.starts_with(wanted), "{expression}: {error}");
    }
}

#[test]
fn dates_go_by_the_calendar_of_their_zone() {
    for (expression, wanted) in [
        // The night in which an hour is left out, and the one in which it comes twice.
        ("'2026-03-28T12:00:00' | add_time('1d', 'Europe/Berlin')", "2026-03-29T12:00:00+02:00"),
        ("'2026-03-28T12:00:00' | add_time('24h', 'Europe/Berlin')", "2026-03-29T13:00:00+02:00"),
        ("'2026-03-29T02:30:00' | parse_date(none, 'Europe/Berlin')", "2026-03-29T03:30:00+02:00"),
        ("'2026-10-25T02:30:00' | parse_date(none, 'Europe/Berlin')", "2026-10-25T02:30:00+02:00"),
        ("'2026-10-25T12:00:00+01:00' | end_of('day', 'Europe/Berlin')", "2026-10-25T23:59:59.999+01:00"),
        ("'2026-10-25T12:00:00+01:00' | start_of('day', 'Europe/Berlin')", "2026-10-25T00:00:00+02:00"),
        ("'2026-05-17' | start_of('quarter')", "2026-04-01T00:00:00Z"),
        ("'2026-05-17' | end_of('year')", "2026-12-31T23:59:59.999Z"),
        ("'2024-02-29' | add_time('1y')", "2025-02-28T00:00:00Z"),
        ("'2026-01-01T00:30:00Z[Europe/Berlin]' | to_zone('UTC')", "2026-01-01T00:30:00Z"),
        ("1774767600500 | parse_date", "2026-03-29T07:00:00.500Z"),
    ] {
        assert_eq!(eval(expression), Ok(Value::from(wanted)), "{expression}");
    }
    for (expression, wanted) in [
        ("'2026-03-30T00:00:00+02:00' | time_since('2026-03-29T00:00:00+01:00', 'hours')", 23),
        ("'2026-03-30T00:00:00' | time_since('2026-03-29T00:00:00', 'days', 'Europe/Berlin')", 1),
        ("'2026-03-30' | time_since('2024-03-31', 'years')", 1),
        ("'2026-03-30' | time_since('2025-08-31', 'quarters')", 2),
        ("'2026-03-01' | time_since('2026-03-31', 'weeks')", -4),
    ] {
        assert_eq!(eval(expression), Ok(Value::from(wanted)), "{expression}");
    }
}

#[test]
fn numbers_are_rounded_as_they_are_written() {
    for (expression, wanted) in [
        ("1.005 | round(2)", "1.01"),
        ("9.995 | round(2)", "10.0"),
        ("-0.5 | round", "-1"),
        ("9007199254740993 | round", "9007199254740993"),
        ("9007199254740993 | format_number", "\"9,007,199,254,740,993\""),
        ("-1234.5 | format_number", "\"-1,235\""),
        ("999.995 | format_number(2)", "\"1,000.00\""),
        ("0.1 | format_number(3)", "\"0.100\""),
        ("12 | format_number(2, '')", "\"12.00\""),
        ("[9007199254740993, 1] | sum", "9007199254740994"),
        ("[1, 0.5] | sum", "1.5"),
        ("' 7 ' | int", "7"),
        ("'1e3' | int", "1000"),
    ] {
        let wanted: Value = serde_json::from_str(wanted).expect(wanted);
        assert_eq!(eval(expression).map(|made| made.to_string()), Ok(wanted.to_string()), "{expression}");
    }
}

#[test]
fn texts_of_any_kind_come_back_from_their_encodings() {
    for text in ["", "a", "ab", "abc", "Größe & Maß/ü?=+~", "日本語", "\u{1f980}"] {
        for way in ["base64", "hex", "url"] {
            let expression = format!("'{text}' | {way}_encode | {way}_decode");
            assert_eq!(eval(&expression), Ok(Value::from(text)), "{expression}");
        }
    }
    assert_eq!(eval("'QQ' | base64_decode"), Ok(Value::from("A")), "without padding");
    assert_eq!(eval("'8J-mgA==' | base64_decode"), Ok(Value::from("\u{1f980}")), "the alphabet of addresses");
    for (expression, wanted) in [
        ("'<script>x<b></script >a<!-- > -->b &lt;i&gt; 1 < 2' | strip_html", "ab <i> 1 < 2"),
        ("'<p>never closed <b' | strip_html", "never closed "),
        ("'  Ça va, l’été? ' | slug", "ca-va-lete"),
        ("'日本 2026' | slug", "日本-2026"),
        ("'abc' | truncate(0)", ""),
        ("'abc' | truncate(1)", "…"),
    ] {
        assert_eq!(eval(expression), Ok(Value::from(wanted)), "{expression}");
    }
}
