//! What parent and worker say to each other, one line of JSON each, and what a worker says to the provider.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use payproof::guard::{Effect, Operation};
use payproof::redeem::Receipt;
use serde::{Deserialize, Serialize};

/// Longer than any run, as a provider's is.
const KEY_KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How a worker is set up. A worker of an earlier build reads it too: what it does not know it leaves out, and what it knows
/// and does not find is as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) name: u32,
    /// The parent's own affair.
    #[serde(skip)]
    pub(crate) build: Build,
    #[serde(rename = "redis")]
    pub(crate) shared: Shared,
    pub(crate) provider: SocketAddr,
    pub(crate) attempt_timeout: Duration,
    pub(crate) total_deadline: Duration,
    pub(crate) fresh_for: Duration,
    /// The release whose records it writes; its own when it is told none.
    #[serde(default)]
    pub(crate) write_records_of: Option<String>,
}

/// Of which sources a worker was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Build {
    /// Of these.
    #[default]
    Today,
    /// Of the commit that `scripts/earlier-build` names.
    Earlier,
}

impl Build {
    pub(crate) fn program(self) -> PathBuf {
        match self {
            Self::Today => std::env::current_exe().unwrap(),
            Self::Earlier => {
                let here = Path::new(env!("CARGO_MANIFEST_DIR"));
                let program = here.join("target/test-tools/earlier-build/fleet");
                assert!(program.exists(), "the earlier build is not there; run: scripts/earlier-build");
                program
            }
        }
    }
}

/// Where the records are. An earlier build knows Redis alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Shared {
    One(String),
    Cluster(Vec<String>),
    Postgres(String),
    /// The same by a store that changes one record at a time.
    PostgresVerbs(String),
}

impl Settings {
    /// The shortest lease that this store timeout allows, and a little.
    pub(crate) const LEASE: Duration = Duration::from_secs(2);
    pub(crate) const STORE_TIMEOUT: Duration = Duration::from_millis(300);

    pub(crate) fn new(shared: Shared, provider: SocketAddr) -> Self {
        Self {
            name: 0,
            build: Build::Today,
            shared,
            provider,
            attempt_timeout: Duration::from_secs(1),
            total_deadline: Duration::from_secs(3),
            fresh_for: Duration::from_secs(15 * 60),
            write_records_of: None,
        }
    }

    /// As in the first half of a deploy: of either build, and this one writes what the other one reads.
    pub(crate) fn of_deploy(self, build: Build) -> Self {
        let write_records_of = (build == Build::Today).then(|| "0.1".into());
        Self { build, write_records_of, ..self }
    }
}

/// What a worker is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Run {
        /// Which run it is, of all there ever are.
        run: u64,
        operation: u32,
        reconcile: bool,
    },
    /// Says that it was executed with this result, or not at all.
    Resolve {
        operation: u32,
        executed: Option<String>,
    },
    ResolveReference {
        reference: String,
        executed: Option<String>,
    },
    Reference {
        operation: u32,
    },
    Indeterminate,
    Validate {
        payment: String,
        /// The caller's idempotency key, if it has one.
        key: Option<String>,
    },
    Forget {
        payment: String,
    },
    Redeem {
        payment: String,
        order: String,
    },
    Release {
        receipt: Receipt,
    },
    Redemption {
        payment: String,
    },
    /// Sends a request with this idempotency key to the worker's endpoint.
    Post {
        key: String,
    },
    /// Delivers this event to the worker's webhooks.
    Deliver {
        event: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done {
        value: String,
        provenance: String,
        recorded: bool,
    },
    Valid {
        provenance: String,
        degraded: bool,
    },
    Redeemed {
        receipt: Receipt,
        /// Whether this call was the first.
        first: bool,
    },
    Redemption(Option<Receipt>),
    References(Vec<String>),
    /// What an endpoint said.
    Said(String),
    Fine,
    Error(Trouble),
}

/// A typed error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    pub(crate) code: String,
    pub(crate) text: String,
    /// Whether an indeterminate operation may be run again.
    pub(crate) may_run_again: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) what: T,
}

/// What a worker asks the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The key tells the rounds of an operation apart; whether it is honored is the operation's own affair.
    Send {
        operation: u32,
        key: String,
        worker: u32,
        run: u64,
    },
    /// What became of it?
    Inquire {
        operation: u32,
        key: String,
    },
    LookUp {
        payment: String,
        worker: u32,
    },
}

/// What the provider says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// A result, or the code of an error.
    pub(crate) text: String,
}

/// Every other operation is one whose key the provider keeps.
pub(crate) fn is_keyed(operation: u32) -> bool {
    operation.is_multiple_of(2)
}

/// Of the others, every other one comes with a hook that asks the provider what became of it.
pub(crate) fn is_reconciled(operation: u32) -> bool {
    operation % 4 == 3
}

pub(crate) fn operation(number: u32) -> Operation {
    let effect = if is_keyed(number) { Effect::keyed_write(KEY_KEPT_FOR) } else { Effect::write() };
    let operation = Operation::new("store_42", "refund", format!("refund {number}"), effect).unwrap();
    operation.claim("amount", number.to_be_bytes()).unwrap()
}
