//! `connector!`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Path, Result, Token, bracketed};

use crate::facts;
use crate::json::{Json, Source, members_to_json};

const KNOWN: [&str; 16] = [
    "id",
    "label",
    "publisher",
    "homepage",
    "support",
    "categories",
    "icon",
    "purpose",
    "data",
    "risks",
    "deprecated",
    "connection",
    "check",
    "actions",
    "triggers",
    "scope_templates",
];
const REQUIRED: [&str; 6] = ["id", "label", "publisher", "support", "purpose", "data"];

/// The manifest's members as written, and the paths of the functions.
#[derive(Default)]
struct Declaration {
    members: Vec<(String, Json)>,
    icon: Option<Source>,
    connection: Option<Json>,
    check: Option<Path>,
    actions: Vec<Path>,
    triggers: Vec<Path>,
}

impl Parse for Declaration {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut this = Self::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            let known: Vec<&str> = KNOWN.iter().copied().chain(["limits"]).collect();
            let name = facts::one_of(input, &known)?;
            if seen.contains(&name.to_string()) {
                return Err(Error::new(name.span(), format!("`{name}` is here twice")));
            }
            seen.push(name.to_string());
            input.parse::<Token![:]>()?;
            match name.to_string().as_str() {
                "icon" => this.icon = Some(parse_icon(input)?),
                "connection" => this.connection = Some(parse_connection(input)?),
                "check" => this.check = Some(input.parse()?),
                "actions" => this.actions = parse_paths(input)?,
                "triggers" => this.triggers = parse_paths(input)?,
                other => this.members.push((other.to_owned(), input.parse()?)),
            }
            facts::end_entry(input)?;
        }
        this.checked()
    }
}

impl Declaration {
    fn checked(self) -> Result<Self> {
        for name in REQUIRED {
            facts::required(self.members.iter().find(|(known, _)| known == name), name, Span::call_site())?;
        }
        if let (Some(check), None) = (&self.check, &self.connection) {
            return Err(Error::new_spanned(check, "a check tests a connection, and `connection` is missing"));
        }
        if self.actions.is_empty() && self.triggers.is_empty() {
            return Err(Error::new(Span::call_site(), "a connector has at least one action or trigger"));
        }
        Ok(self)
    }
}

fn parse_icon(input: ParseStream) -> Result<Source> {
    let icon: Source = input.parse()?;
    match icon {
        Source::File(_) => Ok(icon),
        Source::Here(json) => Err(Error::new(json.span, "an icon is a file: file(\"icon.svg\")")),
    }
}

fn parse_connection(input: ParseStream) -> Result<Json> {
    let connection: Json = input.parse()?;
    let members = connection.as_object("a connection: { base_url: {...}, auth: [...] }")?;
    for (name, value) in members {
        if name != "base_url" && name != "auth" {
            return Err(Error::new(
                value.span,
                format!("a connection has `base_url` and `auth`, not `{name}`; `check` stands beside it"),
            ));
        }
    }
    facts::required(members.iter().find(|(name, _)| name == "auth"), "auth", connection.span)?;
    Ok(connection)
}

fn parse_paths(input: ParseStream) -> Result<Vec<Path>> {
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated_with(&content, Path::parse_mod_style)?.into_iter().collect())
}

pub(crate) fn expand(input: TokenStream) -> Result<TokenStream> {
    let declaration: Declaration = syn::parse2(input)?;
    let describe = expand_describe(&declaration)?;
    let functions = expand_functions(&declaration);
    let exports = expand_exports(&declaration);
    Ok(quote! {
        /// What this crate's component exports, callable natively in tests.
        #[derive(Debug, Clone, Copy)]
        pub struct Connector;

        impl ::sluicegate_sdk::Connector for Connector {
            #describe
            #functions
        }

        #exports
    })
}

fn expand_describe(declaration: &Declaration) -> Result<TokenStream> {
    let facts = members_to_json(&declaration.members);
    let (actions, triggers) = (&declaration.actions, &declaration.triggers);
    let connected = declaration.connection.is_some();
    let connection = match &declaration.connection {
        Some(connection) => {
            let text = members_to_json(connection.as_object("a connection")?);
            quote! { ::core::option::Option::Some(#text) }
        }
        None => quote! { ::core::option::Option::None },
    };
    let check = match &declaration.check {
        Some(check) => quote! { ::core::option::Option::Some(::sluicegate_sdk::private::describe_check::<#check>()) },
        None => quote! { ::core::option::Option::None },
    };
    let icon = match &declaration.icon {
        Some(icon) => {
            let text = icon.to_tokens();
            quote! { ::core::option::Option::Some(#text) }
        }
        None => quote! { ::core::option::Option::None },
    };
    Ok(quote! {
        fn describe() -> ::std::string::String {
            ::sluicegate_sdk::private::Parts {
                facts: #facts,
                icon: #icon,
                connection: #connection,
                check: #check,
                actions: ::std::vec![#(::sluicegate_sdk::private::describe_action::<#actions>(#connected)),*],
                triggers: ::std::vec![#(::sluicegate_sdk::private::describe_trigger::<#triggers>()),*],
            }
            .to_manifest(::core::env!("CARGO_PKG_VERSION"), ::core::env!("CARGO_PKG_LICENSE"))
        }
    })
}

fn expand_functions(declaration: &Declaration) -> TokenStream {
    let (actions, triggers) = (&declaration.actions, &declaration.triggers);
    let invoke = (!actions.is_empty()).then(|| {
        quote! {
            fn invoke(operation: &str, input: &str) -> ::sluicegate_sdk::Result<::std::string::String> {
                #(if operation == <#actions as ::sluicegate_sdk::Action>::ID {
                    return ::sluicegate_sdk::private::invoke::<#actions>(input);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector has no action {operation:?}"),
                ))
            }
        }
    });
    let receive = (!triggers.is_empty()).then(|| {
        quote! {
            fn receive(
                trigger: &str,
                config: &str,
                delivery: &::sluicegate_sdk::Delivery,
            ) -> ::sluicegate_sdk::Result<::std::vec::Vec<::sluicegate_sdk::Event>> {
                #(if trigger == <#triggers as ::sluicegate_sdk::Trigger>::ID {
                    return ::sluicegate_sdk::private::receive::<#triggers>(config, delivery);
                })*
                ::core::result::Result::Err(::sluicegate_sdk::Error::permanent(
                    ::std::format!("this connector has no trigger {trigger:?}"),
                ))
            }
        }
    });
    let check = declaration.check.as_ref().map(|check| {
        quote! {
            fn check() -> ::sluicegate_sdk::Result<::std::string::String> {
                <#check as ::sluicegate_sdk::Check>::test()
            }
        }
    });
    quote! { #invoke #receive #check }
}

/// The export macros carry the component's type, so only those of what is declared
/// may be called: the component then exports exactly that.
fn expand_exports(declaration: &Declaration) -> TokenStream {
    let worlds = [
        ("describes", true),
        ("acts", !declaration.actions.is_empty()),
        ("receives", !declaration.triggers.is_empty()),
        ("checks", declaration.check.is_some()),
    ];
    let exports = worlds.iter().filter(|(_, declared)| *declared).map(|(world, _)| {
        let world = proc_macro2::Ident::new(world, Span::call_site());
        quote! { ::sluicegate_sdk::bindings::#world::export!(Exported with_types_in ::sluicegate_sdk::bindings::#world); }
    });
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated bindings cross the component boundary through raw memory")]
        const _: () = {
            type Exported = ::sluicegate_sdk::private::Exported<Connector>;
            #(#exports)*
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, wanted: &str) {
        let tokens: TokenStream = source.parse().expect("tokens");
        let message = expand(tokens).expect_err(source).to_string();
        assert!(message.contains(wanted), "{message}");
    }

    #[test]
    fn says_what_is_wrong_with_a_declaration() {
        let facts = r#"id: "x", label: "X", publisher: "P", support: {}, purpose: "", data: "","#;
        check("lable: \"x\"", "expected one of: id, label");
        check("id: \"x\"", "`label` is missing");
        check("id: \"x\", id: \"y\"", "`id` is here twice");
        check(facts, "at least one action or trigger");
        check(&format!("{facts} actions: [a], check: c"), "`connection` is missing");
        check(&format!("{facts} actions: [a], connection: {{ auht: [] }}"), "not `auht`");
        check(&format!("{facts} actions: [a], icon: \"x\""), "an icon is a file");
    }
}
