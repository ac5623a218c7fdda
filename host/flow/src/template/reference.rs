//! The reference of expressions for people, made from the tables that the engine uses.

use std::fmt::Write as _;

use super::engine::TESTS;
use super::filters::{GROUPS, Group, PATTERNS};

const HEAD: &str = "\
# Expressions

Texts in a flow may hold expressions between `{{` and `}}`. A text that is one whole expression keeps its type;
others become text. A literal `{{` is written `{{ '{{' }}`. This page is made from the code; a test holds the two together.

## What can be read

| name | what |
|---|---|
| `trigger` | the event that started the run |
| `steps.ID` | the output of a step before; `steps.ID.error` has `code` and `message` when it failed and the flow went on. An id with a hyphen: `steps['ID']` |
| `item`, `loop.index` | in a `foreach`: the item, and its index from 0 |
| `run.id`, `run.started_at` | the run, and when it began (ISO 8601, UTC). There is no clock: this is now |
| `flow.id`, `flow.name`, `flow.version`, `env` | the flow, and the environment |
| `error.code`, `error.message`, `error.step` | in the flow's `on_error` |

Values: `'text'`, `12`, `1.5`, `true`, `none`, `[1, 2]`, `{'a': 1}`. Parts: `value.field`, `value['a field']`, `list[0]`, `list[-1]`, `list[1:3]`.
Operators: `+ - * / // % **`, `~` (joins texts), `== != < <= > >=`, `and or not`, `in`, `not in`, `a if condition else b`.

What may be absent has to be asked for: `x | default(...)`, or `x is defined`. A slip in a name is found when the flow is saved.
An expression takes at most 4,096 characters and 1,000 operations, and makes at most 4 MiB.
";

const TABLES: &str = "\
## Tables

```yaml
tables:
  channels: { bug: \"#bugs\", docs: \"#writing\" }
steps:
  - id: post
    uses: slack/post-message
    connection: slack
    input: { channel: \"{{ trigger.label | lookup('channels', '#other') }}\", text: \"{{ trigger.title }}\" }
```

`lookup` finds what a key stands for. A table that is not there, and a constant key that it does not have, are found when the flow is saved;
without a second argument, a key that it does not have fails the step.
";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Filters\n\n`value | filter`, `value | filter(argument)`; arguments with `?` may be left out, in places or by name.\n");
    for group in GROUPS {
        tell(&mut page, group);
    }
    page.push_str("\n### Patterns of dates\n\n| pattern | what |\n|---|---|\n");
    for (pattern, what) in PATTERNS {
        let _ = writeln!(page, "| `{pattern}` | {what} |");
    }
    let tests: Vec<String> = TESTS.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(page, "\n## Tests\n\n`value is test`, `value is not test`: {}.\n\n{TABLES}", tests.join(", "));
    page
}

fn tell(page: &mut String, group: &Group) {
    let _ = write!(page, "\n### {}\n\n{}\n\n| filter | what | example |\n|---|---|---|\n", group.title, group.about);
    for filter in group.filters {
        let example = |(expression, made): &(&str, &str)| format!("`{}` → `{}`", cell(expression), cell(made));
        let examples: Vec<String> = filter.examples.iter().map(example).collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", filter.usage(), filter.about, examples.join("<br>"));
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
