//! One run on one page: what started it, what each step did, what each call sent
//! and which rule let it; and if it failed, what happened, why, and what to do.

use engine::{CallRecord, DeadLetter, Duplicates, Retries, RunStatus, RunView, WaitView};
use model::{AccessRecord, Failure, Problem};
use sandbox::{LogLevel, LogLine};
use serde_json::Value;

use super::{origin, status};
use crate::dead::after_looking;
use crate::show::{Paint, bytes, duration, hang, short, time};

/// Longer values are cut on the page; `--json` has them whole.
const VALUE_CHARS_MAX: usize = 400;

/// The page, as long as the run has steps and calls.
pub(crate) fn page(run: &RunView, paint: Paint) -> String {
    let mut lines = head(run, paint);
    let receiving: Vec<&CallRecord> = run.calls.iter().filter(|call| call.step.is_none()).collect();
    if !receiving.is_empty() {
        lines.push(String::new());
        lines.push(format!("{}  the connector reads the delivery", paint.bold("Trigger")));
        receiving.into_iter().for_each(|call| tell_call(&mut lines, call, paint));
    }
    for (number, step) in (1..).zip(&run.steps) {
        lines.push(String::new());
        tell_step(&mut lines, &format!("{number}."), step, run, paint);
    }
    if let Some(output) = run.output.as_ref().filter(|output| !output.is_null()) {
        lines.push(String::new());
        lines.push(format!("{}  {}", paint.bold("Output"), short(output, VALUE_CHARS_MAX)));
    }
    tell_end(&mut lines, run, paint);
    lines.join("\n")
}

fn head(run: &RunView, paint: Paint) -> Vec<String> {
    let record = &run.record;
    let took = record.finished_at_ms.map(|end| format!(" in {}", duration(end.saturating_sub(record.accepted_at_ms))));
    let mut lines = vec![
        format!("{} {}  {}{}", paint.bold("Run"), record.id, status(record.status, paint), took.unwrap_or_default()),
        format!("  flow      {} ({}), version {}, {}", run.flow_name, record.flow, record.version, record.environment),
        format!("  accepted  {}", time(record.accepted_at_ms)),
        format!("  origin    {}", origin(&record.origin)),
    ];
    lines.extend(
        run.reason.as_ref().map(|reason| format!("  reason    {}", short(&reason.as_str().into(), VALUE_CHARS_MAX))),
    );
    lines.extend(run.duplicates.map(|duplicates| format!("  repeated  {}", repeated(&duplicates, "time", "times"))));
    lines.extend(run.retries.map(|retries| format!("  retried   {}", retried(&retries))));
    lines.extend(wait_lines(&run.waits, paint));
    if run.waits.is_empty() {
        lines.extend(run.waiting_until_ms.map(|at_ms| format!("  waiting   until {}", time(at_ms))));
    }
    lines.extend(
        run.trigger
            .as_ref()
            .filter(|event| !event.is_null())
            .map(|event| format!("  event     {}", short(event, VALUE_CHARS_MAX))),
    );
    lines
}

/// What is waited for, until when, and who must act.
pub(crate) fn wait_lines(waits: &[WaitView], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for wait in waits {
        let step = wait.step.as_ref().map(|step| format!(", at step {step}")).unwrap_or_default();
        let until = wait.until_ms.map(|at_ms| format!(", until {}", time(at_ms))).unwrap_or_default();
        lines.push(format!("  {} {}{until}{step}", paint.warn("waits for"), hang(&wait.what, 12)));
        if let (Some(who), Some(how)) = (&wait.who, &wait.how) {
            lines.push(format!("  {}  {who}: {}", paint.warn("who acts"), hang(how, 12)));
        }
    }
    lines
}

/// `3 times as a duplicate, last 2026-11-22 08:01:23 UTC`
pub(crate) fn repeated(duplicates: &Duplicates, one: &str, many: &str) -> String {
    let Duplicates { count, last_ms } = duplicates;
    let word = if *count == 1 { one } else { many };
    format!("{count} {word} as a duplicate, and refused; last {}", time(*last_ms))
}

fn retried(retries: &Retries) -> String {
    let Retries { failed, rate_limited, refused } = *retries;
    let why = [(rate_limited, "rate-limited"), (refused, "refused for the credential")];
    let why: Vec<String> =
        why.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
    format!("{failed} of its attempts failed and were made again{why}")
}

type Step = flow::StepView;

/// A step, its calls, and the items of a loop with their steps, further in.
fn tell_step(lines: &mut Vec<String>, number: &str, step: &Step, run: &RunView, paint: Paint) {
    let name = if step.label == step.step.as_str() { String::new() } else { format!(" ({})", step.step) };
    let uses = step.uses.as_ref().map_or_else(|| word(step.kind), Clone::clone);
    let attempts = if step.attempts > 1 { format!(", {} attempts", step.attempts) } else { String::new() };
    let taken = step.taken.as_ref().map(|way| format!(", took {way}")).unwrap_or_default();
    let outcome = outcome(step.outcome, paint);
    lines.push(format!(
        "{} {}{name}  {}  {outcome}{attempts}{taken}",
        paint.bold(number),
        paint.bold(&step.label),
        paint.dim(&uses)
    ));
    if let Some(what) = &step.waits_for {
        let words = if step.outcome == flow::StepOutcome::Waiting { "waits for" } else { "waited for" };
        lines.push(format!("   {}  {}", paint.dim(words), hang(what, 14)));
    }
    let own = |child: &&engine::Child| child.spot.step == step.step && child.spot.iteration == step.iteration;
    for child in run.children.iter().filter(own) {
        let attempt = if step.attempts > 1 { format!(", attempt {}", child.attempt) } else { String::new() };
        lines.push(format!("   {}      {}{attempt}", paint.dim("run"), child.run));
    }
    tell_value(lines, "input", step.input.as_deref(), paint);
    tell_value(lines, "output", step.output.as_deref(), paint);
    if let Some(failure) = &step.failure {
        lines.push(format!("   {}  {}", paint.dim("failure"), hang(&failure.to_problem().what, 12)));
    }
    let own = |call: &&CallRecord| call.step.as_ref() == Some(&step.step) && call.iteration == step.iteration;
    run.calls.iter().filter(own).for_each(|call| tell_call(lines, call, paint));
    if let Some(items) = &step.items {
        tell_items(lines, number, items, run, paint);
    }
}

fn tell_items(lines: &mut Vec<String>, number: &str, items: &flow::ItemsView, run: &RunView, paint: Paint) {
    let failed = if items.failed > 0 { format!(", {} failed", items.failed) } else { String::new() };
    lines.push(format!("   {}    {}, {} done{failed}", paint.dim("items"), items.total, items.succeeded));
    for item in &items.shown {
        let mut inner = vec![format!("{} {}  {}", paint.dim("item"), item.index, outcome(item.outcome, paint))];
        for (place, step) in (1..).zip(&item.steps) {
            if step.outcome != flow::StepOutcome::NotReached {
                tell_step(&mut inner, &format!("{number}{place}."), step, run, paint);
            }
        }
        lines.extend(inner.iter().flat_map(|line| line.lines()).map(|line| format!("   {line}")));
    }
    let more = items.total.saturating_sub(u32::try_from(items.shown.len()).unwrap_or(u32::MAX));
    if more > 0 {
        lines.push(paint.dim(&format!("   ... {} more", thousands(more))));
    }
}

/// `9990` as `9,990`.
fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The kind or outcome as documents write it.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn outcome(outcome: flow::StepOutcome, paint: Paint) -> String {
    use flow::StepOutcome as O;
    let word = word(outcome).replace('-', " ");
    match outcome {
        O::Succeeded => paint.good(&word),
        O::Failed | O::Cancelled => paint.bad(&word),
        O::Calling | O::Looping | O::Waiting | O::Continued => paint.warn(&word),
        O::NotReached | O::Skipped => paint.dim(&word),
    }
}

fn tell_value(lines: &mut Vec<String>, name: &str, value: Option<&Value>, paint: Paint) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        lines.push(format!("   {}  {}", paint.dim(&format!("{name:<7}")), short(value, VALUE_CHARS_MAX)));
    }
}

fn tell_call(lines: &mut Vec<String>, call: &CallRecord, paint: Paint) {
    let took = duration(call.duration_us.div_ceil(1_000));
    let end = match &call.failure {
        None => paint.good("succeeded"),
        Some(failure) => format!("{}: {}", paint.bad("failed"), hang(&failure.to_problem().what, 15)),
    };
    let on = call.digest.map(|digest| format!(" on {}", digest.to_short())).unwrap_or_default();
    lines.push(format!("   {} {} took {took}{on}, {end}", paint.dim("attempt"), call.attempt));
    call.accesses
        .iter()
        .for_each(|access| lines.extend(access_lines(access, paint).into_iter().map(|line| format!("     {line}"))));
    call.log.iter().for_each(|line| lines.push(format!("     {}", log_line(line, paint))));
}

/// One outbound request or file access, with the decision on it.
pub(crate) fn access_lines(access: &AccessRecord, paint: Paint) -> Vec<String> {
    let mark = if access.allowed { paint.good("allowed") } else { paint.bad("DENIED ") };
    // A URL's path brings its slash along; a file's path in its folder does not.
    let slash = if access.path.is_empty() || access.path.starts_with('/') { "" } else { "/" };
    let mut lines = vec![format!("{mark} {} {}{slash}{}", access.method, access.target, access.path)];
    lines.push(format!("        {} {}", paint.dim("rule"), hang(&access.rule, 13)));
    if access.allowed {
        lines.push(format!("        {} {}", paint.dim("sent"), sent(access)));
    }
    if let Some(fix) = &access.fix {
        lines.push(format!("        {}  {}", paint.dim("fix"), hang(fix, 13)));
    }
    lines
}

fn sent(access: &AccessRecord) -> String {
    let address = access.address.as_ref().map(|address| format!(" to {address}")).unwrap_or_default();
    let end = match (&access.error, access.status) {
        (Some(error), _) => format!("no answer: {error}"),
        (None, Some(status)) => format!("answered {status} with {}", bytes(access.received_bytes)),
        (None, None) => format!("read {}", bytes(access.received_bytes)),
    };
    format!("{}{address}, {end}, {}", bytes(access.sent_bytes), duration(access.duration_ms))
}

/// One line of a connector's log.
pub(crate) fn log_line(line: &LogLine, paint: Paint) -> String {
    let level = match line.level {
        LogLevel::Debug => paint.dim("debug"),
        LogLevel::Info => paint.dim("info "),
        LogLevel::Warn => paint.warn("warn "),
        LogLevel::Error => paint.bad("error"),
    };
    let fields: String = line.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{} {level} {}{fields}", paint.dim(&format!("+{} ms", line.offset_ms)), hang(&line.message, 5))
}

fn tell_end(lines: &mut Vec<String>, run: &RunView, paint: Paint) {
    let record = &run.record;
    let Some(letter) = &run.dead_letter else {
        if record.status == RunStatus::Ignored {
            lines.push(String::new());
            lines.push("The delivery held nothing for this flow: that is no failure.".to_owned());
        }
        return;
    };
    lines.push(String::new());
    let place = place(letter, &run.steps);
    lines.push(format!("{}  {place}, {}", paint.bad("It gave up"), time(letter.at_ms)));
    tell_problem(lines, &letter.problem, paint);
    match (&letter.replayed_as, &letter.settled) {
        (Some(again), _) => lines.push(format!("  replayed       as {again}: sluice run show {again}")),
        (None, Some(settled)) => {
            let note = settled.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            lines.push(format!("  settled        by {}{note}", settled.by));
        }
        (None, None) => lines.push(format!("  what next      {}", hang(&what_next(letter), 17))),
    }
}

/// Where a run gave up. Its output is made behind the steps, and is none of them.
fn place(letter: &DeadLetter, steps: &[Step]) -> String {
    let is_output = matches!(&letter.failure, Failure::Expression { field, .. } if field.starts_with("output"));
    let is_reached = |step: &Step| step.outcome != flow::StepOutcome::NotReached;
    match &letter.step {
        Some(step) => format!("at step {step}{}", letter.iteration),
        None if is_output => "at its output".to_owned(),
        None if steps.iter().any(is_reached) => "outside of its steps".to_owned(),
        None => "before the first step".to_owned(),
    }
}

fn what_next(letter: &DeadLetter) -> String {
    match after_looking(letter) {
        Some(ways) => ways.join("\n"),
        None => format!("once mended: sluice dead replay {} (with --newest after a change of the flow)", letter.run),
    }
}

fn tell_problem(lines: &mut Vec<String>, problem: &Problem, paint: Paint) {
    let mut tell = |name: &str, words: &str| {
        lines.push(format!("  {}  {}", paint.bold(&format!("{name:<13}")), hang(words, 17)));
    };
    let place = problem.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    tell("what happened", &format!("{place}{}", problem.what));
    if let Some(cause) = &problem.cause {
        tell("likely cause", cause);
    }
    if let Some(fix) = &problem.fix {
        tell("how to fix it", fix);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> RunView {
        let digest = model::Digest::of(b"");
        let mut run: RunView = serde_json::from_value(json!({
            "id": "0".repeat(32), "flow": "alert", "environment": "test", "version": 3, "status": "failed",
            "origin": { "kind": "webhook", "delivery_key": "key:7", "index": 0 },
            "accepted_at_ms": 1_700_000_000_000u64, "finished_at_ms": 1_700_000_000_412u64,
            "flow_name": "Alert on bug", "trigger": { "n": 1 },
            "steps": [
                { "step": "post", "label": "Tell the team", "kind": "action", "uses": "slack/post-message",
                  "outcome": "failed", "attempts": 2, "input": { "text": "hi" } },
                { "step": "after", "label": "after", "kind": "stop", "outcome": "not-reached", "attempts": 0 },
                { "step": "each", "label": "each", "kind": "foreach", "outcome": "looping", "attempts": 0,
                  "items": { "total": 10_000, "succeeded": 7, "failed": 1, "shown": [
                      { "index": 3, "outcome": "failed", "steps": [
                          { "step": "tell", "iteration": [3], "label": "tell", "kind": "transform",
                            "outcome": "failed", "attempts": 0, "input": { "to": "ana" } }
                      ] }
                  ] } }
            ],
            "calls": [{
                "step": "post", "attempt": 1, "digest": digest, "duration_us": 118_000,
                "accesses": [
                    { "at_ms": 0, "method": "POST", "target": "https://slack.com:443", "path": "/api/chat.postMessage",
                      "allowed": true, "rule": "grant: POST https://slack.com/api/chat.postMessage",
                      "address": "203.0.113.4:443", "status": 503, "sent_bytes": 120, "received_bytes": 20, "duration_ms": 98 },
                    { "at_ms": 0, "method": "GET", "target": "https://evil.example:443", "path": "/", "allowed": false,
                      "rule": "no rule of the grant means it", "fix": "add:\n  \"GET https://evil.example/\"",
                      "sent_bytes": 0, "received_bytes": 0, "duration_ms": 0 }
                ],
                "failure": { "kind": "remote", "status": 503, "message": "busy" }
            }],
            "dead_letter": {
                "run": "0".repeat(32), "flow": "alert", "environment": "test", "at_ms": 1_700_000_000_412u64, "step": "post",
                "failure": { "kind": "remote", "status": 503, "message": "busy" },
                "problem": { "code": "remote", "what": "the remote answered 503: busy", "cause": "it is down", "fix": "wait" }
            }
        }))
        .expect("a run");
        run.duplicates = Some(Duplicates { count: 2, last_ms: 1_700_000_000_300 });
        run.retries = Some(Retries { failed: 3, rate_limited: 2, refused: 0 });
        run.waits = serde_json::from_value(json!([
            { "what": "the rate limit of connection chat", "step": "post", "until_ms": 1_700_000_060_000u64 },
            { "what": "a decision: Send it?", "who": "somebody with the role finance",
              "how": "sluice approval decide 7:ask approve|reject" },
        ]))
        .expect("waits");
        run
    }

    #[test]
    fn the_page_tells_the_whole_story() {
        let page = page(&run(), Paint::plain());
        for wanted in [
            "failed in 412 ms",
            "Alert on bug (alert), version 3, test",
            "delivery 7",
            "repeated  2 times as a duplicate, and refused; last 2023-11-14 22:13:20 UTC",
            "retried   3 of its attempts failed and were made again (2 rate-limited)",
            "waits for the rate limit of connection chat, until 2023-11-14 22:14:20 UTC, at step post",
            "waits for a decision: Send it?",
            "who acts  somebody with the role finance: sluice approval decide 7:ask approve|reject",
            "1. Tell the team (post)  slack/post-message  failed, 2 attempts",
            "{\"text\":\"hi\"}",
            "2. after  stop  not reached",
            "items    10000, 7 done, 1 failed",
            "   item 3  failed\n   3.1. tell  transform  failed",
            "... 9,999 more",
            "allowed POST https://slack.com:443/api/chat.postMessage",
            "rule grant: POST https://slack.com/api/chat.postMessage",
            "120 B to 203.0.113.4:443, answered 503 with 20 B, 98 ms",
            "DENIED  GET https://evil.example:443/",
            "add:\n",
            "It gave up  at step post",
            "what happened  the remote answered 503: busy",
            "likely cause   it is down",
            "how to fix it  wait",
            "sluice dead replay 00000000000000000000000000000000",
        ] {
            assert!(page.contains(wanted), "{wanted:?} is missing in\n{page}");
        }
    }

    #[test]
    fn the_page_says_where_it_gave_up() {
        let mut run = run();
        let mut letter = run.dead_letter.clone().expect("a letter");
        letter.step = None;
        let mut told = |letter: &DeadLetter, steps: bool| {
            run.dead_letter = Some(letter.clone());
            if !steps {
                run.steps.clear();
            }
            page(&run, Paint::plain())
        };
        assert!(told(&letter, true).contains("It gave up  outside of its steps"));
        let output = Failure::Expression { field: "output.name".to_owned(), message: "no such name".to_owned() };
        let output = DeadLetter { failure: output, ..letter.clone() };
        assert!(told(&output, true).contains("It gave up  at its output"));
        assert!(told(&letter, false).contains("It gave up  before the first step"));
    }

    #[test]
    fn what_may_have_happened_can_be_said_to_have() {
        let mut run = run();
        let letter = run.dead_letter.as_mut().expect("a letter");
        letter.failure = Failure::MayHaveHappened { message: "the answer was lost".to_owned() };
        let id = letter.run.clone();
        let page = page(&run, Paint::plain());
        for wanted in [format!("sluice dead happened {id} --output"), format!("sluice dead replay {id} --yes-repeat")] {
            assert!(page.contains(&wanted), "{wanted:?} is missing in\n{page}");
        }
    }
}
