//! A flow's own tests: over a pretended outside, so that nothing leaves and nothing
//! is kept.

use flow::{Format, Test, Verdict};
use model::{Environment, FlowId, Problem};

use crate::catalogue::Known;
use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// Checks a document and runs its tests: all of them, or the one that is named.
    ///
    /// # Errors
    /// Every problem of the document; or that it has no such test.
    pub async fn test_flow(
        &self,
        document: String,
        format: Format,
        file: String,
        environment: Environment,
        only: Option<String>,
    ) -> Result<(FlowId, Vec<Verdict>), EngineError> {
        let engine = self.clone();
        // A test may go through ten thousand items; others do not wait for it.
        let tested = tokio::task::spawn_blocking(move || {
            let known = Known { catalogue: &engine.0.catalogue, flows: &engine.0.flows, environment: &environment };
            let (plan, mut tests) =
                flow::check_with_tests(&document, format, &file, &known).map_err(EngineError::Invalid)?;
            let retired = engine.calls_of_retired(&environment, &plan);
            if !retired.is_empty() {
                return Err(EngineError::Invalid(retired));
            }
            choose(&mut tests, only.as_deref(), plan.id())
                .map_err(|problem| EngineError::Invalid(vec![problem.field(file)]))?;
            Ok((plan.id().clone(), tests.iter().map(|test| test.run(&plan, &environment)).collect()))
        });
        tested.await.map_err(EngineError::internal)?
    }

    /// The document of a flow that would be published next: its draft, else the
    /// published one.
    ///
    /// # Errors
    /// When there is neither.
    pub fn newest_document(&self, environment: &Environment, id: &FlowId) -> Result<String, EngineError> {
        match self.draft(environment, id)? {
            Some(draft) => Ok(draft.document),
            None => Ok(self.published(environment, id)?.record.document.clone()),
        }
    }
}

/// Keeps the tests that are asked for, at least one.
fn choose(tests: &mut Vec<Test>, only: Option<&str>, flow: &FlowId) -> Result<(), Problem> {
    if tests.is_empty() {
        let problem = Problem::new("no-tests", format!("flow {flow} has no tests"));
        return Err(problem.fix("add the key tests: a list of { name, trigger, answers, expect }"));
    }
    let Some(name) = only else { return Ok(()) };
    let names: Vec<String> = tests.iter().map(|test| test.name().to_owned()).collect();
    tests.retain(|test| test.name() == name);
    if !tests.is_empty() {
        return Ok(());
    }
    let problem = Problem::new("unknown-test", format!("flow {flow} has no test {name:?}"));
    Err(match model::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => problem.fix(format!("did you mean {near:?}?")),
        None => problem.cause(format!("it has: {}", names.join(", "))),
    })
}
