//! `connector!`

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Path, Result, Token, braced, bracketed};

use crate::json::{Json, Source, members_to_json};
use crate::{exports, facts};

const KNOWN: [&str; 20] = [
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
    "polls",
    "subscription",
    "discovery",
    "migrations",
    "scope_templates",
];
const REQUIRED: [&str; 6] = ["id", "label", "publisher", "support", "purpose", "data"];

/// The manifest's members as written, and the paths of the functions.
#[derive(Default)]
pub(crate) struct Declaration {
    members: Vec<(String, Json)>,
    icon: Option<Source>,
    connection: Option<Json>,
    pub(crate) check: Option<Path>,
    pub(crate) actions: Vec<Path>,
    pub(crate) triggers: Vec<Path>,
    pub(crate) polls: Vec<Path>,
    /// Sets up the webhooks of all triggers.
    pub(crate) subscription: Option<Path>,
    pub(crate) discovery: Option<Discovery>,
    pub(crate) migrations: Vec<Path>,
}

/// What forms can ask: members of the manifest as JSON text, and the functions.
#[derive(Default)]
pub(crate) struct Discovery {
    facts: String,
    pub(crate) choices: Vec<Path>,
    pub(crate) fields: Vec<Path>,
}

impl Parse for Discovery {
    fn parse(input: ParseStream) -> Result<Self> {
        let content;
        braced!(content in input);
        let mut this = Self::default();
        while !content.is_empty() {
            let name = facts::one_of(&content, &["destinations", "scopes", "choices", "fields"])?;
            content.parse::<Token![:]>()?;
            match name.to_string().as_str() {
                "choices" => this.choices = parse_paths(&content)?,
                "fields" => this.fields = parse_paths(&content)?,
                "scopes" => this.facts.push_str(&format!(r#""scopes":{},"#, facts::scopes(&content.parse()?)?)),
                _ => {
                    let destinations = facts::destinations(&content.parse()?)?;
                    this.facts.push_str(&format!(r#""destinations":{destinations},"#));
                }
            }
            facts::end_entry(&content)?;
        }
        match this.choices.is_empty() && this.fields.is_empty() {
            true => Err(Error::new(content.span(), "discovery lists `choices` or `fields`")),
            false => Ok(this),
        }
    }
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
                "polls" => this.polls = parse_paths(input)?,
                "subscription" => this.subscription = Some(input.parse()?),
                "discovery" => this.discovery = Some(input.parse()?),
                "migrations" => this.migrations = parse_paths(input)?,
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
        if let (Some(subscription), true) = (&self.subscription, self.triggers.is_empty()) {
            return Err(Error::new_spanned(subscription, "a subscription is of `triggers`, and there are none"));
        }
        if self.actions.is_empty() && self.triggers.is_empty() && self.polls.is_empty() {
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
        if !["base_url", "auth", "keys"].contains(&name.as_str()) {
            return Err(Error::new(
                value.span,
                format!("a connection has `base_url`, `auth` and `keys`, not `{name}`; `check` stands beside it"),
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
    let functions = exports::functions(&declaration);
    let exports = exports::exports(&declaration);
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
    let Declaration { actions, triggers, polls, migrations, .. } = declaration;
    let subscription = match &declaration.subscription {
        Some(kind) => {
            quote! { ::core::option::Option::Some(::sluicegate_sdk::private::describe_subscription::<#kind>()) }
        }
        None => quote! { ::core::option::Option::None },
    };
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
    let discovery = expand_discovery(declaration.discovery.as_ref(), connected);
    Ok(quote! {
        fn describe() -> ::std::string::String {
            ::sluicegate_sdk::private::Parts {
                facts: #facts,
                icon: #icon,
                connection: #connection,
                check: #check,
                actions: ::std::vec![#(::sluicegate_sdk::private::describe_action::<#actions>(#connected)),*],
                triggers: ::std::vec![
                    #(::sluicegate_sdk::private::describe_trigger::<#triggers>(#subscription),)*
                    #(::sluicegate_sdk::private::describe_poll::<#polls>(#connected),)*
                ],
                discovery: #discovery,
                migrations: ::std::vec![#(::sluicegate_sdk::private::describe_migration::<#migrations>()),*],
            }
            .to_manifest(::core::env!("CARGO_PKG_VERSION"), ::core::env!("CARGO_PKG_LICENSE"))
        }
    })
}

fn expand_discovery(discovery: Option<&Discovery>, connected: bool) -> TokenStream {
    let Some(Discovery { facts, choices, fields }) = discovery else {
        return quote! { ::core::option::Option::None };
    };
    quote! {
        ::core::option::Option::Some(::sluicegate_sdk::private::describe_discovery(
            #facts,
            #connected,
            &[#(::sluicegate_sdk::private::describe_choices::<#choices>()),*],
            &[#(::sluicegate_sdk::private::describe_fields::<#fields>()),*],
        ))
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
        check(&format!("{facts} actions: [a], subscription: S"), "a subscription is of `triggers`");
        check(&format!("{facts} actions: [a], discovery: {{}}"), "`choices` or `fields`");
        check(&format!("{facts} actions: [a], discovery: {{ chioces: [] }}"), "expected one of: destinations");
        check(&format!("{facts} actions: [a], connection: {{ auht: [] }}"), "not `auht`");
        check(&format!("{facts} actions: [a], icon: \"x\""), "an icon is a file");
    }
}
