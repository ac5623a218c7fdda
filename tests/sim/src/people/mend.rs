//! Making good what people and the weather broke, and the end of flows.

use std::time::Duration;

use engine::{Engine, EngineError};

use super::name;
use crate::template::{approve, connect, environment};
use crate::world::World;

/// Mending that takes this long fails for another reason than a fault.
const MENDED_WITHIN: Duration = Duration::from_secs(3_600);

/// Makes connections, grant and flows good again.
pub(crate) async fn mend(world: &World, engine: &Engine) {
    insist(world, "mend", || make_good(world, engine)).await;
}

/// Ends a flow.
pub(crate) async fn retire(world: &World, engine: &Engine, flow: &'static str) {
    world.book.with(|pages| pages.retired.insert(flow));
    insist(world, "retire", || async move {
        end_holds(world, flow);
        match engine.retire_flow(&environment(), &name(flow), "ana").await {
            // It is, after an answer that got lost.
            Ok(_) | Err(EngineError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    })
    .await;
}

async fn insist<F: Future<Output = Result<(), EngineError>>>(world: &World, what: &str, work: impl Fn() -> F) {
    let done = async {
        loop {
            world.switch.hold().await;
            match work().await {
                Ok(()) => return world.trace.note(format_args!("{what}: done")),
                Err(error) => world.trace.note(format_args!("{what}: {error}")),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    if tokio::time::timeout(MENDED_WITHIN, done).await.is_err() {
        world.trace.broken(format!("nobody can {what}"));
    }
}

/// Approves, connects, and resumes what was paused meanwhile, by a person or by itself.
async fn make_good(world: &World, engine: &Engine) -> Result<(), EngineError> {
    approve(engine).await?;
    connect(engine).await?;
    for versions in &world.flows {
        let Some(program) = versions.first() else { continue };
        end_holds(world, program.id);
        match engine.resume_flow(&environment(), &name(program.id)).await {
            // A flow that is not paused needs nothing.
            Ok(_) | Err(EngineError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// From now on nobody may rely on the flow's pause.
fn end_holds(world: &World, flow: &str) {
    let now_ms = world.clock.true_ms();
    world.book.with(|pages| {
        let holds = pages.pauses.iter_mut().map(|entry| &mut entry.what);
        holds.filter(|hold| hold.flow == flow && hold.until_ms.is_none()).for_each(|hold| hold.until_ms = Some(now_ms));
    });
}
