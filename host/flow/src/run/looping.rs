//! A `foreach` under way: its items, what came of them, and which comes next.

use std::sync::Arc;

use model::Failure;
use serde_json::{Value, json};

use super::iteration::Spot;
use super::walk::is_unclear;
use crate::template::{Budget, charge};

/// Errors kept by a loop that goes on; the counts tell of the others.
const ERRORS_KEPT_MAX: usize = 100;

/// A loop under way. Results are shared: a clone copies places, not values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loop {
    items: Arc<Value>,
    next: u32,
    under_way: u32,
    outputs: Vec<Option<Arc<Value>>>,
    failed: u32,
    errors: Vec<Value>,
    budget: Budget,
    broken: Option<Broken>,
}

/// What ends a loop before its last item.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Broken {
    pub(super) at: Spot,
    pub(super) failure: Failure,
}

impl Loop {
    pub(super) fn new(items: Arc<Value>) -> Self {
        let outputs = vec![None; items.as_array().map_or(0, Vec::len)];
        Self {
            items,
            next: 0,
            under_way: 0,
            outputs,
            failed: 0,
            errors: Vec::new(),
            budget: Budget::default(),
            broken: None,
        }
    }

    /// The next item begins, unless there is none or one has broken the loop.
    pub(super) fn begin(&mut self) -> Option<(u32, Arc<Value>)> {
        let index = self.next;
        let item = self.items.get(usize::try_from(index).ok()?)?;
        if self.broken.is_some() {
            return None;
        }
        self.next += 1;
        self.under_way += 1;
        Some((index, Arc::new(item.clone())))
    }

    /// Whether this output still fits beside the others.
    pub(super) fn takes(&self, output: &Value) -> Result<(), String> {
        charge(output, &mut self.budget.clone())
    }

    pub(super) fn succeed(&mut self, index: u32, output: &Arc<Value>) {
        self.under_way = self.under_way.saturating_sub(1);
        // The walk has asked `takes`; entries of an earlier release had the same limit.
        let _ = charge(output, &mut self.budget);
        if let Some(place) = usize::try_from(index).ok().and_then(|index| self.outputs.get_mut(index)) {
            *place = Some(Arc::clone(output));
        }
    }

    pub(super) fn fail(&mut self, index: u32, at: Spot, failure: &Failure, continued: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        self.failed += 1;
        if self.errors.len() < ERRORS_KEPT_MAX {
            let problem = failure.to_problem();
            self.errors.push(json!({ "index": index, "code": problem.code, "message": problem.what }));
        }
        // The first failure counts, but a doubt counts more: a person has to look at it.
        let is_news = self.broken.as_ref().is_none_or(|broken| is_unclear(failure) && !is_unclear(&broken.failure));
        if !continued && is_news {
            self.broken = Some(Broken { at, failure: failure.clone() });
        }
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// Whether nothing is under way and nothing more begins.
    pub(super) fn is_over(&self) -> bool {
        let begun_all = usize::try_from(self.next).is_ok_and(|next| next >= self.outputs.len());
        self.under_way == 0 && (begun_all || self.broken.is_some())
    }

    /// What `steps.<loop>` is afterwards.
    pub(super) fn output(&self) -> Value {
        let outputs: Vec<Value> =
            self.outputs.iter().map(|output| output.as_deref().cloned().unwrap_or_default()).collect();
        let succeeded = outputs.len() - usize::try_from(self.failed).unwrap_or(usize::MAX).min(outputs.len());
        json!({ "outputs": outputs, "succeeded": succeeded, "failed": self.failed, "errors": self.errors })
    }
}

#[cfg(test)]
mod tests {
    use super::super::iteration::Iteration;
    use super::*;

    #[test]
    fn a_doubt_among_the_items_is_not_hidden_by_an_earlier_failure() {
        let clear = || Failure::AuthExpired;
        let unclear = || Failure::MayHaveHappened { message: "look".to_owned() };
        for (failures, wanted) in [
            ([clear(), unclear()], unclear()),
            ([unclear(), clear()], unclear()),
            ([clear(), Failure::AuthRevoked], clear()),
        ] {
            let mut around = Loop::new(Arc::new(json!([1, 2])));
            // Both are under way before either fails.
            failures.iter().for_each(|_| drop(around.begin().expect("an item is left")));
            for (index, failure) in (0..).zip(&failures) {
                let at = Spot { step: "post".parse().expect("a name"), iteration: Iteration::default() };
                around.fail(index, at, failure, false);
            }
            assert_eq!(around.broken().map(|broken| &broken.failure), Some(&wanted));
        }
    }
}
