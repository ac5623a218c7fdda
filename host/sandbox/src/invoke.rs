//! One call from start to end: a fresh store and instance, limits, the guest's
//! function, the report. Nothing of it outlives the call.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use egress::Session;
use model::{Digest, Failure, Limits};
use tokio::task::unconstrained;
use wasmtime::Store;

use crate::ask;
use crate::bindings::receives::exports::sluicegate::connector::webhooks;
use crate::bindings::shared;
use crate::call::{Answer, Call, Delivery, Report, Work};
use crate::meter::Meter;
use crate::outcome::{Ended, check_account, check_events, check_output, host_call_bytes, wall};
use crate::pages::{check_choices, check_config, check_fields, check_page, check_subscription, check_unsubscribed};
use crate::plugin::{Loaded, Plugin};
use crate::room::Busy;
use crate::sandbox::{Inner, Sandbox};
use crate::state::State;

/// What a guest's function returns: its answer, or a trap.
pub(crate) type Returned<T> = wasmtime::Result<Result<T, shared::Error>>;

impl Sandbox {
    /// Makes one call in an instance of its own. Always returns a report; a fault of
    /// the connector is a failure in it. The call ends at `limits.wall_ms` at the
    /// latest; dropping the future ends it at once.
    pub async fn call(&self, plugin: &Plugin, call: Call) -> Report {
        let began = Instant::now();
        let deadline = began + wall(call.session.limits());
        let _room = match self.0.room.enter(deadline).await {
            Ok(room) => room,
            Err(busy) => return not_begun(&call, busy, began),
        };
        let Call { work, context, session, services } = call;
        let meter = self.0.meter(session.limits(), plugin.0.digest);
        let mut store = self.0.store(State::new(
            Some(session),
            services,
            context,
            (began, deadline),
            meter,
            self.0.options.clock_ms.clone(),
        ));
        let outcome = self.0.work(&plugin.0, &mut store, work).await;
        report(store.into_data(), outcome, began)
    }
}

impl Inner {
    pub(crate) fn meter(&self, limits: &Limits, connector: Digest) -> Arc<Meter> {
        Meter::new(Duration::from_millis(limits.cpu_ms), self.lanes.clone(), self.slow_lanes.clone(), connector)
    }

    /// A store with every limit set.
    pub(crate) fn store(&self, state: State) -> Store<State> {
        let host_call_bytes = host_call_bytes(state.limits());
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(usize::try_from(host_call_bytes).unwrap_or(usize::MAX));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| Ok(store.data().meter.tick()));
        store
    }

    /// Runs a guest's function under the meter, until the deadline.
    pub(crate) async fn run<T>(
        &self,
        deadline: Instant,
        meter: Arc<Meter>,
        future: impl Future<Output = Returned<T>>,
    ) -> Ended<T> {
        // Here, since it is large and would be copied on its way through those below.
        let future = pin!(future);
        let _ticking = self.ticker.enter();
        match until(deadline, meter.run(future)).await {
            Some(Ok(returned)) => Ended::Returned(returned),
            Some(Err(error)) => Ended::Trapped(error),
            None => Ended::TimedOut,
        }
    }

    async fn work(&self, plugin: &Loaded, store: &mut Store<State>, work: Work) -> Result<Answer, Failure> {
        let (deadline, meter) = (store.data().deadline, store.data().meter.clone());
        match work {
            Work::Invoke { operation, input } => {
                let future = invoke(plugin, store, operation.as_str(), &input);
                self.run(deadline, meter, future).await.judge(store.data(), check_output)
            }
            Work::Receive { trigger, config, delivery } => {
                let future = receive(plugin, store, trigger.as_str(), &config, delivery);
                self.run(deadline, meter, future).await.judge(store.data(), check_events)
            }
            Work::Check => {
                let future = check(plugin, store);
                self.run(deadline, meter, future).await.judge(store.data(), check_account)
            }
            Work::Poll { trigger, config, from } => {
                let future = ask::poll(plugin, store, trigger.as_str(), &config, from);
                self.run(deadline, meter, future).await.judge(store.data(), check_page)
            }
            Work::Subscribe { trigger, config, callback } => {
                let future = ask::subscribe(plugin, store, trigger.as_str(), &config, callback);
                self.run(deadline, meter, future).await.judge(store.data(), check_subscription)
            }
            Work::Renew { trigger, config, callback, handle } => {
                let future = ask::renew(plugin, store, trigger.as_str(), &config, callback, &handle);
                self.run(deadline, meter, future).await.judge(store.data(), check_subscription)
            }
            Work::Unsubscribe { trigger, config, handle } => {
                let future = ask::unsubscribe(plugin, store, trigger.as_str(), &config, &handle);
                self.run(deadline, meter, future).await.judge(store.data(), check_unsubscribed)
            }
            Work::Choices { field, config, query, page } => {
                let future = ask::choices(plugin, store, field.as_str(), &config, &query, page.as_deref());
                self.run(deadline, meter, future).await.judge(store.data(), check_choices)
            }
            Work::Fields { object, config } => {
                let future = ask::fields(plugin, store, object.as_str(), &config);
                self.run(deadline, meter, future).await.judge(store.data(), check_fields)
            }
            Work::Migrate { operation, config, from_version } => {
                let future = ask::migrate(plugin, store, operation.as_str(), &config, &from_version);
                self.run(deadline, meter, future).await.judge(store.data(), check_config)
            }
        }
    }
}

/// The future's output, unless the deadline comes first. Most calls never wait, and
/// those that do not make no timer.
async fn until<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // A guest that uses up its task's turn must not hold the timer up.
        let sleep = || Box::pin(unconstrained(tokio::time::sleep_until(deadline.into())));
        timer.get_or_insert_with(sleep).as_mut().poll(context).map(|()| None)
    })
    .await
}

async fn invoke(plugin: &Loaded, store: &mut Store<State>, operation: &str, input: &String) -> Returned<String> {
    let acts = plugin.acts.as_ref().ok_or_else(|| missing("actions"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let actions = acts.load(&mut *store, &instance)?;
    actions.sluicegate_connector_actions().call_invoke(store, operation, input).await
}

async fn receive(
    plugin: &Loaded,
    store: &mut Store<State>,
    trigger: &str,
    config: &String,
    delivery: Delivery,
) -> Returned<Vec<webhooks::Event>> {
    let receives = plugin.receives.as_ref().ok_or_else(|| missing("webhooks"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let webhooks = receives.load(&mut *store, &instance)?;
    let Delivery { headers, query, body } = delivery;
    let delivery = webhooks::Delivery { headers, query, body };
    webhooks.sluicegate_connector_webhooks().call_receive(store, trigger, config, &delivery).await
}

async fn check(plugin: &Loaded, store: &mut Store<State>) -> Returned<String> {
    let checks = plugin.checks.as_ref().ok_or_else(|| missing("account"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let account = checks.load(&mut *store, &instance)?;
    account.sluicegate_connector_account().call_check(store).await
}

pub(crate) fn missing(interface: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("the component does not export {interface}"))
}

fn report(mut state: State, outcome: Result<Answer, Failure>, began: Instant) -> Report {
    let passed = began.elapsed();
    state.end();
    let log = state.log.finish(passed, |text| state.line(text));
    let session = state.session.as_deref();
    Report {
        outcome,
        accesses: session.map(Session::records).unwrap_or_default(),
        log,
        sent: state.folders.touched.load(Ordering::SeqCst) || session.is_some_and(Session::sent),
        duration_us: micros(passed),
        memory_bytes: state.limiter.peak(),
    }
}

fn not_begun(call: &Call, busy: Busy, began: Instant) -> Report {
    Report {
        outcome: Err(busy.into()),
        accesses: call.session.records(),
        log: Vec::new(),
        sent: false,
        duration_us: micros(began.elapsed()),
        memory_bytes: 0,
    }
}

fn micros(passed: Duration) -> u64 {
    u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
}
