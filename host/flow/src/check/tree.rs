//! A document as a tree with places, so that every problem can name its line.
//!
//! Owns the limits that make a hostile document harmless: size, depth, number of
//! values, and what YAML aliases may multiply.

use std::fmt;
use std::marker::PhantomData;

use model::Problem;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Options, Spanned};

use super::Format;
use crate::document::DOCUMENT_BYTES_MAX;

/// Steps nest ten deep, each level costs two, and inputs go on below that.
const DEPTH_MAX: usize = 64;
/// Two hundred steps with two hundred values each.
const VALUES_MAX: usize = 50_000;
/// A flow repeats a text here and there; more is an attack or a mistake.
const ALIASES_MAX: usize = 100;
/// What all aliases together may unfold to.
const REPLAYED_MAX: usize = 10_000;
const MORE_DOCUMENTS: &str = "it holds more than one document, and a file has one flow";

/// A value of the document and where it stands: line and column from 1.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Option<(u64, u64)>,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(held) => Value::Bool(*held),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Object(fields) => {
                Value::Object(fields.iter().map(|(name, node)| (name.clone(), node.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// The node at a JSON Pointer, or the nearest one above it.
    pub(super) fn nearest(&self, pointer: &str) -> &Self {
        let mut at = self;
        for name in pointer.split('/').skip(1).map(unescape) {
            let next = match &at.content {
                Content::Object(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, node)| node),
                Content::List(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => None,
            };
            match next {
                Some(node) => at = node,
                None => break,
            }
        }
        at
    }

    /// What it is, in plain words, for messages.
    pub(super) fn words(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(_) | Content::Number(_) => self.to_json().to_string(),
            Content::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Content::List(_) => "a list".to_owned(),
            Content::Object(_) => "an object".to_owned(),
        }
    }
}

/// A name in a JSON Pointer as it was (RFC 6901).
pub(super) fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

/// A name as a JSON Pointer writes it.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Reads a document within the limits.
pub(super) fn parse(text: &str, format: Format, file_name: &str) -> Result<Node, Problem> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Problem::new("too-large", format!("the document has {} bytes", text.len()))
            .field(file_name)
            .cause(format!("a flow document has at most {DOCUMENT_BYTES_MAX} bytes"))
            .fix("divide it into several flows, or keep large texts in a file that a step reads"));
    }
    let json = match format {
        Format::Json => true,
        Format::Yaml => false,
        Format::Auto => text.trim_start().starts_with('{'),
    };
    if json { parse_json(text, file_name) } else { parse_yaml(text, file_name) }
}

fn parse_json(text: &str, file_name: &str) -> Result<Node, Problem> {
    serde_json::from_str::<Json>(text).map(|json| json.0).map_err(|error| {
        Problem::new("not-json", format!("the document cannot be read as JSON: {error}"))
            .field(format!("{file_name}:{}:{}", error.line(), error.column()))
            .fix("correct the line named; an editor that knows JSON shows the place")
    })
}

fn parse_yaml(text: &str, file_name: &str) -> Result<Node, Problem> {
    let yaml: Result<Yaml, _> = serde_saphyr::from_str_with_options(text, options());
    yaml.map(|yaml| yaml.0).map_err(|error| {
        let place = error.location().map(|at| format!("{file_name}:{}:{}", at.line(), at.column()));
        let words = error.without_snippet().to_string();
        let first = reworded(words.lines().next().unwrap_or_default());
        Problem::new("not-yaml", format!("the document cannot be read as YAML: {first}"))
            .field(place.unwrap_or_else(|| file_name.to_owned()))
            .fix("correct the line named; texts that begin with {{ or hold \": \" need quotes")
    })
}

/// Where the library speaks of its own settings, what that means for a document.
fn reworded(words: &str) -> String {
    if let Some((_, breach)) = words.split_once("budget breached: ") {
        return match breach.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default() {
            "Documents" => MORE_DOCUMENTS.to_owned(),
            "Depth" => format!("it is nested more than {DEPTH_MAX} deep"),
            "Nodes" => format!("it holds more than {VALUES_MAX} values"),
            "Aliases" | "Anchors" => format!("it has more than {ALIASES_MAX} anchors or aliases"),
            _ => "it holds more than a flow may".to_owned(),
        };
    }
    if words.starts_with("multiple YAML documents") {
        return MORE_DOCUMENTS.to_owned();
    }
    match words.split_once(", set DuplicateKeyPolicy") {
        Some((key, _)) => key.replace("duplicate mapping key", "a key is there twice"),
        None => words.to_owned(),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPLAYED_MAX,
        },
    }
}

struct Json(Node);
struct Yaml(Node);

impl From<Json> for Node {
    fn from(json: Json) -> Self {
        json.0
    }
}

impl From<Yaml> for Node {
    fn from(yaml: Yaml) -> Self {
        yaml.0
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let content = deserializer.deserialize_any(Contents::<Self>(PhantomData))?;
        Ok(Self(Node { at: None, content }))
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<YamlContent>::deserialize(deserializer)?;
        let at = (spanned.referenced.line() > 0).then(|| (spanned.referenced.line(), spanned.referenced.column()));
        Ok(Self(Node { at, content: spanned.value.0 }))
    }
}

struct YamlContent(Content);

impl<'de> Deserialize<'de> for YamlContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Contents::<Yaml>(PhantomData)).map(Self)
    }
}

struct Contents<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Into<Node>> Visitor<'de> for Contents<T> {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, held: bool) -> Result<Content, E> {
        Ok(Content::Bool(held))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Content, E> {
        let number = Number::from_f64(number);
        number.map(Content::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element::<T>()? {
            nodes.push(item.into());
        }
        Ok(Content::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((name, node)) = entries.next_entry::<String, T>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format!("the key {name:?} is there twice")));
            }
            fields.push((name, node.into()));
        }
        Ok(Content::Object(fields))
    }
}
