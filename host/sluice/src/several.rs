//! A command over several files: every one is tried, and every one is told of.

use serde_json::{Value, json};

use crate::exit::{Answer, Done, Exit, Outcome, Stop};

/// What became of the files so far.
#[derive(Debug)]
pub(crate) struct Several {
    /// What the done ones are in JSON: `flows`.
    name: &'static str,
    values: Vec<Value>,
    lines: Vec<String>,
    failed: Vec<Stop>,
}

impl Several {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, values: Vec::new(), lines: Vec::new(), failed: Vec::new() }
    }

    /// Takes what became of a file. False: there is no host for the next ones either.
    pub(crate) fn take(&mut self, file: &str, outcome: Outcome) -> bool {
        match outcome {
            Ok(answer) => {
                self.values.push(answer.json);
                self.lines.push(answer.text);
                true
            }
            Err(mut stop) => {
                name_file(&mut stop, file);
                let is_there = stop.exit != Exit::Unreachable;
                self.failed.push(stop);
                is_there
            }
        }
    }

    /// The answer; when one failed, the problems of all that did and what was done.
    pub(crate) fn told(self) -> Outcome {
        let Self { name, values, lines, failed } = self;
        let text = lines.join("\n");
        let Some(first) = failed.first() else { return Ok(Answer::done(json!({ name: values }), text)) };
        let is_same = failed.iter().all(|stop| stop.exit == first.exit);
        let exit = if is_same { first.exit } else { Exit::Failed };
        let done = (!values.is_empty()).then(|| Done { name, values, text });
        let problems = failed.into_iter().flat_map(|stop| stop.problems).collect();
        Err(Stop { exit, problems, done })
    }
}

/// Every problem says which file it is of.
fn name_file(stop: &mut Stop, file: &str) {
    for problem in &mut stop.problems {
        problem.field = match problem.field.take() {
            Some(field) if field.contains(file) => Some(field),
            Some(field) => Some(format!("{file}: {field}")),
            None => Some(file.to_owned()),
        };
    }
}

#[cfg(test)]
mod tests {
    use model::Problem;

    use super::*;

    fn refused(exit: Exit, field: Option<&str>) -> Outcome {
        let problem = Problem::new("wrong", "it is wrong");
        Err(Stop::new(exit, field.into_iter().fold(problem, |problem, field| problem.field(field))))
    }

    #[test]
    fn all_are_tried_and_told_of() {
        let mut all = Several::of("flows");
        assert!(all.take("a.yaml", Ok(Answer::done(json!(1), "a is done"))));
        assert!(all.take("b.yaml", refused(Exit::Denied, Some("id (b.yaml:2)"))));
        assert!(all.take("c.yaml", refused(Exit::Failed, Some("id"))));
        assert!(all.take("d.yaml", Ok(Answer::done(json!(4), "d is done"))));
        assert!(!all.take("e.yaml", refused(Exit::Unreachable, None)));
        let stop = all.told().expect_err("some failed");
        let fields: Vec<_> = stop.problems.iter().filter_map(|problem| problem.field.as_deref()).collect();
        assert_eq!(fields, ["id (b.yaml:2)", "c.yaml: id", "e.yaml"]);
        assert_eq!(stop.exit, Exit::Failed);
        let done = stop.done.expect("some are done");
        assert_eq!((done.name, done.values), ("flows", vec![json!(1), json!(4)]));
        assert_eq!(done.text, "a is done\nd is done");
    }

    #[test]
    fn one_file_ends_as_it_does() {
        let mut all = Several::of("flows");
        all.take("a.yaml", refused(Exit::Denied, None));
        let stop = all.told().expect_err("it failed");
        assert_eq!(stop.exit, Exit::Denied);
        assert!(stop.done.is_none());
        let mut all = Several::of("flows");
        all.take("a.yaml", Ok(Answer::done(json!(1), "a is done")));
        let answer = all.told().expect("it is done");
        assert_eq!((answer.json, answer.text.as_str()), (json!({ "flows": [1] }), "a is done"));
    }
}
