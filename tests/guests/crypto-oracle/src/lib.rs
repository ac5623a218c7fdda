//! Signs with the key that checks deliveries, with one that it did not ask for, and
//! guesses at signatures until somebody stops it.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, crypto, guest, list, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let algorithm = crypto::Algorithm::HmacSha256;
    let told = match unquote(input) {
        "forge" => say(crypto::sign(crypto::Key::WebhookSecret, algorithm, b"a delivery").map(|_| 0)),
        "unasked" => say(crypto::sign(crypto::Key::Credential, algorithm, b"x").map(|_| 0)),
        "guess" => say(until_stopped(|index| {
            crypto::verify(crypto::Key::WebhookSecret, algorithm, b"x", &index.to_be_bytes())
        })),
        "cut" => say(crypto::verify(crypto::Key::WebhookSecret, algorithm, b"x", b"").map(u64::from)),
        _ => say(until_stopped(|_| crypto::verify(crypto::Key::WebhookSecret, algorithm, &vec![0; 1 << 20], b"x"))),
    };
    Ok(list([told]))
}

fn until_stopped(mut guess: impl FnMut(u64) -> Result<bool, crypto::CryptoError>) -> Result<u64, crypto::CryptoError> {
    for index in 0..100_000 {
        if guess(index)? {
            return Ok(index);
        }
    }
    Ok(u64::MAX)
}

fn say(answer: Result<u64, crypto::CryptoError>) -> String {
    match answer {
        Ok(number) => format!("answered {number}"),
        Err(crypto::CryptoError::Denied(denial)) => format!("denied {}", denial.rule),
        Err(crypto::CryptoError::NoKey(_)) => "no key".to_owned(),
        Err(crypto::CryptoError::LimitExceeded(limit)) => format!("limit {}", limit.which),
    }
}
