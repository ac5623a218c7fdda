//! `sluice flow test`: the tests inside a flow's document, over a pretended outside.

use std::path::Path;

use api::wire::{NewTest, TestedFlow};
use clap::Args;
use model::Problem;

use super::format;
use crate::cli::Global;
use crate::client::Reply;
use crate::exit::{Answer, Exit, Stop};
use crate::input;
use crate::show::{self, Paint, hang};

/// Which tests.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice flow test alert.yaml\n  sluice flow test alert-on-bug --name 'others are left alone'\n\nConnectors are not called: they answer what the test says, else their own samples."
)]
pub(crate) struct Test {
    /// YAML or JSON; or a flow, whose draft is tested, else what is published
    #[arg(value_name = "FILE|FLOW")]
    what: String,
    /// Only the test of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// What is asked of the host: a file as it is, else a flow by its name.
pub(super) fn request(global: &Global, test: &Test) -> Result<NewTest, Stop> {
    let file = Path::new(&test.what);
    let new = NewTest {
        document: None,
        format: None,
        file: None,
        flow: None,
        environment: global.environment.clone(),
        name: test.name.clone(),
    };
    if file.exists() {
        let (document, file_name) = (Some(input::read(file)?), Some(test.what.clone()));
        return Ok(NewTest { document, format: format(file), file: file_name, ..new });
    }
    let flow = test.what.parse().map_err(|_| {
        let problem = Problem::new("file", format!("there is no file {:?}, and no flow has such a name", test.what));
        Stop::failed(problem.fix("name a YAML or JSON file, or a flow: sluice flow list"))
    })?;
    Ok(NewTest { flow: Some(flow), ..new })
}

/// Each test in a line, and what differed.
pub(super) fn told(reply: Reply<TestedFlow>) -> Answer {
    let paint = Paint::stdout();
    let tests = &reply.value.tests;
    let mut lines = Vec::new();
    for test in tests {
        let word = if test.passed { paint.good("passed") } else { paint.bad("failed") };
        lines.push(format!("{word}  {}", test.name));
        lines.extend(test.differences.iter().map(|difference| format!("        {difference}")));
        lines.extend(test.problem.iter().map(|problem| format!("        {}", hang(&show::problem(problem, paint), 8))));
    }
    let failed = tests.iter().filter(|test| !test.passed).count();
    lines.push(match failed {
        0 => format!("{}: {} passed.", reply.value.id, count(tests.len())),
        failed => format!("{}: {failed} of {} failed.", reply.value.id, count(tests.len())),
    });
    let exit = if failed == 0 { Exit::Done } else { Exit::Failed };
    Answer { exit, json: reply.json, text: lines.join("\n") }
}

fn count(tests: usize) -> String {
    if tests == 1 { "1 test".to_owned() } else { format!("{tests} tests") }
}
