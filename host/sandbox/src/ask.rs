//! Functions of the later interfaces: polls, subscriptions, discovery, migration.
//!
//! Each makes the one instance of its call and passes plain values across; limits and
//! judgement are `invoke`'s.

use wasmtime::Store;

use crate::bindings::discovers::exports::sluicegate::connector::discovery::ChoicePage;
use crate::bindings::polls::exports::sluicegate::connector::polling;
use crate::bindings::subscribes::exports::sluicegate::connector::subscriptions;
use crate::call::{Callback, Position};
use crate::invoke::{Returned, missing};
use crate::plugin::Loaded;
use crate::state::State;

pub(crate) async fn poll(
    plugin: &Loaded,
    store: &mut Store<State>,
    trigger: &str,
    config: &String,
    from: Position,
) -> Returned<polling::Page> {
    let polls = plugin.polls.as_ref().ok_or_else(|| missing("polling"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let polling = polls.load(&mut *store, &instance)?;
    let from = match from {
        Position::Now => polling::Position::Now,
        Position::Beginning => polling::Position::Beginning,
        Position::After(cursor) => polling::Position::After(cursor),
    };
    polling.sluicegate_connector_polling().call_poll(store, trigger, config, &from).await
}

pub(crate) async fn subscribe(
    plugin: &Loaded,
    store: &mut Store<State>,
    trigger: &str,
    config: &String,
    callback: Callback,
) -> Returned<subscriptions::Subscription> {
    let subscribes = plugin.subscribes.as_ref().ok_or_else(|| missing("subscriptions"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = subscribes.load(&mut *store, &instance)?;
    let callback = to_callback(callback);
    guest.sluicegate_connector_subscriptions().call_subscribe(store, trigger, config, &callback).await
}

pub(crate) async fn renew(
    plugin: &Loaded,
    store: &mut Store<State>,
    trigger: &str,
    config: &String,
    callback: Callback,
    handle: &str,
) -> Returned<subscriptions::Subscription> {
    let subscribes = plugin.subscribes.as_ref().ok_or_else(|| missing("subscriptions"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = subscribes.load(&mut *store, &instance)?;
    let callback = to_callback(callback);
    guest.sluicegate_connector_subscriptions().call_renew(store, trigger, config, &callback, handle).await
}

fn to_callback(callback: Callback) -> subscriptions::Callback {
    subscriptions::Callback { url: callback.url, secret: callback.secret }
}

pub(crate) async fn unsubscribe(
    plugin: &Loaded,
    store: &mut Store<State>,
    trigger: &str,
    config: &String,
    handle: &str,
) -> Returned<()> {
    let subscribes = plugin.subscribes.as_ref().ok_or_else(|| missing("subscriptions"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = subscribes.load(&mut *store, &instance)?;
    guest.sluicegate_connector_subscriptions().call_unsubscribe(store, trigger, config, handle).await
}

pub(crate) async fn choices(
    plugin: &Loaded,
    store: &mut Store<State>,
    field: &str,
    config: &String,
    query: &str,
    page: Option<&str>,
) -> Returned<ChoicePage> {
    let discovers = plugin.discovers.as_ref().ok_or_else(|| missing("discovery"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = discovers.load(&mut *store, &instance)?;
    guest.sluicegate_connector_discovery().call_choices(store, field, config, query, page).await
}

pub(crate) async fn fields(
    plugin: &Loaded,
    store: &mut Store<State>,
    object: &str,
    config: &String,
) -> Returned<String> {
    let discovers = plugin.discovers.as_ref().ok_or_else(|| missing("discovery"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = discovers.load(&mut *store, &instance)?;
    guest.sluicegate_connector_discovery().call_fields(store, object, config).await
}

pub(crate) async fn migrate(
    plugin: &Loaded,
    store: &mut Store<State>,
    operation: &str,
    config: &String,
    from_version: &str,
) -> Returned<String> {
    let migrates = plugin.migrates.as_ref().ok_or_else(|| missing("migration"))?;
    let instance = plugin.pre.instantiate_async(&mut *store).await?;
    let guest = migrates.load(&mut *store, &instance)?;
    guest.sluicegate_connector_migration().call_migrate(store, operation, config, from_version).await
}
