//! Tries to set headers that belong to the host, and to hide them in others.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, guest, list, unquote, wasi};

guest!(act);

fn act(input: &str) -> Result<String, Error> {
    let url = unquote(input);
    let names = [
        "host",
        "Host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "accept-encoding",
        "proxy-authorization",
        "proxy-anything",
        "authorization",
        "Authorization",
        "cookie",
        "x-forwarded-host",
        "forwarded",
        "x-http-method-override",
        "x-original-url",
        "range",
        "if-range",
    ];
    let mut told: Vec<String> = names.map(|name| wasi::say_answer(&wasi::ask("GET", url, &[(name, "x")], None))).into();
    for (name, value) in [("x-a", "b\r\nhost: evil"), ("x-a", "b\0"), ("x a", "b"), ("x-a:b", "c"), ("", "b")] {
        told.push(wasi::say_answer(&wasi::ask("GET", url, &[(name, value)], None)));
    }
    // A body of another length than it says.
    let lengths = [("content-length", "3"), ("content-length", "9"), ("content-length", "+4")];
    for length in lengths {
        told.push(wasi::say_answer(&wasi::ask("POST", url, &[length], Some(&[b"four"]))));
    }
    told.push(wasi::say_answer(&wasi::ask("POST", url, &[("content-length", "4")], Some(&[b"four"]))));
    Ok(list(told))
}
