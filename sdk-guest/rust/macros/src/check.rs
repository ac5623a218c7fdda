//! `#[check]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, ItemFn, Result};

use crate::facts;

#[derive(Default)]
struct Attribute {
    destinations: Option<String>,
    scopes: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &["destinations", "scopes"])?;
            match name == "destinations" {
                true => facts::once(&mut this.destinations, &name, facts::destinations(&input.parse()?)?)?,
                false => facts::once(&mut this.scopes, &name, facts::scopes(&input.parse()?)?)?,
            }
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    if !facts::argument_types(&function)?.is_empty() {
        return Err(Error::new_spanned(&function.sig.inputs, "a check takes nothing: the host adds the credential"));
    }
    facts::result_type(&function)?;
    let destinations = facts::required(attribute.destinations, "destinations", Span::call_site())?;
    let scopes = attribute.scopes.unwrap_or_else(|| "[]".to_owned());
    let facts = format!(r#""destinations":{destinations},"scopes":{scopes}"#);
    let (name, visibility) = (&function.sig.ident, &function.vis);
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named like its function, which lives among values")]
        #visibility enum #name {}

        impl ::sluicegate_sdk::Check for #name {
            const FACTS: &'static str = #facts;

            fn test() -> ::sluicegate_sdk::Result<::std::string::String> {
                #name()
            }
        }
    })
}
