//! Each event became one run, and no run came from nowhere.

use std::collections::BTreeMap;

use engine::{Origin, RunStatus, RunView};
use flow::Spot;
use model::{Failure, RunId};

use super::Evidence;
use crate::flows::Start;
use crate::senders::Delivery;

impl Evidence<'_> {
    pub(super) fn events(&self) {
        self.one_run_each();
        for delivery in self.world.deliveries.all() {
            match &delivery.run {
                None => self.broken(format!("{} was never acknowledged", delivery.id)),
                Some(run) => self.siblings(&delivery, run),
            }
        }
        self.polled();
    }

    fn one_run_each(&self) {
        let mut by_event: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut first = 0;
        for view in &self.runs.views {
            let record = &view.record;
            let event = match &record.origin {
                Origin::Webhook { delivery_key, index } => {
                    first += usize::from(*index == 0);
                    format!("event {index} of {delivery_key}")
                }
                Origin::Poll { item } => format!("item {item}"),
                Origin::Schedule { nominal_ms } => format!("time {nominal_ms}"),
                Origin::Flow { parent, step, iteration, .. } => {
                    let spot = Spot { step: step.clone(), iteration: iteration.clone() };
                    self.is_known_to(view, parent, &spot);
                    continue;
                }
                Origin::Manual { .. } | Origin::Replay { .. } => continue,
            };
            *by_event.entry((record.flow.to_string(), event)).or_default() += 1;
        }
        for ((flow, event), found) in &by_event {
            if *found > 1 {
                self.broken(format!("{event} of {flow} became {found} runs"));
            }
        }
        let sent = self.world.deliveries.all().len();
        if first > sent {
            self.broken(format!("{sent} deliveries became {first} first runs"));
        }
    }

    /// The run that began this one says so itself.
    fn is_known_to(&self, child: &RunView, parent: &RunId, spot: &Spot) {
        let id = &child.record.id;
        let known = |parent: &RunView| parent.children.iter().any(|known| known.run == *id && known.spot == *spot);
        if !self.runs.get(parent).is_some_and(known) {
            self.broken(format!("run {id} came from {} of {parent}, which knows nothing of it", spot.step));
        }
    }

    /// A delivery that was read has a run for each of its events.
    fn siblings(&self, delivery: &Delivery, run: &RunId) {
        let Some(first) = self.runs.get(run) else { return };
        let Origin::Webhook { delivery_key, .. } = &first.record.origin else {
            return self.broken(format!("{} became {run}, which came from elsewhere", delivery.id));
        };
        let of_delivery = |view: &&RunView| matches!(&view.record.origin, Origin::Webhook { delivery_key: key, .. } if key == delivery_key);
        let found: Vec<&RunView> = self.runs.of(delivery.flow).filter(of_delivery).collect();
        for view in &found {
            let Origin::Webhook { index, .. } = &view.record.origin else { continue };
            let wanted = delivery.event_id(u64::from(*index));
            if view.trigger.as_ref().is_some_and(|event| event["id"] != wanted) {
                self.broken(format!("{wanted} became the run {} with the event {:?}", view.record.id, view.trigger));
            }
        }
        let status = first.record.status;
        // A connector that could not read the delivery leaves one run, with a dead letter
        // or as somebody cancelled it.
        let unread = first.trigger.is_none() && matches!(status, RunStatus::Failed | RunStatus::Cancelled);
        if unread {
            let stopped =
                matches!(first.dead_letter.as_ref().map(|letter| &letter.failure), Some(Failure::Stopped { .. }));
            if found.len() != 1 || stopped {
                self.broken(format!("{} was not read, and has {} runs", delivery.id, found.len()));
            }
            return;
        }
        if found.len() as u64 != delivery.events.max(1) {
            self.broken(format!("{} with {} events became {} runs", delivery.id, delivery.events, found.len()));
        }
        if delivery.events == 0 && status != RunStatus::Ignored {
            self.broken(format!("{} held nothing, but its run {}", delivery.id, status.as_str()));
        }
    }

    /// Everything in the feed was found, with what it held.
    fn polled(&self) {
        let flows = self.world.flows.iter().filter_map(|versions| versions.first());
        let Some(feed) = flows.into_iter().find(|program| program.start == Start::Poll) else { return };
        for item in self.world.works.feed() {
            let event = &item.event;
            let of_item =
                |view: &&RunView| matches!(&view.record.origin, Origin::Poll { item } if event["id"] == **item);
            let found: Vec<&RunView> = self.runs.of(feed.id).filter(of_item).collect();
            match found.as_slice() {
                [view] if view.trigger.as_ref() == Some(event) => self.world.trace.count("items polled"),
                found => self.broken(format!("{event} of the feed became {} runs", found.len())),
            }
        }
        let polled = self.runs.of(feed.id).filter(|view| matches!(view.record.origin, Origin::Poll { .. })).count();
        let there = self.world.works.feed().len();
        if polled != there {
            self.broken(format!("{there} items of the feed became {polled} runs"));
        }
    }
}
