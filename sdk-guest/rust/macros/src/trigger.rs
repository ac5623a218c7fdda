//! `#[trigger]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ItemFn, LitStr, Result, Type, parenthesized};

use crate::facts;
use crate::json::{Json, Source, members_to_json, quoted};

const KNOWN: [&str; 5] = ["verification", "delivery_key", "headers", "sample", "deprecated"];

#[derive(Default)]
struct Attribute {
    verification: Option<String>,
    delivery_key: Option<String>,
    headers: Option<String>,
    sample: Option<Source>,
    deprecated: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &KNOWN)?;
            match name.to_string().as_str() {
                "verification" => facts::once(&mut this.verification, &name, parse_verification(input)?)?,
                "delivery_key" => facts::once(&mut this.delivery_key, &name, parse_delivery_key(input)?)?,
                "headers" => facts::once(&mut this.headers, &name, parse_headers(&input.parse()?)?)?,
                "sample" => facts::once(&mut this.sample, &name, input.parse()?)?,
                _ => facts::once(&mut this.deprecated, &name, input.parse::<Json>()?.to_json())?,
            }
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

/// A scheme's name; `token` and `hmac` with their members in braces.
fn parse_verification(input: ParseStream) -> Result<String> {
    let schemes = ["github", "slack", "stripe", "standard_webhooks", "token", "hmac"];
    let word = facts::one_of(input, &schemes)?;
    let scheme = word.to_string().replace('_', "-");
    let wanted: &[&str] = match scheme.as_str() {
        "token" => &["header"],
        "hmac" => &["header", "prefix", "encoding"],
        _ => return Ok(format!(r#"{{"scheme":"{scheme}"}}"#)),
    };
    let members = input.parse::<Json>()?;
    let members = members.as_object("members in braces: { header: \"x-signature\", ... }")?;
    for (name, value) in members {
        let text = value.as_text("a text")?;
        if !wanted.contains(&name.as_str()) {
            return Err(Error::new(value.span, format!("`{name}` is none of: {}", wanted.join(", "))));
        }
        if name == "encoding" && !matches!(text, "hex" | "base64") {
            return Err(Error::new(value.span, "the encoding is \"hex\" or \"base64\""));
        }
    }
    for name in wanted.iter().filter(|name| **name != "prefix") {
        facts::required(members.iter().find(|(known, _)| known == name), name, word.span())?;
    }
    Ok(format!(r#"{{"scheme":"{scheme}",{}}}"#, members_to_json(members)))
}

/// `header("name")`, `body("/pointer")`, `fingerprint`
fn parse_delivery_key(input: ParseStream) -> Result<String> {
    let word = facts::one_of(input, &["header", "body", "fingerprint"])?;
    if word == "fingerprint" {
        return Ok(r#"{"from":"fingerprint"}"#.to_owned());
    }
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(word.span(), "say which: header(\"x-delivery\") or body(\"/id\")"));
    }
    let content;
    parenthesized!(content in input);
    let place: LitStr = content.parse()?;
    match word == "header" {
        true => Ok(format!(r#"{{"from":"header","name":{}}}"#, quoted(&lower_case(&place.value(), place.span())?))),
        false if place.value().starts_with('/') => {
            Ok(format!(r#"{{"from":"body","pointer":{}}}"#, quoted(&place.value())))
        }
        false => Err(Error::new(place.span(), "a JSON Pointer starts with a slash: \"/id\"")),
    }
}

fn parse_headers(json: &Json) -> Result<String> {
    for item in json.as_list("a list of header names")? {
        lower_case(item.as_text("a header's name in quotes")?, item.span)?;
    }
    Ok(json.to_json())
}

fn lower_case(text: &str, span: Span) -> Result<String> {
    match text.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Err(Error::new(span, "header names are in lower case here")),
        false => Ok(text.to_owned()),
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let name = &function.sig.ident;
    let visibility = &function.vis;
    let id = facts::operation_id(name)?;
    let facts = describe(&function, &attribute)?;
    let sample = facts::required(attribute.sample.as_ref(), "sample", Span::call_site())?.to_tokens();
    let events = facts::result_type(&function)?;
    let (config, call) = match facts::argument_types(&function)?.as_slice() {
        [Type::Reference(_)] => (quote! { ::sluicegate_sdk::Nothing }, quote! { let _ = config; #name(delivery) }),
        [config, Type::Reference(_)] => (quote! { #config }, quote! { #name(config, delivery) }),
        _ => {
            return Err(Error::new_spanned(
                &function.sig,
                "a trigger takes its configuration, if it has one, and a `&Delivery`",
            ));
        }
    };
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "the host hands the input over")]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Trigger for #name {
            const ID: &'static str = #id;
            const FACTS: &'static str = #facts;
            const SAMPLE: &'static str = #sample;
            type Config = #config;
            type Events = #events;

            fn map(config: Self::Config, delivery: &::sluicegate_sdk::Delivery) -> ::sluicegate_sdk::Result<Self::Events> {
                #call
            }
        }
    })
}

fn describe(function: &ItemFn, attribute: &Attribute) -> Result<String> {
    let (label, help) = facts::label_and_help(&function.attrs, &function.sig.ident, "a trigger")?;
    let verification = facts::required(attribute.verification.as_ref(), "verification", Span::call_site())?;
    let key = facts::required(attribute.delivery_key.as_ref(), "delivery_key", Span::call_site())?;
    let headers = attribute.headers.as_deref().unwrap_or("[]");
    let deprecated = attribute.deprecated.as_ref().map(|notice| format!(r#","deprecated":{notice}"#));
    Ok(format!(
        r#""label":{},"help":{},"webhook":{{"verification":{verification},"delivery_key":{key},"headers":{headers}}}{}"#,
        quoted(&label),
        quoted(&help),
        deprecated.unwrap_or_default()
    ))
}
