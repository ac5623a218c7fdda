//! One use of a filter of ours: the value, the arguments, and the words when they are
//! not what the filter takes.

use minijinja::Value as View;
use minijinja::value::ValueKind;

use super::super::convert::{Budget, VALUE_BYTES_MAX, to_json};

/// What a filter makes, or what is wrong.
pub(in super::super) type Made = Result<View, String>;

/// Values are shown so far in messages.
const SHOWN_CHARS_MAX: usize = 60;

/// A use of a filter.
pub(in super::super) struct Call<'a> {
    pub(super) value: &'a View,
    /// In the order of the filter's own list; undefined where none was given.
    pub(super) arguments: &'a [View],
}

impl<'a> Call<'a> {
    pub(in super::super) fn new(value: &'a View, arguments: &'a [View]) -> Self {
        Self { value, arguments }
    }

    /// The argument at this place, when it was given.
    pub(super) fn argument(&self, at: usize) -> Option<&'a View> {
        self.arguments.get(at).filter(|argument| !argument.is_undefined() && !argument.is_none())
    }

    /// The value as text; numbers and truth values as they are written.
    pub(super) fn text(&self) -> Result<String, String> {
        text(self.value, "")
    }

    /// A text that must be there.
    pub(super) fn text_at(&self, at: usize, name: &str) -> Result<String, String> {
        self.argument(at).map_or_else(|| Err(format!("needs the argument {name}")), |value| text(value, name))
    }

    /// A text that may be there.
    pub(super) fn optional_text(&self, at: usize, name: &str) -> Result<Option<String>, String> {
        self.argument(at).map(|value| text(value, name)).transpose()
    }

    /// A whole number from `least` to `most` that may be there.
    pub(super) fn count(&self, at: usize, name: &str, least: usize, most: usize) -> Result<Option<usize>, String> {
        let Some(value) = self.argument(at) else { return Ok(None) };
        let found = value.as_i64().and_then(|count| usize::try_from(count).ok());
        let fits = found.filter(|count| value.is_integer() && (least..=most).contains(count));
        fits.map(Some).ok_or_else(|| format!("expects {name} from {least} to {most}, got {}", words(value)))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Result<Vec<View>, String> {
        items(self.value)
    }
}

/// A value as text; `name` is that of the argument, empty for the value itself.
fn text(value: &View, name: &str) -> Result<String, String> {
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number | ValueKind::Bool => written(value),
        _ if name.is_empty() => Err(format!("expects text, got {}", words(value))),
        _ => Err(format!("expects {name} as text, got {}", words(value))),
    }
}

/// Any value as text: texts as they are, all else as JSON writes it.
pub(super) fn written(value: &View) -> Result<String, String> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => to_json(value, &mut Budget::default(), 0).map(|value| value.to_string()),
    }
}

/// The items of a list.
pub(super) fn items(value: &View) -> Result<Vec<View>, String> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map(Iterator::collect).map_err(|error| error.to_string())
        }
        _ => Err(format!("expects a list, got {}", words(value))),
    }
}

/// The fields of an object, in their order.
pub(super) fn fields(value: &View) -> Result<Vec<(View, View)>, String> {
    if value.kind() != ValueKind::Map {
        return Err(format!("expects an object, got {}", words(value)));
    }
    let keys = value.try_iter().map_err(|error| error.to_string())?;
    keys.map(|key| {
        let field = value.get_item(&key).map_err(|error| error.to_string())?;
        Ok((key, field))
    })
    .collect()
}

/// What stands at a path such as `user.login` of an item; undefined when nothing does.
pub(super) fn at_path(item: &View, path: &str) -> View {
    path.split('.').fold(item.clone(), |at, name| match at.is_undefined() {
        true => View::UNDEFINED,
        false => at.get_attr(name).unwrap_or(View::UNDEFINED),
    })
}

/// The same of an item that must have it.
pub(super) fn in_item(item: &View, path: &str) -> Result<View, String> {
    let found = at_path(item, path);
    if found.is_undefined() {
        return Err(format!("expects items with {path:?}, got {}", words(item)));
    }
    Ok(found)
}

/// A text within the limit of what one expression may make.
pub(super) fn made(text: String) -> Made {
    within(text.len())?;
    Ok(View::from(text))
}

/// Refuses what would be larger than one expression may make.
pub(super) fn within(bytes: usize) -> Result<(), String> {
    if bytes > VALUE_BYTES_MAX {
        return Err(format!("makes a text larger than {} MiB", VALUE_BYTES_MAX >> 20));
    }
    Ok(())
}

/// A value in plain words.
pub(super) fn words(value: &View) -> String {
    match value.kind() {
        ValueKind::Undefined => "a value that is not there".to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => value.to_string(),
        ValueKind::Number => format!("the number {value}"),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("the text {:?}", format!("{shown}{more}"))
        }
        ValueKind::Seq | ValueKind::Iterable => "a list".to_owned(),
        ValueKind::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}
