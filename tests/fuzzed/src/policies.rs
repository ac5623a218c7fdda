//! Policy documents: read whole or refused whole, and printed as they were read.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use model::{Destination, HostPattern, Problem, Target};
use policy::{AddressRule, Ceiling, CeilingRule, FolderPath, Grant, GrantRule, NamedAddress};
use serde_json::Value;

use crate::choices::Choices;
use crate::corpus::POLICIES;
use crate::{hosts, mutate};

/// Problems of one document that a person could read. Far above what a line can have.
const PROBLEMS_PER_BYTE_MAX: usize = 4;

/// A ceiling or a grant, made of what is shipped or of nothing; and single rules.
pub fn policy(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    match choices.below(4) {
        0 => document(&String::from_utf8_lossy(choices.rest())),
        1 => document(&mutate::text(&POLICIES, &mut choices)),
        2 => {
            let mut tree = mutate::tree(&POLICIES, &mut choices);
            without_null(&mut tree);
            if let Ok(text) = toml::to_string(&tree) {
                document(&text);
            }
        }
        _ => rules(&mut choices),
    }
}

fn document(text: &str) {
    match Ceiling::parse(text, "ceiling.toml") {
        Ok(ceiling) => {
            let printed = ceiling.to_toml();
            assert_eq!(Ceiling::parse(&printed, "ceiling.toml"), Ok(ceiling), "{printed}");
        }
        Err(problems) => told(&problems, text),
    }
    match Grant::parse(text, "grant.toml") {
        Ok(grant) => {
            let printed = grant.to_toml();
            assert_eq!(Grant::parse(&printed, "grant.toml"), Ok(grant), "{printed}");
        }
        Err(problems) => told(&problems, text),
    }
}

/// A refusal says why, and at which place.
fn told(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty() && problems.len() <= (text.len() + 4) * PROBLEMS_PER_BYTE_MAX, "{problems:?}");
    for problem in problems {
        assert!(problem.field.is_some() && !problem.what.is_empty(), "{problem:?} in {text}");
    }
}

/// TOML has no null.
fn without_null(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_null);
        }
        Value::Array(items) => {
            items.retain(|value| !value.is_null());
            items.iter_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A rule is printed as it is read; and one that covers another means all that it means.
fn rules(choices: &mut Choices<'_>) {
    let (one, other) = (hosts::rule(choices), hosts::rule(choices));
    for text in [one.as_str(), other.as_str()] {
        printed_as_read::<Destination>(text);
        printed_as_read::<CeilingRule>(text);
        printed_as_read::<GrantRule>(text);
        printed_as_read::<FolderPath>(text);
        printed_as_read::<HostPattern>(text);
        printed_as_read::<AddressRule>(text);
        printed_as_read::<NamedAddress>(text);
    }
    let (Ok(outer), Ok(inner)) = (one.parse::<CeilingRule>(), other.parse::<Destination>()) else { return };
    let covers = outer.covers(&inner);
    for _ in 0..8 {
        let (method, url) = hosts::request(choices);
        let Ok(target) = Target::parse(&method, &url) else { continue };
        let both = !inner.matches(&target) || outer.matches(&target);
        assert!(both || !covers, "{outer} covers {inner}, and only the second means {method} {url}");
    }
}

fn printed_as_read<T: FromStr + Display + Debug + PartialEq>(text: &str)
where
    T::Err: Debug + Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert_eq!(printed.parse::<T>().expect("what is printed can be read"), value, "{text:?} as {printed:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_read() {
        let read = |text: &&String| Ceiling::parse(text, "a").is_ok() || Grant::parse(text, "a").is_ok();
        let good = POLICIES.texts.iter().filter(read).count();
        assert!(good >= 5, "only {good} documents of the corpus are good");
    }
}
