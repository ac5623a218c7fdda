//! `#[migrate]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ItemFn, LitStr, Result};

use crate::facts;
use crate::json::quoted;

#[derive(Default)]
struct Attribute {
    operation: Option<String>,
    before: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &["operation", "before"])?;
            let text = input.parse::<LitStr>()?.value();
            match name == "operation" {
                true => facts::once(&mut this.operation, &name, text)?,
                false => facts::once(&mut this.before, &name, text)?,
            }
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let operation = facts::required(attribute.operation, "operation", Span::call_site())?;
    let before = facts::required(attribute.before, "before", Span::call_site())?;
    let (what, _) = facts::label_and_help(&function.attrs, name, "a migration")?;
    let facts = format!(r#""before":{},"what":{}"#, quoted(&before), quoted(&what));
    facts::result_type(&function)?;
    if facts::argument_types(&function)?.len() != 2 {
        let wanted = "a migration takes the stored `Value` and the `Version` that it was written for";
        return Err(Error::new_spanned(&function.sig.inputs, wanted));
    }
    Ok(quote! {
        #[allow(clippy::needless_pass_by_value, reason = "the host hands the configuration over")]
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Migrate for #name {
            const OPERATION: &'static str = #operation;
            const FACTS: &'static str = #facts;

            fn migrate(
                config: ::sluicegate_sdk::Value,
                from: ::sluicegate_sdk::Version,
            ) -> ::sluicegate_sdk::Result<::sluicegate_sdk::Value> {
                #name(config, from)
            }
        }
    })
}
