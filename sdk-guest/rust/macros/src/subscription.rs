//! `#[subscription]`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{ItemImpl, LitStr, Result, parse_quote};

use crate::facts;
use crate::json::quoted;

#[derive(Default)]
struct Attribute {
    destinations: Option<String>,
    scopes: Option<String>,
    by_hand: Option<String>,
}

impl Parse for Attribute {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        while !input.is_empty() {
            let name = facts::start_entry(input, &["destinations", "scopes", "by_hand"])?;
            match name.to_string().as_str() {
                "destinations" => facts::once(&mut this.destinations, &name, facts::destinations(&input.parse()?)?)?,
                "scopes" => facts::once(&mut this.scopes, &name, facts::scopes(&input.parse()?)?)?,
                _ => facts::once(&mut this.by_hand, &name, input.parse::<LitStr>()?.value())?,
            }
            facts::end_entry(input)?;
        }
        Ok(this)
    }
}

pub(crate) fn expand(attributes: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut implementation: ItemImpl = syn::parse2(item)?;
    let attribute: Attribute = syn::parse2(attributes)?;
    let destinations = facts::required(attribute.destinations, "destinations", Span::call_site())?;
    let by_hand = facts::required(attribute.by_hand, "by_hand", Span::call_site())?;
    let scopes = attribute.scopes.unwrap_or_else(|| "[]".to_owned());
    let facts = format!(r#""destinations":{destinations},"scopes":{scopes},"by_hand":{}"#, quoted(&by_hand));
    implementation.items.insert(0, parse_quote! { const FACTS: &'static str = #facts; });
    Ok(quote! { #implementation })
}
