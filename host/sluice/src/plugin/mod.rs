//! `sluice plugin`: from file to grant, and the way to write one.

mod approve;
mod ask;
mod call;
mod new;

mod page;
mod test;
mod versions;

use std::path::PathBuf;

use api::wire::NewCall;
use clap::{Args, Subcommand};
use engine::PluginView;
use model::{ConnectionId, Environment, OperationId};
use serde::Deserialize;

use crate::cli::Global;
use crate::client::{Client, Reply, part};
use crate::exit::{Answer, Outcome};
use crate::input;
use crate::several::Several;
use crate::show::{Paint, Table, bytes, time};

pub(crate) use call::{CallReply, answer as call_answer};

/// Connectors: install, approve, try, write.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Keep components; they may do nothing until they are approved
    #[command(after_help = "Examples:\n  sluice plugin install slack.wasm\n  sluice plugin install dist/*.wasm")]
    Install {
        /// Components
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// List what is installed
    List,
    /// Show what a plugin asks for and what it was given
    #[command(after_help = "Examples:\n  sluice plugin show slack\n  sluice plugin show 9f86d081884c")]
    Show {
        /// Id, digest or its beginning
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Give a plugin what a grant says, in an environment
    #[command(
        after_help = "Examples:\n  sluice plugin approve slack --grant slack.toml --environment test\n  sluice plugin approve 9f86d081884c --grant slack.toml --note \"reviewed with the owner\"\n\nThe grant holds for this digest alone: another build of the plugin comes back for approval."
    )]
    Approve {
        /// Id, digest or its beginning
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is given
        #[arg(long, value_name = "FILE")]
        grant: PathBuf,
        /// Why
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Take a grant back: calls that begin from now on are denied
    #[command(after_help = "Example:\n  sluice plugin revoke slack --environment test")]
    Revoke {
        /// Id, digest or its beginning
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Call an action once, outside any flow
    #[command(
        after_help = "Examples:\n  sluice plugin call slack post-message --connection team-slack --input '{\"channel\":\"#test\",\"text\":\"hi\"}'\n  sluice plugin call github list-issues --connection bot --input @issues.json --json\n\nExit code 3 tells that the policy denied something the call needed."
    )]
    Call {
        /// Id, digest or its beginning
        #[arg(value_name = "NAME")]
        name: String,
        /// The action
        #[arg(value_name = "OPERATION")]
        operation: OperationId,
        /// The account
        #[arg(long, value_name = "ID")]
        connection: Option<ConnectionId>,
        /// The action's input: JSON, or @FILE
        #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
        input: String,
    },
    /// Ask a connector something, outside any flow: choices, fields, news, a migration
    Ask(ask::Ask),
    /// Start a connector in Rust: a folder that builds and passes its tests
    New(New),
    /// Run a connector's samples in the real sandbox, under the real policy
    Test(Test),
}

/// A connector to be started.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sluice plugin new weather\n  cd weather && sluice plugin test .")]
pub(crate) struct New {
    /// Its id, such as `weather`
    #[arg(value_name = "NAME")]
    name: model::PluginId,
    /// The folder to make [default: the name]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

/// A connector to be tested.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice plugin test .\n  sluice plugin test target/wasm32-wasip2/release/weather.wasm --samples samples\n\nNothing is sent: recorded answers stand in for the network, below the policy's decision."
)]
pub(crate) struct Test {
    /// The connector's folder, or its component
    #[arg(value_name = "DIR|FILE.wasm")]
    path: PathBuf,
    /// The recorded exchanges [default: samples beside Cargo.toml]
    #[arg(long, value_name = "DIR")]
    samples: Option<PathBuf>,
}

#[derive(Deserialize)]
struct List {
    plugins: Vec<PluginView>,
}

pub(crate) async fn run(global: &Global, command: Plugin) -> Outcome {
    match command {
        Plugin::New(new) => new::new(&new.name, new.path.as_deref()),
        Plugin::Ask(question) => ask::ask(global, question).await,
        Plugin::Test(test) => test::test(global, &test.path, test.samples.as_deref()).await,

        Plugin::Install { files } => install(global, &files).await,
        Plugin::List => Client::with(global, async |client| client.get("/api/v1/plugins").await.map(list)).await,
        Plugin::Show { name } => {
            let path = format!("/api/v1/plugins/{}", part(&name));
            Client::with(global, async |client| {
                let reply: Reply<PluginView> = client.get(&path).await?;
                let others = versions::others(global, client, &reply.value).await;
                Ok(show(reply, &others))
            })
            .await
        }
        Plugin::Approve { name, grant, note } => approve::approve(global, &name, &grant, note).await,
        Plugin::Revoke { name } => {
            let path = format!("/api/v1/plugins/{}/approvals/{}", part(&name), global.environment);
            Client::with(global, async |client| client.delete(&path).await.map(|reply| revoked(global, reply))).await
        }
        Plugin::Call { name, operation, connection, input } => {
            let environment = global.environment.clone();
            let call = NewCall { operation, environment, connection, input: input::json("--input", &input)? };
            let path = format!("/api/v1/plugins/{}/call", part(&name));
            Client::with(global, async |client| client.post(&path, &call).await.map(call_answer)).await
        }
    }
}

async fn install(global: &Global, files: &[PathBuf]) -> Outcome {
    let components = files.iter().map(|file| input::read_bytes(file)).collect::<Result<Vec<_>, _>>()?;
    Client::with(global, async |client| {
        let mut all = Several::of("plugins");
        for (file, component) in files.iter().zip(components) {
            let outcome = install_one(global, client, component).await;
            if !all.take(&file.display().to_string(), outcome) {
                break;
            }
        }
        all.told()
    })
    .await
}

async fn install_one(global: &Global, client: &Client, component: Vec<u8>) -> Outcome {
    let reply: Reply<PluginView> = client.upload("/api/v1/plugins", component).await?;
    let others = versions::others(global, client, &reply.value).await;
    Ok(installed(global, reply, &others))
}

fn installed(global: &Global, reply: Reply<PluginView>, others: &[PluginView]) -> Answer {
    let (view, record) = (&reply.value, &reply.value.record);
    let (manifest, short) = (&record.manifest, record.digest.to_short());
    let places: Vec<&str> = versions::environments(view).map(Environment::as_str).collect();
    let next = if places.is_empty() {
        format!(
            "It may do nothing yet. Read what it asks for: sluice plugin show {short}\n  then give it that: sluice \
             plugin approve {short} --grant FILE"
        )
    } else {
        format!("It was installed before, and is approved in {}: sluice plugin show {short}", places.join(", "))
    };
    let beside = versions::beside(view, others, &global.environment).map(|line| format!("  {line}\n"));
    let text = format!(
        "{} {} ({}) is installed as {}.\n{}  {next}",
        manifest.label,
        manifest.version,
        manifest.id,
        record.digest,
        beside.unwrap_or_default()
    );
    Answer::done(reply.json, text)
}

fn list(reply: Reply<List>) -> Answer {
    let mut table = Table::new(&["ID", "VERSION", "DIGEST", "SIZE", "INSTALLED", "APPROVED IN"]);
    for view in reply.value.plugins {
        let in_force = view.approvals.iter().filter(|record| record.revoked.is_none());
        let environments: Vec<String> = in_force.map(|record| record.approval.environment.to_string()).collect();
        let manifest = &view.record.manifest;
        table.row([
            manifest.id.to_string(),
            manifest.version.to_string(),
            view.record.digest.to_short(),
            bytes(view.record.bytes),
            time(view.record.installed_at_ms),
            if environments.is_empty() { "nowhere".to_owned() } else { environments.join(", ") },
        ]);
    }
    Answer::done(
        reply.json,
        table.print(Paint::stdout(), "There is no plugin yet. Install one: sluice plugin install FILE.wasm"),
    )
}

fn show(reply: Reply<PluginView>, others: &[PluginView]) -> Answer {
    Answer::done(reply.json, page::page(&reply.value, others, Paint::stdout()))
}

fn revoked(global: &Global, reply: Reply<PluginView>) -> Answer {
    let manifest = &reply.value.record.manifest;
    let text = format!("{} {} may do nothing in {} any more.", manifest.label, manifest.version, global.environment);
    Answer::done(reply.json, text)
}
