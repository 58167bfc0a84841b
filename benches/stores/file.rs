//! Durable claims in a file, beside bare commits of the same database.

use std::fs;
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
    let runtime = checkout::runtime();
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
    let mut next = 0_u64;
    let (handle, bare) = (&runtime, &database);
    let mut commits: Peer<'_> = Box::new(move |count| {
        let from = next;
        next += count;
        let (time, ()) = handle.block_on(timed(async {
            for number in from..from + count {
                let write = bare.begin_write().expect("nobody else writes");
                {
                    let mut table = write.open_table(TABLE).expect("it is there");
                    table.insert(&*key(number), &VALUE[..]).expect("it is inserted");
                }
                write.commit().expect("it commits");
            }
        }));
        time
    });
    let [own, others] = take_turns(scale.of(ROUNDS), BATCH, [&mut claims, &mut commits]);
    figure::ratio("file_claims", 1.0 / own.ratio_to(&others));
    figure::ns("file_claim", own.ns());
    figure::ns("file_commit", others.ns());
    drop((claims, commits, store));
    fs::remove_dir_all(&folder).expect("it was ours");
}

fn key(number: u64) -> String {
    format!("payproof:facts:{{{number:043}}}")
}
