//! Durable claims in a file, beside bare commits of the same database.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use payproof::store::{Claim, FileStore, Store as _};
use redb::{Database, TableDefinition};

use crate::checkout;
use crate::figure::{self, Scale};
use crate::turns::{Peer, take_turns, timed};

const ROUNDS: usize = 60;
const BATCH: u64 = 20;
const VALUE: [u8; 300] = [7; 300];
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("bare");

pub(crate) fn run(scale: Scale) {
    let folder = std::env::temp_dir().join(format!("payproof-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    let (runtime, runtime_of_commits) = (checkout::runtime(), checkout::runtime());
    let store = FileStore::open(folder.join("own.redb")).expect("it opens");
    let mut next = 0_u64;
    let database = Database::create(folder.join("bare.redb")).expect("it opens");
    let mut claims: Peer<'_> = {
        let (runtime, store) = (&runtime, store.clone());
        Box::new(move |count| {
            let (store, from) = (store.clone(), next);
            next += count;
            let batch = runtime.spawn(async move {
                let (time, ()) = timed(async {
                    for number in from..from + count {
                        let claim = store.claim(&key(number), &VALUE, Duration::from_secs(3600)).await;
                        assert_eq!(claim.expect("it commits"), Claim::Claimed);
                    }
                })
                .await;
                time
            });
            runtime.block_on(batch).expect("nothing panics")
        })
    };
    let database = Arc::new(database);
    let mut next = 0_u64;
    let mut commits: Peer<'_> = {
        let database = Arc::clone(&database);
        Box::new(move |count| {
            let (time, ()) = runtime_of_commits.block_on(timed(async {
                for number in next..next + count {
                    commit(&database, number);
                }
            }));
            next += count;
            time
        })
    };
    // What an async service has to do, since a commit must not hold up its other tasks.
    let mut next = u64::MAX / 2;
    let mut blocking: Peer<'_> = {
        let (runtime, database) = (&runtime, Arc::clone(&database));
        Box::new(move |count| {
            let (database, from) = (Arc::clone(&database), next);
            next += count;
            let batch = runtime.spawn(async move {
                let (time, ()) = timed(async {
                    for number in from..from + count {
                        let database = Arc::clone(&database);
                        tokio::task::spawn_blocking(move || commit(&database, number)).await.expect("it commits");
                    }
                })
                .await;
                time
            });
            runtime.block_on(batch).expect("nothing panics")
        })
    };
    let [own, in_line, in_blocking] = take_turns(scale.of(ROUNDS), BATCH, [&mut claims, &mut commits, &mut blocking]);
    figure::ratio("file_claims", 1.0 / own.ratio_to(&in_line));
    figure::ratio("file_claims_vs_blocking_task", 1.0 / own.ratio_to(&in_blocking));
    figure::ns("file_claim", own.ns());
    figure::ns("file_commit", in_line.ns());
    figure::ns("file_commit_in_blocking_task", in_blocking.ns());
    drop((claims, commits, blocking, store));
    fs::remove_dir_all(&folder).expect("it was ours");
}

/// One record, one durable commit.
fn commit(database: &Database, number: u64) {
    let write = database.begin_write().expect("the bench alone writes");
    {
        let mut table = write.open_table(TABLE).expect("it is there");
        table.insert(&*key(number), &VALUE[..]).expect("it is inserted");
    }
    write.commit().expect("it commits");
}

fn key(number: u64) -> String {
    format!("payproof:facts:{{{number:043}}}")
}
