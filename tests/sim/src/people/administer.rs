//! People who revoke, approve, publish, pause, cancel and change secrets.

use engine::{NewSecret, Rotation};
use secrecy::SecretString;

use super::{LOOKED_AT, Person, mend, name, said};
use crate::book::Hold;
use crate::flows::Start;
use crate::mutant::Mutant;
use crate::template::{environment, publish};

impl Person {
    pub(super) async fn administer_some(self) {
        let (world, engine) = (&self.world, &self.engine);
        for _ in 0..self.dice.between(1, 4) {
            self.pause(10_000).await;
            match self.dice.between(0, 4) {
                0 => {
                    world.trace.count("connections revoked");
                    let account = "account".parse().expect("a name");
                    let revoked = engine.revoke_connection(&environment(), &account, "ana").await;
                    world.trace.note(format_args!("revoke the connection: {}", said(&revoked)));
                }
                1 => {
                    world.trace.count("grants revoked");
                    let revoked = engine.revoke_plugin("sim", &environment(), "ana").await;
                    world.trace.note(format_args!("revoke the grant: {}", said(&revoked)));
                }
                2 | 3 => self.pause_one().await,
                _ => {
                    let account = "account".parse().expect("a name");
                    let checked = engine.check_connection(&environment(), &account).await;
                    world.trace.note(format_args!("check the connection: {}", said(&checked)));
                }
            }
            self.pause(15_000).await;
            mend(world, engine).await;
        }
    }

    async fn pause_one(&self) {
        let Some(program) = self.any_flow().first() else { return };
        let (environment, flow) = (environment(), name(program.id));
        let hold = Hold { flow: program.id, until_ms: None };
        let answer = async {
            // A host that says that it has, and has not.
            if self.world.mutant == Some(Mutant::DeafToPause) {
                return Ok(());
            }
            self.engine.pause_flow(&environment, &flow, "ana").await.map(drop)
        };
        let words = format!("pause {}", program.id);
        if self.ask(|pages| &mut pages.pauses, hold, words, answer, |()| Vec::new()).await.is_ok() {
            self.world.trace.count("flows paused");
        }
    }

    pub(super) async fn cancel_one(&self) {
        let Ok(runs) = self.engine.runs(None, None, None, LOOKED_AT) else { return };
        let open: Vec<_> = runs.iter().filter(|run| !run.status.is_final()).collect();
        let Some(run) = self.pick(&open).map(|run| run.id.clone()) else { return };
        let words = format!("cancel {run}");
        let answer = self.engine.cancel(&run, "ana", "not wanted");
        if self.ask(|pages| &mut pages.cancels, run.clone(), words, answer, |()| Vec::new()).await.is_ok() {
            self.world.trace.count("runs cancelled");
        }
    }

    pub(super) async fn publish_one(&self) {
        let Some(program) = self.pick(self.any_flow()) else { return };
        let document = self.world.text(program);
        let answer = publish(&self.engine, &document);
        let words = format!("publish variant {} of {}", program.variant, program.id);
        if self.ask(|pages| &mut pages.publishings, document.clone(), words, answer, |()| Vec::new()).await.is_ok() {
            self.world.trace.count("versions published");
        }
    }

    /// The sender is told of the new secret before the host is.
    pub(super) async fn rotate_secret(&self) {
        let hooks = self.world.flows.iter().filter_map(|versions| versions.first());
        let Some(hook) = hooks.into_iter().find(|program| matches!(program.start, Start::Webhook { .. })) else {
            return;
        };
        let secret = self.world.book.with(|pages| {
            let secrets = pages.secrets.entry(hook.id).or_default();
            secrets.push(format!("a secret of its own, number {}", secrets.len()));
            secrets.last().cloned().unwrap_or_default()
        });
        let rotation = Rotation { overlap_ms: 600_000, secret: NewSecret::Given(SecretString::from(secret)) };
        let rotated = self.engine.rotate_hook(&environment(), &name(hook.id), rotation, "ana").await;
        self.world.switch.hold().await;
        self.world.trace.note(format_args!("change the secret of {}: {}", hook.id, said(&rotated)));
        if rotated.is_ok() {
            self.world.trace.count("secrets rotated");
        }
    }
}
