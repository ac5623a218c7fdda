//! `#[poll]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, GenericArgument, ItemFn, LitStr, PathArguments, Result, Type};

use crate::facts;
use crate::json::{Json, Source, quoted};

const KNOWN: [&str; 8] =
    ["every", "at_most_every", "destinations", "scopes", "files", "connection", "sample", "deprecated"];

#[derive(Default)]
struct Attribute {
    every: Option<u64>,
    at_most_every: Option<u64>,
    destinations: Option<String>,
    scopes: Option<String>,
    files: Option<String>,
    connection: Option<String>,
    sample: Option<Source>,
    deprecated: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &KNOWN)?;
            match name.to_string().as_str() {
                "every" => facts::once(&mut this.every, &name, parse_seconds(&input.parse()?)?)?,
                "at_most_every" => facts::once(&mut this.at_most_every, &name, parse_seconds(&input.parse()?)?)?,
                "destinations" => facts::once(&mut this.destinations, &name, facts::destinations(&input.parse()?)?)?,
                "scopes" => facts::once(&mut this.scopes, &name, facts::scopes(&input.parse()?)?)?,
                "files" => {
                    let word = facts::one_of(input, &["none", "read"])?;
                    facts::once(&mut this.files, &name, word.to_string())?;
                }
                "connection" => {
                    let word = facts::one_of(input, &["none", "optional", "required"])?;
                    facts::once(&mut this.connection, &name, word.to_string())?;
                }
                "sample" => facts::once(&mut this.sample, &name, input.parse()?)?,
                _ => facts::once(&mut this.deprecated, &name, input.parse::<Json>()?.to_json())?,
            }
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

/// `"30s"`, `"5m"`, `"2h"`
fn parse_seconds(text: &LitStr) -> Result<u64> {
    let wrong = || Error::new(text.span(), "a time is a number and a unit: \"30s\", \"5m\", \"2h\"");
    let value = text.value();
    let (number, unit) = value.split_at_checked(value.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

impl Attribute {
    /// The members of `poll` in the manifest.
    fn to_poll(&self) -> Result<String> {
        let every = facts::required(self.every, "every", Span::call_site())?;
        let mut text = format!(r#""every_s":{every}"#);
        if let Some(least) = self.at_most_every {
            text.push_str(&format!(r#","every_s_min":{least}"#));
        }
        for (name, value) in [("destinations", &self.destinations), ("scopes", &self.scopes)] {
            if let Some(value) = value {
                text.push_str(&format!(r#","{name}":{value}"#));
            }
        }
        if let Some(files) = &self.files {
            text.push_str(&format!(r#","files":"{files}""#));
        }
        Ok(text)
    }
}

/// `T` of `Page<T>`.
fn event_type(page: &Type) -> Result<&Type> {
    let wrong = || Error::new_spanned(page, "a poll returns `Result<Page<Event>>`");
    let Type::Path(path) = page else { return Err(wrong()) };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Page").ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(wrong()) };
    match arguments.args.first() {
        Some(GenericArgument::Type(kind)) => Ok(kind),
        _ => Err(wrong()),
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let id = facts::operation_id(name)?;
    let (label, help) = facts::label_and_help(&function.attrs, name, "a polled trigger")?;
    let deprecated = attribute.deprecated.as_ref().map(|notice| format!(r#","deprecated":{notice}"#));
    let facts = format!(r#""label":{},"help":{}{}"#, quoted(&label), quoted(&help), deprecated.unwrap_or_default());
    let poll = attribute.to_poll()?;
    let sample = facts::required(attribute.sample.as_ref(), "sample", Span::call_site())?.to_tokens();
    let connection = match &attribute.connection {
        Some(need) => quote! { ::core::option::Option::Some(#need) },
        None => quote! { ::core::option::Option::None },
    };
    let event = event_type(facts::result_type(&function)?)?;
    let (config, call) = match facts::argument_types(&function)?.as_slice() {
        [Type::Reference(_)] => (quote! { ::sluicegate_sdk::Nothing }, quote! { let _ = config; #name(from) }),
        [config, Type::Reference(_)] => (quote! { #config }, quote! { #name(config, from) }),
        _ => {
            return Err(Error::new_spanned(
                &function.sig,
                "a poll takes its configuration, if it has one, and a `&Position`",
            ));
        }
    };
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "the host hands the input over")]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::poll::Poll for #name {
            const ID: &'static str = #id;
            const FACTS: &'static str = #facts;
            const POLL: &'static str = #poll;
            const SAMPLE: &'static str = #sample;
            const CONNECTION: ::core::option::Option<&'static str> = #connection;
            type Config = #config;
            type Event = #event;

            fn poll(
                config: Self::Config,
                from: &::sluicegate_sdk::poll::Position,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::poll::Page<Self::Event>> {
                #call
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, wanted) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2h", Some(7_200)),
            ("5", None),
            ("", None),
            ("m", None),
            ("5é", None),
        ] {
            let text = LitStr::new(text, Span::call_site());
            assert_eq!(parse_seconds(&text).ok(), wanted, "{}", text.value());
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_poll() {
        let check = |attribute: &str, function: &str, wanted: &str| {
            let expanded = expand(attribute.parse().expect("tokens"), function.parse().expect("tokens"));
            let message = expanded.expect_err(function).to_string();
            assert!(message.contains(wanted), "{message}");
        };
        let good = "/// New\nfn new(from: &Position) -> Result<Page<Thing>> {}";
        check("", good, "`every` is missing");
        check("every = \"5m\"", good, "`sample` is missing");
        check("every = \"often\"", good, "a number and a unit");
        let sampled = "every = \"5m\", sample = { config: {}, event: {} }";
        check(sampled, "/// New\nfn new(from: &Position) -> Result<Vec<Thing>> {}", "returns `Result<Page<Event>>`");
        check(sampled, "/// New\nfn new(config: Config) -> Result<Page<Thing>> {}", "and a `&Position`");
        check(sampled, "fn new(from: &Position) -> Result<Page<Thing>> {}", "needs a doc comment");
        check("files = write", good, "expected one of: none, read");
    }
}
