//! `sluice flow rotate-hook`: a new address or secret for a flow's webhook.

use std::path::PathBuf;

use api::wire::{HookSecret, RotateHook, RotatedHook, Secret};
use clap::Args;
use model::{FlowId, Problem};
use secrecy::ExposeSecret as _;

use crate::cli::Global;
use crate::client::{Client, Reply};
use crate::exit::{Answer, Exit, Outcome, Stop};
use crate::secret;
use crate::show::time;

/// What is changed, and how long the old is good.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sluice flow rotate-hook alert-on-bug\n  sluice flow rotate-hook alert-on-bug --secret-file new-secret.txt --overlap 2h\n  sluice flow rotate-hook alert-on-bug --keep-secret\n\nThe address changes if the flow's trigger has hook_token: true. The new secret is the\nflow's own and is shown once. What earlier changes left good stays so until its own time,\nat most three of them; --overlap 0s ends them all."
)]
pub(crate) struct Rotate {
    /// The flow
    #[arg(value_name = "ID")]
    id: FlowId,
    /// How long the old address and secret go on to be good: 0s, 2h, 1d, at most 30d
    #[arg(long, value_name = "TIME", default_value = "1d")]
    overlap: String,
    /// The secret that the sender made; without it the host makes one
    #[arg(long, value_name = "FILE", conflicts_with = "keep_secret")]
    secret_file: Option<PathBuf>,
    /// Change the address only
    #[arg(long)]
    keep_secret: bool,
}

/// Reads what is asked for before a host is.
pub(crate) fn request(rotate: &Rotate) -> Result<RotateHook, Stop> {
    let overlap_ms = flow::duration_ms(&rotate.overlap).ok_or_else(|| {
        Stop::new(
            Exit::Usage,
            Problem::new("malformed-time", format!("--overlap {:?} is not a time", rotate.overlap))
                .fix("write a number and a unit: 30m, 2h, 1d"),
        )
    })?;
    let secret = match &rotate.secret_file {
        Some(file) => HookSecret::Given { secret: Secret(secret::read(&secret::Source::File(file))?) },
        None if rotate.keep_secret => HookSecret::Kept,
        None => HookSecret::Made,
    };
    Ok(RotateHook { overlap_ms, secret })
}

pub(crate) async fn rotate(client: &Client, global: &Global, rotate: &Rotate, request: &RotateHook) -> Outcome {
    let path = format!("/api/v1/flows/{}/{}/hook/rotate", global.environment, rotate.id);
    let reply: Reply<RotatedHook> = client.post(&path, request).await?;
    let rotated = &reply.value;
    let mut lines = vec![format!("Deliveries go to {} on the host's webhook address.", rotated.hook)];
    if let Some(secret) = &rotated.secret {
        lines.push(format!(
            "They are signed with this secret, which is not shown again:\n  {}",
            secret.0.expose_secret()
        ));
    }
    lines.push(match request.overlap_ms {
        0 => "Addresses and secrets from before are no longer good.".to_owned(),
        _ => format!("The address and the secret from before are good until {}.", time(rotated.before_until_ms)),
    });
    Ok(Answer::done(reply.json, lines.join("\n")))
}
