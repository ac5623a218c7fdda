//! Prints how many small batches a second become durable, with 1, 64 and 1,024
//! writers, on the disk of the folder given (a temporary one by default).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Batch, JournalStore, Options, Store};

/// Long enough for several rounds of rows, short enough to wait for.
const TIME: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let folder = given.unwrap_or_else(|| temporary.path().to_owned());
    println!("{:>8} {:>12} {:>12} {:>14}", "writers", "commits/s", "groups/s", "commits/group");
    for writers in [1, 64, 1024] {
        let store = Arc::new(JournalStore::open(&folder, Options::default())?);
        let began = Instant::now();
        let tasks: Vec<_> = (0..writers).map(|writer| tokio::spawn(write(Arc::clone(&store), writer, began))).collect();
        for task in tasks {
            task.await?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let stats = store.stats();
        let (commits, groups) = (stats.commits as f64, stats.groups as f64);
        println!("{writers:>8} {:>12.0} {:>12.0} {:>14.1}", commits / seconds, groups / seconds, commits / groups);
        store.close()?;
    }
    Ok(())
}

/// A claim and a record in each batch, as the engine accepts an event.
async fn write(store: Arc<JournalStore>, writer: usize, began: Instant) {
    for round in 0u64.. {
        if began.elapsed() > TIME {
            return;
        }
        let mut batch = Batch::new();
        let claim = format!("dedupe/{writer}/{}/{round}", began.elapsed().as_nanos());
        batch.expect_absent(&claim);
        batch.put(&claim, [0; 16]);
        batch.put(format!("run/{writer}/{}", round % 16), [7; 200]);
        if let Err(error) = store.commit(batch).await {
            eprintln!("writer {writer}: {error}");
            return;
        }
    }
}
