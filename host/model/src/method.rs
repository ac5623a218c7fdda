//! The methods that HTTP has. A document that names another one holds a slip of the pen:
//! it would allow, deny or promise what is never asked for.

use crate::name::nearest;
use crate::problem::Problem;

/// What nearly every service is asked with; a slip is first looked for among these.
const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The others of the IANA registry that are letters alone, and some of services that no
/// registry lists: caches, device discovery, stores of secrets.
const OTHERS: [&str; 42] = [
    "ACL",
    "BAN",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "LABEL",
    "LINK",
    "LIST",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "ORDERPATCH",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REBIND",
    "REFRESH",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "STAT",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VIEW",
    "XPURGE",
];
/// Longer words are no method's name; a problem shows no more of them.
const CHARS_MAX: usize = 20;

/// What is wrong with a method (upper case) that HTTP does not have; None for one that it has.
pub fn unknown_method(method: &str) -> Option<Problem> {
    if USUAL.contains(&method) || OTHERS.contains(&method) {
        return None;
    }
    let shown: String = method.chars().take(CHARS_MAX).collect();
    let near = nearest(&shown, USUAL).or_else(|| nearest(&shown, OTHERS));
    let problem = Problem::new("unknown-method", format!("{shown:?} is no method of HTTP"));
    Some(match near {
        Some(near) => problem.fix(format!("did you mean {near:?}?")),
        None => problem.fix(format!("write one that it has, such as {}", USUAL.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_no_method() {
        for (method, wanted) in [
            ("GET", None),
            ("PROPFIND", None),
            ("PURGE", None),
            ("GTE", Some("did you mean \"GET\"?")),
            ("PSOT", Some("did you mean \"POST\"?")),
            ("DELET", Some("did you mean \"DELETE\"?")),
            ("PROPFNID", Some("did you mean \"PROPFIND\"?")),
            ("BREWCOFFEE", Some("write one that it has, such as GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        ] {
            let fix = unknown_method(method).and_then(|problem| problem.fix);
            assert_eq!(fix.as_deref(), wanted, "{method}");
        }
        let long = unknown_method(&"A".repeat(1_000)).expect("no method");
        assert!(long.what.len() < 60, "{}", long.what);
    }
}
