//! What attributes have in common: names, doc comments, lists, signatures.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Ident, ItemFn, Lit, Meta, PathArguments, Result,
    ReturnType, Token, Type,
};

use crate::json::Json;

/// `post_message` -> `post-message`
pub(crate) fn operation_id(name: &Ident) -> Result<String> {
    let id = syn::ext::IdentExt::unraw(name).to_string().replace('_', "-");
    // The host's rule for names, told here where the name can still be changed.
    let plain = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || !id.starts_with(|c: char| c.is_ascii_lowercase()) || id.ends_with('-') || id.len() > 63 {
        return Err(Error::new(
            name.span(),
            "an operation's name has lower-case letters, digits and underscores, starts with a letter, ends without an underscore, and has at most 63 characters",
        ));
    }
    Ok(id)
}

/// A doc comment's first line, and the rest or else the first line again.
pub(crate) fn label_and_help(attributes: &[Attribute], name: &Ident, kind: &str) -> Result<(String, String)> {
    let text = doc_text(attributes);
    let mut paragraphs = text.splitn(2, '\n');
    let label = paragraphs.next().unwrap_or_default().trim().trim_end_matches('.').to_owned();
    if label.is_empty() {
        return Err(Error::new(
            name.span(),
            format!("{kind} needs a doc comment: its first line is what people click, the rest the help text"),
        ));
    }
    let help = unwrap_lines(paragraphs.next().unwrap_or_default());
    Ok((label.clone(), if help.is_empty() { label } else { help }))
}

fn doc_text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Lines of one paragraph are joined, paragraphs stay apart.
fn unwrap_lines(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| paragraph.trim().replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// `{ "chat:write": "why" }` -> `[{"name":"chat:write","why":"why"}]`
pub(crate) fn scopes(json: &Json) -> Result<String> {
    let members = json.as_object("scopes and why they are needed: { \"chat:write\": \"to post messages\" }")?;
    let entries = members
        .iter()
        .map(|(name, why)| {
            let why = why.as_text("why the scope is needed, in quotes")?;
            Ok(format!(r#"{{"name":{},"why":{}}}"#, crate::json::quoted(name), crate::json::quoted(why)))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(format!("[{}]", entries.join(",")))
}

/// Checks the shape of each destination, as far as it can be told without a URL parser.
pub(crate) fn destinations(json: &Json) -> Result<String> {
    for item in json.as_list("a list of destinations")? {
        let text = item.as_text("a destination in quotes")?;
        let place = text
            .split_once(' ')
            .filter(|(methods, _)| methods.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b',' | b'*')));
        let known = place.is_some_and(|(_, place)| {
            place == "any" || ["{base-url}", "https://", "http://"].iter().any(|start| place.starts_with(start))
        });
        if !known {
            return Err(Error::new(
                item.span,
                "a destination is methods and a place: \"POST {base-url}/messages\", \"GET https://api.example.com/v1/**\" or \"* any\"",
            ));
        }
    }
    Ok(json.to_json())
}

/// One of the words, or an error at the word that lists them.
pub(crate) fn one_of(input: ParseStream, words: &[&str]) -> Result<Ident> {
    let word: Ident = syn::ext::IdentExt::parse_any(input)?;
    match words.iter().any(|known| word == known) {
        true => Ok(word),
        false => Err(Error::new(word.span(), format!("expected one of: {}", words.join(", ")))),
    }
}

/// The value, or an error at the attribute that says what is missing.
pub(crate) fn required<T>(value: Option<T>, what: &str, span: Span) -> Result<T> {
    value.ok_or_else(|| Error::new(span, format!("`{what}` is missing")))
}

/// `name = ` of the next entry, and the comma after it is eaten by `end_entry`.
pub(crate) fn start_entry(input: ParseStream, known: &[&str]) -> Result<Ident> {
    let name = one_of(input, known)?;
    input.parse::<Token![=]>()?;
    Ok(name)
}

pub(crate) fn end_entry(input: ParseStream) -> Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

/// Stores `value` once.
pub(crate) fn once<T>(slot: &mut Option<T>, name: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(name.span(), format!("`{name}` is here twice"))),
    }
}

/// The types of a function's arguments.
pub(crate) fn argument_types(function: &ItemFn) -> Result<Vec<&Type>> {
    if let Some(asyncness) = &function.sig.asyncness {
        return Err(Error::new_spanned(asyncness, "a connector's functions are not async: the host waits for them"));
    }
    let types = function.sig.inputs.iter().map(|argument| match argument {
        FnArg::Typed(typed) => Ok(&*typed.ty),
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "expected a plain function")),
    });
    types.collect()
}

/// `T` of `Result<T>`.
pub(crate) fn result_type(function: &ItemFn) -> Result<&Type> {
    let wrong = || Error::new_spanned(&function.sig, "the function must return `Result<...>`");
    let ReturnType::Type(_, returned) = &function.sig.output else { return Err(wrong()) };
    let Type::Path(path) = &**returned else { return Err(wrong()) };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Result").ok_or_else(wrong)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Err(wrong()) };
    match arguments.args.first() {
        Some(GenericArgument::Type(kind)) => Ok(kind),
        _ => Err(wrong()),
    }
}
