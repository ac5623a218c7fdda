//! The attributes of the connector SDK.
//!
//! Owns the reading of attributes and doc comments, with errors at the words that are
//! wrong, and the code they expand to. What the parts mean is the SDK's.

mod action;
mod check;
mod connector;
mod discovery;
mod exports;
mod facts;
mod json;
mod migrate;
mod object;
mod poll;
mod subscription;
mod trigger;

use proc_macro::TokenStream;

/// Makes an action of a function from an input type to `Result<Output>`.
///
/// The id is the function's name with hyphens; the doc comment's first line is the
/// label, the rest the help text.
///
/// ```text
/// /// Post a message
/// ///
/// /// Posts to a channel that the app was invited to.
/// #[action(
///     effect = create,                    // read, create, update, delete
///     idempotency = none,                 // natural, none, key("Idempotency-Key")
///     destinations = ["POST {base-url}/chat.postMessage"],
///     scopes = { "chat:write": "to post under the app's name" },
///     files = none,                       // none, read, write; none when left out
///     connection = required,              // as the connector does when left out
///     sample = { input: { channel: "#a" }, output: { id: "1" } },  // or file("samples/x.json")
///     deprecated = { notice: "use send-message" },
/// )]
/// fn post_message(input: Message) -> Result<Posted> { ... }
/// ```
#[proc_macro_attribute]
pub fn action(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(action::expand(attributes.into(), item.into()))
}

/// Makes a trigger of a function from a configuration and a `&Delivery` to a `Result`
/// of events: `Vec<T>`, `Option<T>` or `Keyed<T>`.
///
/// ```text
/// /// Issue changed
/// ///
/// /// When an issue is opened, closed, labelled ...
/// #[trigger(
///     verification = github,              // slack, stripe, standard_webhooks,
///                                         // token { header: "x-token" },
///                                         // hmac { header: "x-sig", prefix: "sha256=", encoding: "hex" }
///     delivery_key = header("x-github-delivery"),   // body("/id"), fingerprint
///     headers = ["x-github-event"],
///     sample = { config: {}, headers: {}, body: {}, event: {} },  // or file("samples/x.json")
/// )]
/// fn issue_changed(config: IssueFilter, delivery: &Delivery) -> Result<Vec<Issue>> { ... }
/// ```
#[proc_macro_attribute]
pub fn trigger(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(trigger::expand(attributes.into(), item.into()))
}

/// Makes the test of a connection of a function `fn() -> Result<String>`, which names
/// the account. Takes `destinations` and `scopes` as [`macro@action`] does.
#[proc_macro_attribute]
pub fn check(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(check::expand(attributes.into(), item.into()))
}

/// Makes a polled trigger of a function from a configuration, if it has one, and a
/// `&Position` to `Result<Page<Event>>`. `poll::Feed` and `poll::Snapshot` of the SDK
/// make the page.
///
/// ```text
/// /// New card
/// #[poll(
///     every = "5m",                       // unless a flow says otherwise
///     at_most_every = "1m",               // as `every` when left out
///     destinations = ["GET {base-url}/cards"],
///     scopes = { "cards:read": "to see new cards" },
///     files = none,                       // none, read; none when left out
///     connection = required,              // as the connector does when left out
///     sample = { config: {}, event: { id: "7" } },
/// )]
/// fn new_card(config: Watched, from: &Position) -> Result<Page<Card>> { ... }
/// ```
#[proc_macro_attribute]
pub fn poll(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(poll::expand(attributes.into(), item.into()))
}

/// Stands at `impl Subscription for X`, which sets up the webhooks of the connector's
/// triggers. Takes `destinations` and `scopes` as [`macro@action`] does, and `by_hand`:
/// what a person does at the service when the connector cannot.
#[proc_macro_attribute]
pub fn subscription(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(subscription::expand(attributes.into(), item.into()))
}

/// Makes choices for a field of a form of a function from a `&Search` to a `Result` of
/// `Offers` or `Vec<Choice>`. A field takes them with `#[field(choices = "channel")]`.
/// `needs = ["repository"]` names the fields that must be filled in before.
#[proc_macro_attribute]
pub fn choices(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(discovery::expand_choices(attributes.into(), item.into()))
}

/// Makes fields of an account's own of a function from a `&Value`, what is filled in so
/// far, to the `Result` of a JSON Schema.
#[proc_macro_attribute]
pub fn fields(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(discovery::expand_fields(attributes.into(), item.into()))
}

/// Carries an operation's stored configuration over: a function from the stored `Value`
/// and the `Version` that it was written for to a `Result<Value>`.
///
/// ```text
/// /// A card has a list of labels instead of one.
/// #[migrate(operation = "add-card", before = "2.0.0")]
/// fn label_to_labels(config: Value, from: Version) -> Result<Value> { ... }
/// ```
#[proc_macro_attribute]
pub fn migrate(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(migrate::expand(attributes.into(), item.into()))
}

/// Makes an object of a struct, or choices of an enum: it derives serde's traits and
/// the JSON Schema, doc comments become help texts.
///
/// Fields take `#[field(label = "Channel", placeholder = "#alerts", widget = "textarea",
/// advanced, group = "Layout", order = 3, format = "uri", example = "x", data_class =
/// "personal", shown_when = "...", depends_on = "...", choices = "channel")]`; the label is the field's name
/// when left out. An `Option` that is `None` is left out of what is written. Choices are
/// written in snake_case.
#[proc_macro_attribute]
pub fn object(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand(object::expand(attributes.into(), item.into()))
}

/// Makes a component of a connector's functions, exporting what it declares alone.
///
/// Version and licence are the crate's own. All else is written as the manifest does.
///
/// ```text
/// connector! {
///     id: "slack", label: "Slack", publisher: "Example", homepage: "https://...",
///     support: { owner: "Team Chat", contact: "chat@example.com", policy: "working days" },
///     categories: ["chat"], purpose: "...", data: "...", risks: ["..."],
///     icon: file("icon.svg"),
///     connection: {
///         base_url: { default: "https://slack.com/api", help: "..." },
///         auth: [{ scheme: "bearer", help: "..." }],
///     },
///     check: check_account,
///     actions: [post_message],
///     triggers: [],
///     polls: [new_message],
///     subscription: AppWebhook,                    // of all `triggers`
///     discovery: { choices: [channel], fields: [],
///         destinations: ["GET {base-url}/conversations.list"], scopes: { "channels:read": "..." } },
///     migrations: [],
///     scope_templates: [{ id: "full", label: "...", scopes: ["..."] }],
///     limits: { requests: 10 },
/// }
/// ```
#[proc_macro]
pub fn connector(input: TokenStream) -> TokenStream {
    expand(connector::expand(input.into()))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result.unwrap_or_else(syn::Error::into_compile_error).into()
}
