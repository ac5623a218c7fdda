//! `sluice connection`: accounts of connectors.

use std::path::PathBuf;

use api::wire::{ConnectionUpdate, NewAuth, NewConnection, Secret};
use clap::{Args, Subcommand, ValueEnum};
use engine::{ConnectionRecord, ConnectionView, ListedConnection};
use model::{ConnectionId, PluginId, Problem, Scope, Team};
use serde::Deserialize;

use crate::cli::Global;
use crate::client::{Client, Reply};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::plugin::{CallReply, call_answer};
use crate::secret::{self, Source};
use crate::show::{Paint, Table, time};

/// Accounts of connectors.
#[derive(Debug, Subcommand)]
pub(crate) enum Connection {
    /// Make a connection, or replace one of the same name
    Add(Box<Add>),
    /// Give a connection another credential; runs that waited for it go on
    Update(Update),
    /// List connections; never a secret
    List,
    /// Show a connection: its state, what its remote asked for, which flows use it
    #[command(after_help = "Example:\n  sluice connection show team-slack --environment test")]
    Show {
        /// The connection
        #[arg(value_name = "ID")]
        id: ConnectionId,
    },
    /// Ask the connector to test the credential and name the account
    #[command(after_help = "Example:\n  sluice connection check team-slack --environment test")]
    Check {
        /// The connection
        #[arg(value_name = "ID")]
        id: ConnectionId,
    },
    /// Erase the credential; calls over the connection fail from now on
    #[command(after_help = "Example:\n  sluice connection revoke team-slack --environment test")]
    Revoke {
        /// The connection
        #[arg(value_name = "ID")]
        id: ConnectionId,
    },
}

/// A connection to be made.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Add {
    /// The connector; `webhook` for flows with a webhook trigger of their own
    #[arg(value_name = "PLUGIN")]
    plugin: PluginId,
    /// Its name, as flows write it
    #[arg(long, value_name = "ID")]
    id: ConnectionId,
    /// The team that owns it; grants may be for some teams only
    #[arg(long, value_name = "TEAM")]
    team: Option<Team>,
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Where the service lives, if the connector lets a connection say so
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// How the credential is presented
    #[arg(long, value_enum, value_name = "SCHEME", default_value_t = Scheme::None)]
    auth: Scheme,
    /// The user, for basic
    #[arg(long, value_name = "USER", required_if_eq("auth", "basic"))]
    user: Option<String>,
    /// The header's or parameter's name, for header and query
    #[arg(long, value_name = "NAME", required_if_eq_any([("auth", "header"), ("auth", "query")]))]
    name: Option<String>,
    /// What stands before the credential in the header: "Token "
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    #[command(flatten)]
    secrets: Secrets,
    /// A scope that the credential holds; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
}

/// Where secrets are read from.
#[derive(Debug, Args)]
struct Secrets {
    /// Read the credential from a file
    #[arg(long, value_name = "FILE", group = "secret")]
    secret_file: Option<PathBuf>,
    /// Read the credential from standard input
    #[arg(long, group = "secret")]
    secret_stdin: bool,
    /// Read the credential from the variable of this name
    #[arg(long, value_name = "VARIABLE", group = "secret")]
    secret_env: Option<String>,
    /// Read the secret that verifies deliveries from a file
    #[arg(long, value_name = "FILE", group = "webhook-secret")]
    webhook_secret_file: Option<PathBuf>,
    /// Read the secret that verifies deliveries from the variable of this name
    #[arg(long, value_name = "VARIABLE", group = "webhook-secret")]
    webhook_secret_env: Option<String>,
}

impl Secrets {
    fn credential(&self) -> Option<Source<'_>> {
        match (&self.secret_file, self.secret_stdin, &self.secret_env) {
            (Some(file), _, _) => Some(Source::File(file)),
            (None, true, _) => Some(Source::Stdin),
            (None, false, Some(name)) => Some(Source::Variable(name)),
            (None, false, None) => None,
        }
    }

    fn webhook(&self) -> Option<Source<'_>> {
        match (&self.webhook_secret_file, &self.webhook_secret_env) {
            (Some(file), _) => Some(Source::File(file)),
            (None, Some(name)) => Some(Source::Variable(name)),
            (None, None) => None,
        }
    }
}

/// What is new about a connection.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice connection update team-slack --secret-file token.txt\n  pass show api | sluice connection update api --secret-stdin\n\nThe credential is presented as before; what is not named stays."
)]
pub(crate) struct Update {
    /// The connection
    #[arg(value_name = "ID")]
    id: ConnectionId,
    /// The user, for basic
    #[arg(long, value_name = "USER", requires = "secret")]
    user: Option<String>,
    #[command(flatten)]
    secrets: Secrets,
    /// A scope that the credential holds, instead of those before; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
}

const EXAMPLES: &str = "\
Examples:
  sluice connection add slack --id team-slack --auth bearer --secret-file token.txt --scope chat:write
  sluice connection add github --id bot --auth bearer --secret-env GITHUB_TOKEN --webhook-secret-file hook.txt
  sluice connection add webhook --id orders-hook --webhook-secret-file hook.txt
  pass show api | sluice connection add http --id api --auth header --name x-api-key --base-url https://api.example.com --secret-stdin

A secret is never an argument: other users of the machine could read it.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scheme {
    Bearer,
    Basic,
    Header,
    Query,
    None,
}

#[derive(Deserialize)]
struct List {
    connections: Vec<ListedConnection>,
}

pub(crate) async fn run(global: &Global, command: Connection) -> Outcome {
    let new = match &command {
        Connection::Add(add) => Some(new(global, add)?),
        Connection::Update(_)
        | Connection::List
        | Connection::Show { .. }
        | Connection::Check { .. }
        | Connection::Revoke { .. } => None,
    };
    let update = match &command {
        Connection::Update(update) => Some(update_of(update)?),
        Connection::Add(_)
        | Connection::List
        | Connection::Show { .. }
        | Connection::Check { .. }
        | Connection::Revoke { .. } => None,
    };
    Client::with(global, async |client| match (&command, new) {
        (Connection::Add(_), Some(new)) => client.post("/api/v1/connections", &new).await.map(added),
        (Connection::Update(Update { id, .. }), _) => {
            let path = format!("/api/v1/connections/{}/{id}/update", global.environment);
            client.post(&path, &update).await.map(updated)
        }
        (Connection::Check { id }, _) => {
            let path = format!("/api/v1/connections/{}/{id}/check", global.environment);
            client.post::<CallReply>(&path, &serde_json::json!({})).await.map(call_answer)
        }
        (Connection::Show { id }, _) => {
            client.get(&format!("/api/v1/connections/{}/{id}", global.environment)).await.map(show)
        }
        (Connection::Revoke { id }, _) => {
            client.delete(&format!("/api/v1/connections/{}/{id}", global.environment)).await.map(revoked)
        }
        (Connection::List | Connection::Add(_), _) => client.get("/api/v1/connections").await.map(list),
    })
    .await
}

fn new(global: &Global, add: &Add) -> Result<NewConnection, Stop> {
    Ok(NewConnection {
        id: add.id.clone(),
        environment: global.environment.clone(),
        plugin: add.plugin.clone(),
        team: add.team.clone(),
        label: add.label.clone(),
        base_url: add.base_url.clone(),
        auth: auth(add)?,
        webhook_secret: read(add.secrets.webhook())?,
        scopes: add.scopes.clone(),
    })
}

fn update_of(update: &Update) -> Result<ConnectionUpdate, Stop> {
    Ok(ConnectionUpdate {
        secret: read(update.secrets.credential())?,
        user: update.user.clone(),
        webhook_secret: read(update.secrets.webhook())?,
        scopes: (!update.scopes.is_empty()).then(|| update.scopes.clone()),
    })
}

fn read(source: Option<Source<'_>>) -> Result<Option<Secret>, Stop> {
    Ok(source.map(|source| secret::read(&source)).transpose()?.map(Secret))
}

fn auth(add: &Add) -> Result<NewAuth, Stop> {
    let source = add.secrets.credential();
    let given = || source.as_ref().ok_or_else(no_secret).and_then(secret::read).map(Secret);
    let name = || add.name.clone().unwrap_or_default();
    Ok(match add.auth {
        Scheme::Bearer => NewAuth::Bearer { secret: given()? },
        Scheme::Basic => NewAuth::Basic { user: add.user.clone().unwrap_or_default(), secret: given()? },
        Scheme::Header => NewAuth::Header { name: name(), prefix: add.prefix.clone(), secret: given()? },
        Scheme::Query => NewAuth::Query { name: name(), secret: given()? },
        Scheme::None if source.is_some() => return Err(no_scheme()),
        Scheme::None => NewAuth::None,
    })
}

fn no_secret() -> Stop {
    Stop::new(
        Exit::Usage,
        Problem::new("no-secret", "this scheme needs a credential")
            .fix("add --secret-file FILE, --secret-stdin or --secret-env VARIABLE"),
    )
}

fn no_scheme() -> Stop {
    Stop::new(
        Exit::Usage,
        Problem::new("no-scheme", "there is a credential, but not how it is presented")
            .fix("add --auth bearer, basic, header or query; a secret for deliveries goes to --webhook-secret-file"),
    )
}

fn added(reply: Reply<ConnectionRecord>) -> Answer {
    let record = &reply.value;
    let sealed = match (record.auth != "none", record.verifies_webhooks) {
        (true, false) => "the credential is sealed in the vault.",
        (true, true) => "the credential and the webhook secret are sealed in the vault.",
        (false, true) => "the webhook secret is sealed in the vault; there is no credential.",
        (false, false) => "it has no credential.",
    };
    let mut text = format!("Connection {} to {} in {}: {sealed}", record.id, record.plugin, record.environment);
    // A new connection was never renewed.
    if record.renewed_at_ms.is_some() {
        text.push_str("\nIt replaces the connection of that name; what that one held in the vault is erased.");
    }
    if let Some(base_url) = record.base_url.as_ref().filter(|_| record.auth != "none") {
        text.push_str(&format!("\nThe credential goes to {base_url} and nowhere else."));
    }
    if record.auth != "none" {
        text.push_str(&format!(
            "\nTest it: sluice connection check {} --environment {}",
            record.id, record.environment
        ));
    }
    Answer::done(reply.json, text)
}

fn updated(reply: Reply<ConnectionRecord>) -> Answer {
    let ConnectionRecord { id, environment, auth, .. } = &reply.value;
    let mut text = format!("Connection {id} in {environment} is updated; runs that waited for its credential go on.");
    if auth != "none" {
        text.push_str(&format!("\nTest it: sluice connection check {id} --environment {environment}"));
    }
    Answer::done(reply.json, text)
}

fn revoked(reply: Reply<ConnectionRecord>) -> Answer {
    let text = format!("Connection {} is revoked: its credential is erased, and calls over it fail.", reply.value.id);
    Answer::done(reply.json, text)
}

fn show(reply: Reply<ConnectionView>) -> Answer {
    let (view, paint) = (&reply.value, Paint::stdout());
    let record = &view.record;
    let mut lines = vec![
        format!(
            "{} ({}), connection to {} in {}",
            paint.bold(&record.label),
            record.id,
            record.plugin,
            record.environment
        ),
        format!("  made       {} by {}", time(record.created_at_ms), record.created_by),
        format!("  auth       {}", record.auth),
    ];
    lines.extend(record.renewed_at_ms.map(|at_ms| format!("  renewed    {}", time(at_ms))));
    if let Some(refusal) = &view.needs_reauthorisation {
        let what = refusal.failure.to_problem().what;
        let run = refusal.run.as_ref().map(|run| format!(", run {run}"));
        let poll = refusal.flow.as_ref().map(|flow| format!(", the poll of flow {flow}"));
        let whom = run.or(poll).unwrap_or_default();
        lines.push(format!("  {}    {what}, {}{whom}", paint.bad("refused"), time(refusal.at_ms)));
        let environment = &record.environment;
        let fix = format!("sluice connection update {} --environment {environment} --secret-file FILE", record.id);
        lines.push(format!("  who acts   an administrator: {fix}"));
    }
    lines.extend(record.account.as_ref().map(|account| format!("  account    {account}")));
    lines.extend(record.base_url.as_ref().map(|base_url| format!("  base URL   {base_url}")));
    if let Some(revoked) = &record.revoked {
        lines.push(format!("  {}    {} by {}", paint.warn("revoked"), time(revoked.at_ms), revoked.by));
    }
    if let Some(until_ms) = view.rate_limited_until_ms {
        let until = time(until_ms);
        lines.push(format!("  {}       until {until}: its remote asked to be left alone", paint.warn("waits")));
    }
    let flows: Vec<&str> = view.flows.iter().map(|flow| flow.as_str()).collect();
    lines.push(format!("  used by    {}", if flows.is_empty() { "no flow".to_owned() } else { flows.join(", ") }));
    Answer::done(reply.json, lines.join("\n"))
}

fn list(reply: Reply<List>) -> Answer {
    let mut table = Table::new(&["ID", "PLUGIN", "ENVIRONMENT", "AUTH", "ACCOUNT", "STATE", "MADE", "BASE URL"]);
    for ListedConnection { record, needs_reauthorisation } in reply.value.connections {
        let state = match (&record.revoked, &needs_reauthorisation, record.verifies_webhooks) {
            (Some(_), ..) => "revoked",
            (None, Some(_), _) => "needs reauthorisation",
            (None, None, true) => "ready, verifies webhooks",
            (None, None, false) => "ready",
        };
        table.row([
            record.id.to_string(),
            record.plugin.to_string(),
            record.environment.to_string(),
            record.auth,
            record.account.unwrap_or_default(),
            state.to_owned(),
            time(record.created_at_ms),
            record.base_url.unwrap_or_default(),
        ]);
    }
    let empty =
        "There is no connection yet. Add one: sluice connection add PLUGIN --id NAME --auth bearer --secret-file FILE";
    Answer::done(reply.json, table.print(Paint::stdout(), empty))
}
