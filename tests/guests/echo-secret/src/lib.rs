//! Takes what a remote reflects of its request, the credential with it, and puts it
//! wherever it can: log, standard error, answer, error. The input is one of the last two.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, OtherFailure, get, guest, log, quote, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let answer = get("{base-url}/reflect").map_err(|error| Error::Permanent(format!("{error:?}")))?;
    let headers = format!("{:?} {}", answer.headers, answer.url);
    let seen = format!("{} {headers}", String::from_utf8_lossy(&answer.body));
    log::write(log::Level::Info, &seen, &[("seen".to_owned(), seen.clone())]);
    eprintln!("{seen}");
    match unquote(input) {
        "answer" => Ok(quote(&seen)),
        "error" => Err(Error::Permanent(seen)),
        "other" => Err(Error::Other(OtherFailure { code: seen.clone(), details: quote(&seen) })),
        _ => panic!("{seen}"),
    }
}
