//! `foreach`: the list, the body, and what an item leaves behind.

use std::collections::BTreeSet;

use model::{Problem, type_words};
use serde_json::json;

use super::names::Presence;
use super::read::Fields;
use super::report::wrong;
use super::shape::{self, Shape};
use super::steps::{Block, Read, Slot, Steps};
use super::tree::{Content, Node};
use super::values;
use crate::document::{CONCURRENCY_MAX, ITEMS_MAX};
use crate::plan::{Foreach, Work};
use crate::template::Segment;

/// One call with more is a load on the remote's memory, and on ours.
const BATCH_MAX: u32 = 1_000;

impl Steps<'_, '_> {
    pub(super) fn foreach(&mut self, fields: &Fields<'_>, depth: usize) -> Read {
        let keys = ["foreach", "concurrency", "batch", "on_item_error", "steps", "output", "on_error"];
        self.only(fields, &keys);
        let on_error = self.on_error(fields);
        let concurrency = self.count(fields, "concurrency", CONCURRENCY_MAX).unwrap_or(1);
        let batch = self.count(fields, "batch", BATCH_MAX);
        let choices = [("fail", false), ("continue", true)];
        let continues = fields.choice("on_item_error", &choices, self.report).unwrap_or_default();
        let Some(node) = fields.get_any("foreach") else { return Read::leaf(None, None) };
        let made = values::read(node, &fields.field("foreach"), &self.names, self.report);
        self.is_list(node, &fields.field("foreach"), &made.shape);
        let item = item_shape(&made.shape, batch.is_some());
        let (body, output) = self.body(fields, depth, item, concurrency > 1);
        let (template, shape) = output.map(|made| (made.template, made.shape)).unzip();
        let end = self.steps.len();
        let items = made.template;
        let foreach = Foreach { items, concurrency, batch, continues, body: None, end, output: template, on_error };
        let inner = vec![(Slot::Body, body)];
        Read { inner, ..Read::leaf(Some(Work::Foreach(Box::new(foreach))), Some(loop_shape(shape, continues))) }
    }

    /// The body, and what an item leaves behind; its steps cannot be read outside.
    fn body(&mut self, fields: &Fields<'_>, depth: usize, item: Shape, several: bool) -> (Block, Option<values::Made>) {
        let around = self.names.item.replace(item);
        let concurrent = self.concurrent;
        self.concurrent |= several;
        let first = self.names.steps.len();
        let own = self.names.current.clone();
        let body = match fields.required("steps", "a list of steps", self.report) {
            Some(node) => self.block(node, &fields.field("steps"), depth + 1),
            None => Block::default(),
        };
        self.names.current = own;
        let output = fields.get("output");
        let output = output.map(|node| values::read(node, &fields.field("output"), &self.names, self.report));
        let id = self.names.current.clone().unwrap_or_default();
        for output in &mut self.names.steps[first..] {
            output.presence = Presence::Inside(id.clone());
        }
        self.concurrent = concurrent;
        self.names.item = around;
        (body, output)
    }

    fn is_list(&mut self, node: &Node, field: &str, shape: &Shape) {
        if let Content::List(items) = &node.content
            && items.len() > ITEMS_MAX
        {
            let what = format!("the list has {} items, a loop takes at most {ITEMS_MAX}", items.len());
            self.report.add(node, field, Problem::new("too-many-items", what).fix("divide it among several runs"));
        }
        let types: Option<BTreeSet<String>> = shape.types(&[]);
        if let Some(types) = types.filter(|types| !types.contains("array")) {
            let found = types.iter().map(|kind| type_words(kind)).collect::<Vec<_>>().join(" or ");
            let problem = Problem::new("wrong-type", format!("foreach expects a list, got {found}"));
            self.report.add(node, field, problem.fix("name a list, as in {{ trigger.items }}"));
        }
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&mut self, fields: &Fields<'_>, name: &str, most: u32) -> Option<u32> {
        let node = fields.get(name)?;
        let found = node.to_json().as_u64().and_then(|count| u32::try_from(count).ok());
        let fits = found.filter(|count| (1..=most).contains(count));
        if fits.is_none() {
            let expected = format!("a number from 1 to {most}");
            self.report.add(node, &fields.field(name), wrong(name, &expected, node));
        }
        fits
    }
}

fn item_shape(list: &Shape, batched: bool) -> Shape {
    let parts = list.0.get("prefixItems").and_then(|parts| parts.as_array());
    let item = match parts {
        Some(parts) if parts.is_empty() => Shape::open(),
        Some(parts) => Shape(json!({ "anyOf": parts })),
        None => list.at(&[Segment::Index(0)]),
    };
    if batched { Shape(json!({ "type": "array", "items": item.0 })) } else { item }
}

/// What `steps.<loop>` is afterwards.
fn loop_shape(output: Option<Shape>, continues: bool) -> Shape {
    let null = json!({ "type": "null" });
    let output = match output {
        None => null,
        Some(Shape(output)) if continues => json!({ "anyOf": [output, null] }),
        Some(Shape(output)) => output,
    };
    let (count, text) = (json!({ "type": "integer" }), json!({ "type": "string" }));
    let error = shape::of_object(
        [("index", count.clone()), ("code", text.clone()), ("message", text)]
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), schema)),
    );
    let fields = [
        ("outputs", json!({ "type": "array", "items": output })),
        ("succeeded", count.clone()),
        ("failed", count),
        ("errors", json!({ "type": "array", "items": error })),
    ];
    Shape(shape::of_object(fields.into_iter().map(|(name, schema)| (name.to_owned(), schema))))
}
