//! `#[action]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ItemFn, LitStr, Result, parenthesized};

use crate::facts;
use crate::json::{Json, Source, quoted};

const KNOWN: [&str; 8] =
    ["effect", "idempotency", "destinations", "scopes", "files", "connection", "sample", "deprecated"];

#[derive(Default)]
struct Attribute {
    effect: Option<String>,
    idempotency: Option<String>,
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
                "effect" => {
                    let word = facts::one_of(input, &["read", "create", "update", "delete"])?;
                    facts::once(&mut this.effect, &name, word.to_string())?;
                }
                "idempotency" => facts::once(&mut this.idempotency, &name, parse_idempotency(input)?)?,
                "destinations" => facts::once(&mut this.destinations, &name, facts::destinations(&input.parse()?)?)?,
                "scopes" => facts::once(&mut this.scopes, &name, facts::scopes(&input.parse()?)?)?,
                "files" => {
                    let word = facts::one_of(input, &["none", "read", "write"])?;
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
        this.check()
    }
}

impl Attribute {
    fn check(self) -> Result<Self> {
        if let Some(Source::Here(sample)) = &self.sample {
            let members = sample.as_object("a sample: { input: {...}, output: {...} }")?;
            for (name, value) in members {
                if name != "input" && name != "output" {
                    return Err(Error::new(value.span, format!("a sample has `input` and `output`, not `{name}`")));
                }
            }
            for name in ["input", "output"] {
                facts::required(members.iter().find(|(known, _)| known == name), name, sample.span)?;
            }
        }
        Ok(self)
    }
}

/// `natural`, `none`, `key("place")`
fn parse_idempotency(input: ParseStream) -> Result<String> {
    let word = facts::one_of(input, &["natural", "none", "key"])?;
    if word != "key" {
        return Ok(format!(r#"{{"kind":"{word}"}}"#));
    }
    if !input.peek(syn::token::Paren) {
        return Err(Error::new(word.span(), "say where the key goes: key(\"Idempotency-Key\")"));
    }
    let content;
    parenthesized!(content in input);
    let place: LitStr = content.parse()?;
    Ok(format!(r#"{{"kind":"key","place":{}}}"#, quoted(&place.value())))
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let name = &function.sig.ident;
    let id = facts::operation_id(name)?;
    let facts = describe(&function, &attribute)?;
    let sample = facts::required(attribute.sample.as_ref(), "sample", Span::call_site())?.to_tokens();
    let connection = match &attribute.connection {
        Some(need) => quote! { ::core::option::Option::Some(#need) },
        None => quote! { ::core::option::Option::None },
    };
    let output = facts::result_type(&function)?;
    let (input, call) = match facts::argument_types(&function)?.as_slice() {
        [] => (quote! { ::sluicegate_sdk::Nothing }, quote! { let _ = input; #name() }),
        [input] => (quote! { #input }, quote! { #name(input) }),
        _ => return Err(Error::new_spanned(&function.sig.inputs, "an action takes one input type, or nothing")),
    };
    let visibility = &function.vis;
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "the host hands the input over")]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Action for #name {
            const ID: &'static str = #id;
            const FACTS: &'static str = #facts;
            const SAMPLE: &'static str = #sample;
            const CONNECTION: ::core::option::Option<&'static str> = #connection;
            type Input = #input;
            type Output = #output;

            fn perform(input: Self::Input) -> ::sluicegate_sdk::Result<Self::Output> {
                #call
            }
        }
    })
}

fn describe(function: &ItemFn, attribute: &Attribute) -> Result<String> {
    let (label, help) = facts::label_and_help(&function.attrs, &function.sig.ident, "an action")?;
    let effect = facts::required(attribute.effect.as_ref(), "effect", Span::call_site())?;
    let idempotency = facts::required(attribute.idempotency.as_ref(), "idempotency", Span::call_site())?;
    let mut text = format!(
        r#""label":{},"help":{},"effect":"{effect}","idempotency":{idempotency}"#,
        quoted(&label),
        quoted(&help)
    );
    let lists = [
        ("destinations", &attribute.destinations),
        ("scopes", &attribute.scopes),
        ("deprecated", &attribute.deprecated),
    ];
    for (name, value) in lists {
        if let Some(value) = value {
            text.push_str(&format!(r#","{name}":{value}"#));
        }
    }
    if let Some(files) = &attribute.files {
        text.push_str(&format!(r#","files":"{files}""#));
    }
    Ok(text)
}
