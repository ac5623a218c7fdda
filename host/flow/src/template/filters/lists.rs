//! Filters for lists. An item's field is named as `name`, or as `user.name` further in.

use std::collections::HashMap;

use minijinja::value::ValueKind;
use minijinja::{Value as View, filters};

use super::call::{self, Call, Made, words};
use super::{Filter, Group, Work, engines, own};

/// As many items as a loop takes; a longer one cannot be gone through anyway.
const SIZE_MAX: usize = crate::document::ITEMS_MAX;
/// Lists that stand in a list many times could make far more than they are.
const FLAT_MAX: usize = 500_000;
/// Lists within lists, taken apart.
const LEVELS_MAX: usize = 20;

pub(super) const GROUP: Group = Group {
    title: "Lists",
    about: "Parts of a list are written `list[0]`, `list[-1]`, `list[2:5]`. A field further in is named with dots: `'user.name'`.",
    filters: &[
        engines("first", "The first item.", &[("[1, 2] | first", "1")], |engine, name| {
            engine.add_filter(name, filters::first);
        }),
        engines("last", "The last item.", &[("[1, 2] | last", "2")], |engine, name| {
            engine.add_filter(name, filters::last);
        }),
        own(
            "join",
            &[],
            &["between"],
            "The items as one text, with something between.",
            &[("['a', 1] | join(', ')", "\"a, 1\"")],
            join,
        ),
        own(
            "pluck",
            &["field"],
            &["otherwise"],
            "That field of each item; `otherwise` where there is none.",
            &[("[{'n': 1}, {'n': 2}] | pluck('n')", "[1, 2]"), ("[{'n': 1}, {}] | pluck('n', 0)", "[1, 0]")],
            pluck,
        ),
        own(
            "where",
            &["field", "is"],
            &[],
            "The items of which that field has this value.",
            &[("[{'n': 1, 'ok': true}, {'n': 2}] | where('ok', true)", r#"[{"n": 1, "ok": true}]"#)],
            where_is,
        ),
        Filter {
            name: "select",
            required: &[],
            optional: &["test", "argument", "argument2"],
            named: &[],
            about: "The items that pass a test; without one, those that are not empty.",
            examples: &[("[1, 5, 3] | select('gt', 2) | list", "[5, 3]"), ("['', 'a'] | select | list", "[\"a\"]")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::select)),
        },
        Filter {
            name: "reject",
            required: &[],
            optional: &["test", "argument", "argument2"],
            named: &[],
            about: "The items that do not pass it.",
            examples: &[("[1, 5, 3] | reject('gt', 2) | list", "[1]")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::reject)),
        },
        Filter {
            name: "selectattr",
            required: &["field"],
            optional: &["test", "argument", "argument2"],
            named: &[],
            about: "The items of which that field passes a test.",
            examples: &[("[{'n': 1}, {'n': 5}] | selectattr('n', 'gt', 2) | list", "[{\"n\": 5}]")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::selectattr)),
        },
        Filter {
            name: "rejectattr",
            required: &["field"],
            optional: &["test", "argument", "argument2"],
            named: &[],
            about: "The items of which it does not.",
            examples: &[("[{'n': 1}, {'n': 5}] | rejectattr('n', 'gt', 2) | list", "[{\"n\": 1}]")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::rejectattr)),
        },
        Filter {
            name: "map",
            required: &[],
            optional: &["filter", "argument", "argument2", "argument3"],
            named: &["attribute", "default"],
            about: "Each item through a filter, or that field of it.",
            examples: &[
                ("['a', 'b'] | map('upper') | list", r#"["A", "B"]"#),
                ("[{'n': 1}] | map(attribute='n') | list", "[1]"),
            ],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::map)),
        },
        Filter {
            name: "sort",
            required: &[],
            optional: &[],
            named: &["attribute", "reverse", "case_sensitive"],
            about: "In order, by the items or by a field of them.",
            examples: &[
                ("[3, 1, 2] | sort", "[1, 2, 3]"),
                ("[{'n': 1}, {'n': 2}] | sort(attribute='n', reverse=true)", r#"[{"n": 2}, {"n": 1}]"#),
            ],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::sort)),
        },
        Filter {
            name: "unique",
            required: &[],
            optional: &[],
            named: &["attribute", "case_sensitive"],
            about: "Each item once, the first of those that are alike.",
            examples: &[("[1, 2, 1] | unique", "[1, 2]")],
            work: Work::Engine(|engine, name| engine.add_filter(name, filters::unique)),
        },
        engines("reverse", "The other way round; a text too.", &[("[1, 2] | reverse", "[2, 1]")], |engine, name| {
            engine.add_filter(name, filters::reverse);
        }),
        own(
            "group_by",
            &["field"],
            &[],
            "The items in groups by that field, in the order in which its values come first.",
            &[
                (
                    "[{'t': 'a', 'n': 1}, {'t': 'b', 'n': 2}, {'t': 'a', 'n': 3}] | group_by('t') | pluck('items')",
                    r#"[[{"t": "a", "n": 1}, {"t": "a", "n": 3}], [{"t": "b", "n": 2}]]"#,
                ),
                ("[{'t': 'a'}] | group_by('t')", r#"[{"key": "a", "items": [{"t": "a"}]}]"#),
            ],
            group_by,
        ),
        own(
            "index_by",
            &["field"],
            &[],
            "An object with each item under that field; of those that are alike, the last.",
            &[("[{'id': 7, 'n': 1}] | index_by('id')", r#"{"7": {"id": 7, "n": 1}}"#)],
            index_by,
        ),
        own("chunk", &["size"], &[], "Lists of so many items.", &[("[1, 2, 3] | chunk(2)", "[[1, 2], [3]]")], chunk),
        own(
            "flatten",
            &[],
            &["levels"],
            "The items of the lists in it, so many levels down; one when left out.",
            &[("[1, [2, [3]]] | flatten", "[1, 2, [3]]"), ("[1, [2, [3]]] | flatten(2)", "[1, 2, 3]")],
            flatten,
        ),
        own(
            "compact",
            &[],
            &[],
            "Without null and empty texts, lists and objects.",
            &[("[0, none, '', 'a', []] | compact", r#"[0, "a"]"#)],
            compact,
        ),
        engines(
            "list",
            "The characters of a text, or the names of an object's fields; a list stays as it is.",
            &[("'ab' | list", r#"["a", "b"]"#)],
            |engine, name| engine.add_filter(name, filters::list),
        ),
    ],
};

fn join(call: &Call<'_>) -> Made {
    let between = call.optional_text(0, "between")?.unwrap_or_default();
    let mut text = String::new();
    for (at, item) in call.items()?.into_iter().enumerate() {
        if item.is_undefined() {
            return Err(format!("expects items, got {}", words(&item)));
        }
        if at > 0 {
            text.push_str(&between);
        }
        text.push_str(&call::written(&item)?);
        call::within(text.len())?;
    }
    Ok(View::from(text))
}

fn pluck(call: &Call<'_>) -> Made {
    let field = call.text_at(0, "field")?;
    let otherwise = call.arguments.get(1).filter(|value| !value.is_undefined());
    let value = |item: View| match otherwise {
        None => call::in_item(&item, &field),
        Some(otherwise) => {
            let found = call::at_path(&item, &field);
            Ok(if found.is_undefined() { otherwise.clone() } else { found })
        }
    };
    call.items()?.into_iter().map(value).collect::<Result<Vec<View>, String>>().map(View::from)
}

fn where_is(call: &Call<'_>) -> Made {
    let field = call.text_at(0, "field")?;
    let wanted = call.arguments.get(1).cloned().unwrap_or_default();
    let items = call.items()?.into_iter().filter(|item| call::at_path(item, &field) == wanted);
    Ok(items.collect::<Vec<View>>().into())
}

fn group_by(call: &Call<'_>) -> Made {
    let field = call.text_at(0, "field")?;
    let mut places: HashMap<View, usize> = HashMap::new();
    let mut groups: Vec<(View, Vec<View>)> = Vec::new();
    for item in call.items()? {
        let key = call::in_item(&item, &field)?;
        let place = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item);
    }
    let group = |(key, items): (View, Vec<View>)| View::from_pairs([("key", key), ("items", items.into())]);
    Ok(groups.into_iter().map(group).collect::<Vec<View>>().into())
}

fn index_by(call: &Call<'_>) -> Made {
    let field = call.text_at(0, "field")?;
    let pair = |item: View| {
        let key = call::in_item(&item, &field)?;
        match key.kind() {
            ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok((key.to_string(), item)),
            _ => Err(format!("expects {field:?} to be text or a number, got {}", words(&key))),
        }
    };
    let pairs: Vec<(String, View)> = call.items()?.into_iter().map(pair).collect::<Result<_, String>>()?;
    Ok(View::from_pairs(pairs))
}

fn chunk(call: &Call<'_>) -> Made {
    let size = call.count(0, "size", 1, SIZE_MAX)?.unwrap_or(1);
    let items = call.items()?;
    Ok(items.chunks(size).map(|chunk| View::from(chunk.to_vec())).collect::<Vec<View>>().into())
}

fn flatten(call: &Call<'_>) -> Made {
    let levels = call.count(0, "levels", 1, LEVELS_MAX)?.unwrap_or(1);
    let mut flat = Vec::new();
    take_apart(call.items()?, levels, &mut flat)?;
    Ok(flat.into())
}

fn take_apart(items: Vec<View>, levels: usize, flat: &mut Vec<View>) -> Result<(), String> {
    for item in items {
        if flat.len() >= FLAT_MAX {
            return Err(format!("makes a list of more than {FLAT_MAX} items"));
        }
        match item.kind() {
            ValueKind::Seq | ValueKind::Iterable if levels > 0 => take_apart(call::items(&item)?, levels - 1, flat)?,
            _ => flat.push(item),
        }
    }
    Ok(())
}

fn compact(call: &Call<'_>) -> Made {
    let is_there = |item: &View| match item.kind() {
        ValueKind::None | ValueKind::Undefined => false,
        ValueKind::String | ValueKind::Seq | ValueKind::Map => item.len() != Some(0),
        _ => true,
    };
    Ok(call.items()?.into_iter().filter(is_there).collect::<Vec<View>>().into())
}
