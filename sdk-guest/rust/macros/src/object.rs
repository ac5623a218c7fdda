//! `#[object]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Field, Fields, Item, ItemEnum, ItemStruct, Lit, LitStr, Result, Token, Type, parse_quote};

use crate::facts;

/// Hints of the form, beside JSON Schema's own words.
const HINTS: [&str; 13] = [
    "label",
    "placeholder",
    "widget",
    "advanced",
    "group",
    "order",
    "format",
    "example",
    "data_class",
    "depends_on",
    "shown_when",
    "choices",
    "secret",
];

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`object` takes nothing; hints stand at the fields: #[field(...)]"));
    }
    match syn::parse2(item)? {
        Item::Struct(object) => expand_struct(object),
        Item::Enum(choices) => Ok(expand_enum(choices)),
        other => Err(Error::new(other.span(), "`object` stands at a struct or an enum")),
    }
}

fn derives() -> Vec<Attribute> {
    vec![
        parse_quote! {
            #[derive(
                Debug, Clone, PartialEq,
                ::sluicegate_sdk::serde::Serialize,
                ::sluicegate_sdk::serde::Deserialize,
                ::sluicegate_sdk::schemars::JsonSchema,
            )]
        },
        parse_quote! { #[serde(crate = "::sluicegate_sdk::serde")] },
        parse_quote! { #[schemars(crate = "::sluicegate_sdk::schemars")] },
    ]
}

fn expand_struct(mut object: ItemStruct) -> Result<TokenStream> {
    // Helper attributes come after the derives that know them.
    object.attrs.splice(0..0, derives());
    if let Fields::Named(fields) = &mut object.fields {
        fields.named.iter_mut().try_for_each(hint_field)?;
    }
    Ok(quote! { #object })
}

fn expand_enum(mut choices: ItemEnum) -> TokenStream {
    let mut attributes = derives();
    if choices.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit)) {
        attributes.push(parse_quote! { #[derive(Copy, Eq)] });
    }
    if !mentions(&choices.attrs, "rename_all") {
        attributes.push(parse_quote! { #[serde(rename_all = "snake_case")] });
    }
    choices.attrs.splice(0..0, attributes);
    quote! { #choices }
}

/// Turns `#[field(...)]` into schema keywords, and leaves `None` out of what is written.
fn hint_field(field: &mut Field) -> Result<()> {
    let (hints, mut others): (Vec<_>, Vec<_>) =
        field.attrs.drain(..).partition(|attribute| attribute.path().is_ident("field"));
    let mut labelled = false;
    for hint in &hints {
        hint.parse_args_with(|input: ParseStream| {
            while !input.is_empty() {
                let (attribute, is_label) = parse_hint(input)?;
                labelled |= is_label;
                others.push(attribute);
                facts::end_entry(input)?;
            }
            Ok(())
        })?;
    }
    if !labelled {
        let label = field.ident.as_ref().map(|name| to_label(&name.to_string())).unwrap_or_default();
        others.push(parse_quote! { #[schemars(title = #label)] });
    }
    if is_option(&field.ty) && !mentions(&others, "skip_serializing_if") && !mentions(&others, "flatten") {
        others.push(parse_quote! { #[serde(skip_serializing_if = "::core::option::Option::is_none")] });
    }
    field.attrs = others;
    Ok(())
}

fn parse_hint(input: ParseStream) -> Result<(Attribute, bool)> {
    let name = facts::one_of(input, &HINTS)?;
    if name == "advanced" || name == "secret" {
        let key = name.to_string();
        return Ok((parse_quote! { #[schemars(extend(#key = true))] }, false));
    }
    input.parse::<Token![=]>()?;
    let value: Lit = input.parse()?;
    let attribute = match name.to_string().as_str() {
        "label" => parse_quote! { #[schemars(title = #value)] },
        "example" => parse_quote! { #[schemars(extend("examples" = [#value]))] },
        key => {
            let key = LitStr::new(key, name.span());
            parse_quote! { #[schemars(extend(#key = #value))] }
        }
    };
    Ok((attribute, name == "label"))
}

/// `issue_url` -> `Issue url`
fn to_label(name: &str) -> String {
    let words = name.trim_start_matches("r#").replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn is_option(kind: &Type) -> bool {
    matches!(kind, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == format_ident!("Option")))
}

fn mentions(attributes: &[Attribute], word: &str) -> bool {
    attributes.iter().any(|attribute| {
        let listed = attribute.path().is_ident("serde").then(|| attribute.meta.require_list().ok()).flatten();
        listed.is_some_and(|list| list.tokens.clone().into_iter().any(|token| token.to_string() == word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels() {
        for (name, wanted) in [("issue_url", "Issue url"), ("r#type", "Type"), ("", "")] {
            assert_eq!(to_label(name), wanted);
        }
    }

    #[test]
    fn refuses_hints_it_does_not_know() {
        let item: TokenStream = "struct A { #[field(lable = \"x\")] a: u8 }".parse().expect("tokens");
        let message = expand(TokenStream::new(), item).expect_err("a slip of the pen").to_string();
        assert!(message.starts_with("expected one of: label"), "{message}");
    }
}
