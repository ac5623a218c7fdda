//! URLs of public services under a grant: none of them may be kept from going.

use url::Url;

use crate::case::{Target, Want, written};

/// As they are written, whatever their canonical form is.
const HOSTS: [&str; 42] = [
    "api.example.com",
    "API.Example.COM",
    "api.example.com.",
    "a.b.c.d.e.f.g.h.example.org",
    "x.y",
    "1st.example.net",
    "9.example.net",
    "127.example.net",
    "10-0-0-1.example.net",
    "127.0.0.1.example.net",
    "localhost.example.net",
    "metadata.example.net",
    "0x7f.example.net",
    "a--b.example.net",
    "under_score.example.net",
    "_service._tcp.example.net",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.net",
    "m\u{fc}nchen.example",
    "M\u{dc}NCHEN.example",
    "xn--mnchen-3ya.example",
    "\u{65e5}\u{672c}\u{8a9e}.example",
    "\u{3b1}\u{3b2}\u{3b3}.example",
    "\u{434}\u{43e}\u{43c}.\u{440}\u{444}",
    "fa\u{df}.example",
    "stra\u{df}e.example.org",
    "\u{5d0}\u{5d1}.example",
    "\u{ff45}\u{ff58}\u{ff41}\u{ff4d}\u{ff50}\u{ff4c}\u{ff45}.com",
    "full\u{3002}stop.example",
    "soft\u{ad}hyphen.example",
    "%61pi.example.com",
    "8.8.8.8",
    "1.1.1.1",
    "134744072",
    "0x08080404",
    "9.9.9.9.",
    "93.184.215.14",
    "172.32.0.1",
    "192.169.1.1",
    "[2606:4700:4700::1111]",
    "[2001:4860:4860:0:0:0:0:8888]",
    "[2A00:1450:4001:81B::200E]",
    "[2620:fe::9]",
];

/// Paths, queries and fragments.
const RESTS: [&str; 26] = [
    "",
    "/",
    "/v1/items",
    "/v1/items/",
    "/v1/../v2/./items",
    "/%7Euser/%61%2Db",
    "/a%20b/c%2Cd",
    "/caf\u{e9}/\u{2603}",
    "/emoji/\u{1f980}",
    "/a;b=c/d,e/f:g/h@i",
    "/!$&'()*+,;=:@-._~",
    "/repos/o/n/contents/a.b..c/...",
    "/?",
    "/?q=a+b&r=%2F%5C%00&s=//x",
    "/?u=http://127.0.0.1/&v=http://user@10.0.0.1",
    "/?q=\u{fc}\u{2603}",
    "/?a[]=1&b{}=2|3",
    "/search?q='or%201=1--",
    "/x#fragment",
    "/x?y#z?w#v",
    "/x?y=1;z=2",
    "/rpc/com.example.Service/Call",
    "/@scope%40x/pkg",
    "/a=b",
    "/*",
    "/very/long/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const SCHEMES: [(&str, &str); 5] =
    [("https", ""), ("http", ""), ("https", ":443"), ("https", ":8443"), ("http", ":8080")];

/// 13 for each host; ways to write and paths take turns, so that all of them meet.
pub(crate) fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for (number, host) in HOSTS.iter().enumerate() {
        for turn in 0..RESTS.len() / 2 {
            let (scheme, port) = SCHEMES[(number + turn) % SCHEMES.len()];
            let url = format!("{scheme}://{host}{port}{}", RESTS[(2 * turn + number) % RESTS.len()]);
            let Some((written, address)) = Url::parse(&url).ok().and_then(|url| written(&url, false)) else { continue };
            let want = Want::Served(written, address);
            targets.push(Target { url, from: None, address: None, want, kind: "valid" });
        }
    }
    targets
}
