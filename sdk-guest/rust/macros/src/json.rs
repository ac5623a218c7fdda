//! JSON written as Rust tokens, turned into text when the macro expands.
//!
//! Keys may be bare words, commas may trail; everything else is JSON. What is no JSON
//! is an error at its place in the connector's source.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, Lit, LitStr, Result, Token, braced, bracketed};

/// A JSON value with the place it was written at.
pub(crate) struct Json {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

pub(crate) enum Value {
    /// A text, kept apart for whoever wants to look at it.
    Text(String),
    /// A number, `true`, `false` or `null`, as JSON writes it.
    Plain(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Parse for Json {
    fn parse(input: ParseStream) -> Result<Self> {
        let span = input.span();
        if input.peek(syn::token::Brace) {
            let content;
            braced!(content in input);
            return Ok(Self { value: Value::Object(parse_members(&content)?), span });
        }
        if input.peek(syn::token::Bracket) {
            let content;
            bracketed!(content in input);
            let items = content.parse_terminated(Self::parse, Token![,])?;
            return Ok(Self { value: Value::List(items.into_iter().collect()), span });
        }
        if input.peek(Ident::peek_any) && !input.peek(syn::LitBool) {
            let word = input.call(Ident::parse_any)?;
            return match word == "null" {
                true => Ok(Self { value: Value::Plain("null".to_owned()), span }),
                false => Err(Error::new(word.span(), "this is no JSON: texts stand in quotes")),
            };
        }
        let negative = input.parse::<Option<Token![-]>>()?.is_some();
        let literal: Lit = input.parse()?;
        let value = match (&literal, negative) {
            (Lit::Str(text), false) => Value::Text(text.value()),
            (Lit::Bool(truth), false) => Value::Plain(truth.value.to_string()),
            (Lit::Int(number), _) => Value::Plain(sign(negative, number.base10_digits())),
            (Lit::Float(number), _) => Value::Plain(sign(negative, number.base10_digits())),
            _ => return Err(Error::new(literal.span(), "this is no JSON")),
        };
        Ok(Self { value, span })
    }
}

fn sign(negative: bool, digits: &str) -> String {
    format!("{}{digits}", if negative { "-" } else { "" })
}

/// `key: value, "key": value`
pub(crate) fn parse_members(input: ParseStream) -> Result<Vec<(String, Json)>> {
    let mut members: Vec<(String, Json)> = Vec::new();
    while !input.is_empty() {
        let span = input.span();
        let key = match input.peek(LitStr) {
            true => input.parse::<LitStr>()?.value(),
            false => input.call(Ident::parse_any)?.unraw().to_string(),
        };
        if members.iter().any(|(known, _)| *known == key) {
            return Err(Error::new(span, format!("`{key}` is here twice")));
        }
        input.parse::<Token![:]>()?;
        members.push((key, input.parse()?));
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(members)
}

impl Json {
    /// The text alone, or an error that says what was wanted.
    pub(crate) fn as_text(&self, wanted: &str) -> Result<&str> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(Error::new(self.span, format!("expected {wanted}"))),
        }
    }

    pub(crate) fn as_list(&self, wanted: &str) -> Result<&[Self]> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(Error::new(self.span, format!("expected {wanted}"))),
        }
    }

    pub(crate) fn as_object(&self, wanted: &str) -> Result<&[(String, Self)]> {
        match &self.value {
            Value::Object(members) => Ok(members),
            _ => Err(Error::new(self.span, format!("expected {wanted}"))),
        }
    }

    /// Compact JSON.
    pub(crate) fn to_json(&self) -> String {
        match &self.value {
            Value::Text(text) => quoted(text),
            Value::Plain(text) => text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(Self::to_json).collect::<Vec<_>>().join(",")),
            Value::Object(members) => format!("{{{}}}", members_to_json(members)),
        }
    }
}

/// `"key":value,...` without braces.
pub(crate) fn members_to_json(members: &[(String, Json)]) -> String {
    members.iter().map(|(key, value)| format!("{}:{}", quoted(key), value.to_json())).collect::<Vec<_>>().join(",")
}

/// A JSON string (RFC 8259, 7).
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// JSON in place, or `file("path below the crate's folder")`.
pub(crate) enum Source {
    Here(Json),
    File(LitStr),
}

impl Parse for Source {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.peek(Ident) && input.peek2(syn::token::Paren) {
            let word: Ident = input.parse()?;
            if word != "file" {
                return Err(Error::new(word.span(), "expected JSON or file(\"path\")"));
            }
            let content;
            syn::parenthesized!(content in input);
            return Ok(Self::File(content.parse()?));
        }
        Ok(Self::Here(input.parse()?))
    }
}

impl Source {
    /// An expression of type `&'static str` that is the JSON text.
    pub(crate) fn to_tokens(&self) -> TokenStream {
        match self {
            Self::Here(json) => {
                let text = json.to_json();
                quote! { #text }
            }
            Self::File(path) => {
                quote! { ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #path)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, wanted: Option<&str>) {
        let parsed = syn::parse_str::<Json>(source).ok().map(|json| json.to_json());
        assert_eq!(parsed.as_deref(), wanted, "{source}");
    }

    #[test]
    fn tokens_become_json_or_an_error() {
        check(
            r#"{ a: "x\"y", "b-c": [1, -2.5, true, null,], type: {} }"#,
            Some(r#"{"a":"x\"y","b-c":[1,-2.5,true,null],"type":{}}"#),
        );
        check("\"line\\nand \\t tab\"", Some("\"line\\nand \\u0009 tab\""));
        check("{ a: word }", None);
        check("{ a: 1, a: 2 }", None);
        check("-\"x\"", None);
        check("b'x'", None);
    }
}
