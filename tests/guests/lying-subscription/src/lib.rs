//! Sets up webhooks whose handles cannot be kept, or tells the host's secret as its own.
#![cfg(target_arch = "wasm32")]

use guest_common::{Error, TRIGGER, describe, export, guest, subscriptions, unquote, webhooks};

guest!(act, || {
    let part = r#""subscription":{"destinations":["POST {base-url}/hooks"],"by_hand":"In the settings."},"config""#;
    let trigger = TRIGGER.replacen("\"config\"", part, 1);
    describe(env!("CARGO_PKG_NAME")).replace("\"triggers\":[]", &format!("\"triggers\":[{trigger}]"))
});
export!(receives, subscribes);

fn act(_input: &str) -> Result<String, Error> {
    Ok("null".to_owned())
}

impl webhooks::Guest for Guest {
    fn receive(_: String, _: String, _: webhooks::Delivery) -> Result<Vec<webhooks::Event>, Error> {
        Ok(Vec::new())
    }
}

impl subscriptions::Guest for Guest {
    fn subscribe(
        _: String,
        config: String,
        callback: subscriptions::Callback,
    ) -> Result<subscriptions::Subscription, Error> {
        let handle = match unquote(&config) {
            "empty" => String::new(),
            "huge" => "h".repeat(10_000),
            _ => callback.secret.unwrap_or_default(),
        };
        Ok(subscriptions::Subscription { handle, expires_ms: Some(0) })
    }

    fn renew(
        trigger: String,
        config: String,
        callback: subscriptions::Callback,
        _: String,
    ) -> Result<subscriptions::Subscription, Error> {
        Self::subscribe(trigger, config, callback)
    }

    fn unsubscribe(_: String, _: String, _: String) -> Result<(), Error> {
        Ok(())
    }
}
