//! `sluice plugin ask`: what a form, a poll or an upgrade would ask a connector.

use std::path::Path;

use api::wire::{self, NewQuestion, PollFrom};
use clap::{Args, Subcommand};
use model::{ConnectionId, FieldId, OperationId, Problem};

use super::call_answer;
use crate::cli::Global;
use crate::client::{Client, part};
use crate::exit::{Outcome, Stop};
use crate::input;

/// A question to a connector.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice plugin ask github choices repository --connection bot\n  sluice plugin ask github choices repository-label --connection bot --config '{\"repository\":\"octocat/hello-world\"}'\n  sluice plugin ask files poll new-file --from beginning --config '{\"path\":\"inbox\"}'\n\nNothing is kept, and no flow runs."
)]
pub(crate) struct Ask {
    /// Id, digest or its beginning
    #[arg(value_name = "NAME")]
    name: String,
    #[command(subcommand)]
    what: What,
}

/// What is asked.
#[derive(Debug, Subcommand)]
enum What {
    /// Values for a field of a form
    Choices {
        /// One of those that `sluice plugin show --json` lists under discovery
        #[arg(value_name = "FIELD")]
        field: FieldId,
        /// What the values must have
        #[arg(long, value_name = "TEXT", default_value = "")]
        query: String,
        /// The `next` of the page before
        #[arg(long, value_name = "TEXT")]
        page: Option<String>,
        #[command(flatten)]
        with: With,
    },
    /// Fields that the account has beyond the usual ones
    Fields {
        /// One of those that `sluice plugin show --json` lists under discovery
        #[arg(value_name = "OBJECT")]
        object: FieldId,
        #[command(flatten)]
        with: With,
    },
    /// What happened, as a polled trigger finds it
    Poll {
        /// The trigger
        #[arg(value_name = "TRIGGER")]
        trigger: OperationId,
        /// `now`, `beginning`, or @FILE with a cursor
        #[arg(long, value_name = "now|beginning|@FILE", default_value = "now")]
        from: String,
        #[command(flatten)]
        with: With,
    },
    /// Configuration of an earlier version, as the approved one takes it
    Migrate {
        /// The action or trigger
        #[arg(value_name = "OPERATION")]
        operation: OperationId,
        /// The version that it was written for
        #[arg(long, value_name = "VERSION")]
        from_version: String,
        #[command(flatten)]
        with: With,
    },
}

/// What goes along.
#[derive(Debug, Args)]
struct With {
    /// The account
    #[arg(long, value_name = "ID")]
    connection: Option<ConnectionId>,
    /// What is filled in so far, or the configuration: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}")]
    config: String,
}

pub(super) async fn ask(global: &Global, question: Ask) -> Outcome {
    let path = format!("/api/v1/plugins/{}/ask", part(&question.name));
    let (ask, with) = match question.what {
        What::Choices { field, query, page, with } => (wire::Ask::Choices { field, query, page }, with),
        What::Fields { object, with } => (wire::Ask::Fields { object }, with),
        What::Poll { trigger, from, with } => (wire::Ask::Poll { trigger, from: position(&from)? }, with),
        What::Migrate { operation, from_version, with } => (wire::Ask::Migrate { operation, from_version }, with),
    };
    let (environment, config) = (global.environment.clone(), input::json("--config", &with.config)?);
    let new = NewQuestion { ask, environment, connection: with.connection, config };
    Client::with(global, async |client| client.post(&path, &new).await.map(call_answer)).await
}

fn position(from: &str) -> Result<PollFrom, Stop> {
    match from {
        "now" => Ok(PollFrom::Now),
        "beginning" => Ok(PollFrom::Beginning),
        other => match other.strip_prefix('@') {
            Some(file) => Ok(PollFrom::After(input::read(Path::new(file))?.trim().to_owned())),
            None => Err(Stop::failed(
                Problem::new("poll-from", format!("--from is now, beginning or @FILE, not {other:?}"))
                    .fix("for a cursor, write it to a file and name that: --from @cursor.txt"),
            )),
        },
    }
}
