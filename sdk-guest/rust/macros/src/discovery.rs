//! `#[choices]` and `#[fields]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ItemFn, Result};

use crate::facts;
use crate::json::{Json, quoted};

#[derive(Default)]
struct Attribute {
    needs: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &["needs"])?;
            let fields: Json = input.parse()?;
            for field in fields.as_list("a list of fields")? {
                field.as_text("a field's name in quotes")?;
            }
            facts::once(&mut this.needs, &name, fields.to_json())?;
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

pub(crate) fn expand_choices(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let id = facts::operation_id(name)?;
    one_argument(&function, "choices take a `&Search`")?;
    let (label, help) = facts::label_and_help(&function.attrs, name, "a list of choices")?;
    let needs = attribute.needs.map(|needs| format!(r#","needs":{needs}"#)).unwrap_or_default();
    let facts = format!(r#""label":{},"help":{}{needs}"#, quoted(&label), quoted(&help));
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Choices for #name {
            const ID: &'static str = #id;
            const FACTS: &'static str = #facts;

            fn list(search: &::sluicegate_sdk::Search) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Offers> {
                #name(search).map(::core::convert::Into::into)
            }
        }
    })
}

pub(crate) fn expand_fields(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`fields` takes nothing"));
    }
    let function: ItemFn = syn::parse2(item)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let id = facts::operation_id(name)?;
    one_argument(&function, "fields take a `&Value`: what is filled in so far")?;
    let (label, _) = facts::label_and_help(&function.attrs, name, "an object with fields of its own")?;
    let facts = format!(r#""label":{}"#, quoted(&label));
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Fields for #name {
            const ID: &'static str = #id;
            const FACTS: &'static str = #facts;

            fn schema(config: &::sluicegate_sdk::Value) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Value> {
                #name(config)
            }
        }
    })
}

fn one_argument(function: &ItemFn, wanted: &str) -> Result<()> {
    facts::result_type(function)?;
    match facts::argument_types(function)?.len() {
        1 => Ok(()),
        _ => Err(Error::new_spanned(&function.sig.inputs, wanted)),
    }
}
