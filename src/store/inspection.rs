//! What a look at the store itself found.

use std::fmt;
use std::time::Duration;

use super::RestartLoss;
use crate::accessors::named;

/// Clocks further apart than this make log lines hard to read.
#[cfg(any(feature = "postgres", feature = "redis", feature = "upstash"))]
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

named! {
    /// How bad a finding is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Severity {
        /// Good to know.
        Note = "note",
        /// It works, and may lose or delay something some day.
        Warning = "warning",
        /// It cannot work like this.
        Error = "error",
    } as_str(self: Self)
}

/// Something about a store that its user should know, as data. Display says what it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreFinding {
    /// The store does not answer.
    #[error("the store does not answer ({reason}); check its address and state")]
    Unreachable {
        /// Why, in the store's words.
        reason: Box<str>,
    },
    /// The store deletes records before their time when it is full.
    #[error("the eviction policy `{policy}` deletes records before their time; set `maxmemory-policy noeviction`")]
    Evicts {
        /// The eviction policy.
        policy: Box<str>,
    },
    /// This server is a replica: it is behind, and refuses to write.
    #[error("this server is a replica; connect to the primary")]
    Replica,
    /// The credential may not write.
    #[error("the credential may not write; use one that may")]
    ReadOnly,
    /// A restart of the store may lose what it acknowledged.
    #[error("{}{}", loss.advice(), if loss.is_accepted(*stated) { "" } else { REFUSED })]
    RestartLoses {
        /// How much, as the store says.
        loss: RestartLoss,
        /// What [`restart_loses_at_most`](crate::ValidatorBuilder::restart_loses_at_most) states, if it does.
        stated: Option<RestartLoss>,
    },
    /// A setting of the server is off, so that a crash of it may lose what it acknowledged.
    #[error("`{setting}` is off, so a crash of the server may lose what it acknowledged; set it to `on`")]
    Lossy {
        /// The setting's name.
        setting: Box<str>,
    },
    /// A failover may lose the last acknowledged writes.
    #[error("a failover may lose the last acknowledged writes; keep a UNIQUE column on the redemption key")]
    BestEffort,
    /// The records are this process's own.
    #[error("other processes do not see these records; use a shared store")]
    NotShared,
    /// The records end with this process.
    #[error("the records end with this process; use a durable store")]
    Volatile,
    /// The clocks differ. Nothing here compares them, but log lines will look out of order.
    #[error("the store's clock differs by {by:?}; check its time service")]
    ClockDiffers {
        /// By how much.
        by: Duration,
    },
    /// The store's clock was set back while records stood in it: what they say counts as too old. Some of it may be older
    /// than it looks, where less than its true age was taken from it.
    #[error(
        "the store's clock was set back by {by:?} or more; what it held then counts as too old; slew its clock instead"
    )]
    ClockSetBack {
        /// By how much, at least.
        by: Duration,
    },
    /// The store's clock jumped ahead while claims stood in it, and their leases end early. A process that met a claim
    /// before the jump goes by its own clock; one that meets it afterwards takes it over too early.
    #[error("the store's clock jumped ahead by {by:?}, so leases ended early; slew its clock instead of stepping it")]
    ClockJumpedAhead {
        /// By how much, at least.
        by: Duration,
    },
    /// Within the last day the store had lost a record that it had acknowledged: one of this process's own, which is looked at
    /// once a minute.
    #[error(
        "{ago:.0?} ago {}, {within:.0?} after the store had acknowledged it; look for a flush, a failover or an eviction: \
         redemptions, operations and keys of that time may be lost too", loss.words()
    )]
    RecordsLost {
        /// What stood in its place.
        loss: RecordLoss,
        /// How long ago that was found.
        ago: Duration,
        /// How long before that the store had acknowledged the record: it was lost in between.
        within: Duration,
    },
    /// Most of the server's memory is used; once all of it is, claims, redemptions and guarded calls are refused.
    #[error(
        "{memory} of memory are used, so caches store nothing more, and a full server takes no claims; raise `maxmemory`, or \
         move what else is in it"
    )]
    NearlyFull {
        /// How much is used.
        memory: MemoryUse,
    },
    /// A round trip takes longer than it should.
    #[error("a round trip took {latency:?}; move the store closer")]
    Slow {
        /// How long it took.
        latency: Duration,
    },
    /// The server is older than anything this was tested with.
    #[error("version {version} is older than what is tested; use {oldest} or newer")]
    OldServer {
        /// Its version.
        version: Box<str>,
        /// The oldest version that is tested.
        oldest: &'static str,
    },
    /// The server ends no statement by itself, not even one whose caller has left.
    #[error("a statement whose caller has left may run on; say `ALTER ROLE … SET statement_timeout = '5s'`")]
    NoStatementTimeout,
    /// The store acknowledged a record and does not have it.
    #[error("a record that the store acknowledged a moment ago is gone; use a store that keeps what it acknowledges")]
    CanaryLost,
    /// The store has other bytes than those of the record that it acknowledged.
    #[error(
        "a record that was written a moment ago reads otherwise ({reason}); look for what changes values on their way"
    )]
    CanaryAltered {
        /// What is wrong with them.
        reason: Box<str>,
    },
    /// The record that the store check of another process left under this prefix cannot be read here.
    #[error(
        "a record that another process wrote under this prefix cannot be read ({reason}); give all of them one `record_keys`, and \
         services that share nothing a prefix each"
    )]
    CanaryUnreadable {
        /// Why.
        reason: Box<str>,
    },
    /// The store answers, and takes no record or gives none back.
    #[error("the store answers, and keeps no record ({reason}); look at its memory and rights")]
    CanaryRefused {
        /// Why, in the store's words.
        reason: Box<str>,
    },
    /// The server does not tell of changes, so that facts in memory are asked about again every few seconds.
    #[error(
        "there is no invalidation line ({reason}), so validators ask about facts in memory again every 5 s; where a \
         right is missing, grant `+client|tracking +subscribe &payproof:line`, in a Cluster `+cluster|nodes` too; \
         `no_invalidation_line` turns it off"
    )]
    NoInvalidationLine {
        /// Why: what the server refused, or what kept a line from opening.
        reason: Box<str>,
    },
    /// What was found of the store that [`redemptions_moved_from`](crate::ValidatorBuilder::redemptions_moved_from) names. Code and
    /// severity are those of that.
    #[error("of the store that redemptions were moved from: {0}")]
    MovedFrom(Box<StoreFinding>),
    /// The store offers nothing beside its four verbs; see [`Extras`](super::Extras).
    #[error("the store offers its four verbs alone; where it wraps another, hand on the other's `extras`")]
    NoExtras,
    /// Something could not be looked at, for want of a right.
    #[error("{what} could not be looked at; allow it, or check by hand")]
    Unknown {
        /// What.
        what: Box<str>,
    },
}

impl StoreFinding {
    /// A stable code, for health pages and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code_and_severity().0
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code_and_severity().1
    }

    const fn code_and_severity(&self) -> (&'static str, Severity) {
        use Severity::{Error, Note, Warning};
        match self {
            Self::Unreachable { .. } => ("unreachable", Error),
            Self::Evicts { .. } => ("evicts", Warning),
            Self::Replica => ("replica", Error),
            Self::ReadOnly => ("read_only", Error),
            Self::RestartLoses { loss, stated } => {
                let code = match loss {
                    RestartLoss::Nothing => "restart_loses_nothing",
                    RestartLoss::Second => "restart_loses_second",
                    RestartLoss::Snapshot => "restart_loses_since_snapshot",
                    RestartLoss::All => "restart_loses_all",
                    RestartLoss::Unknown => "restart_loss_unknown",
                };
                // What is accepted was chosen; what is not, redemptions refuse.
                (code, if loss.is_accepted(*stated) { Note } else { Warning })
            }
            // What that comes to is said beside it, and how bad it is.
            Self::Lossy { .. } => ("lossy", Note),
            Self::BestEffort => ("best_effort", Note),
            Self::NotShared => ("not_shared", Warning),
            Self::Volatile => ("volatile", Warning),
            Self::ClockDiffers { .. } => ("clock_differs", Note),
            Self::ClockSetBack { .. } => ("clock_set_back", Warning),
            Self::ClockJumpedAhead { .. } => ("clock_jumped_ahead", Warning),
            Self::RecordsLost { .. } => ("records_lost", Warning),
            Self::NearlyFull { .. } => ("nearly_full", Warning),
            Self::Slow { .. } => ("slow", Warning),
            Self::OldServer { .. } => ("old_server", Note),
            Self::NoStatementTimeout => ("no_statement_timeout", Note),
            Self::CanaryLost => ("canary_lost", Error),
            Self::CanaryAltered { .. } => ("canary_altered", Error),
            Self::CanaryUnreadable { .. } => ("canary_unreadable", Error),
            Self::CanaryRefused { .. } => ("canary_refused", Error),
            Self::NoInvalidationLine { .. } => ("no_invalidation_line", Note),
            Self::MovedFrom(found) => found.code_and_severity(),
            Self::NoExtras => ("no_extras", Note),
            Self::Unknown { .. } => ("unknown", Note),
        }
    }
}

/// How a record was found to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordLoss {
    /// It was gone before its time: a flush, an eviction, a server that came back empty.
    Gone,
    /// An older copy of it stood there, as after a failover to a server that was behind.
    Older,
}

impl RecordLoss {
    const fn words(self) -> &'static str {
        match self {
            Self::Gone => "a record was gone before its time",
            Self::Older => "a record was an older one again",
        }
    }
}

/// What follows from a loss that is not accepted.
const REFUSED: &str =
    ", or state what may be lost with `restart_loses_at_most`; until then redemptions and unkeyed writes are refused";

/// How much of its memory a server uses, as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// What is used, in bytes.
    pub used_bytes: u64,
    /// The most that it may use, in bytes; none where it has no limit of its own.
    pub max_bytes: Option<u64>,
}

impl MemoryUse {
    /// From this share on, in percent, little is left for what must not be refused.
    const NEARLY_FULL: u64 = 80;

    /// How much of what it may use is used, in whole percent; none without a limit.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        self.used_bytes.saturating_mul(100).checked_div(self.max_bytes?)
    }

    /// Whether at least 80 % are used.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.percent().is_some_and(|percent| percent >= Self::NEARLY_FULL)
    }
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.max_bytes, self.percent()) {
            (Some(max), Some(percent)) => write!(f, "{percent} % of {max} bytes"),
            _ => write!(f, "{} bytes", self.used_bytes),
        }
    }
}

/// A look at a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// What answers: `redis`, `valkey`, `upstash`, `postgresql`, `file`, `memory`.
    pub server: Box<str>,
    /// Its version, where it has one.
    pub version: Option<Box<str>>,
    /// How values are compared before they are swapped: `script`, `native`, `function`, `in process`.
    pub compare: Option<Box<str>>,
    /// How long one round trip took.
    pub latency: Duration,
    /// What a restart may lose, as [`restart_loss`](super::Store::restart_loss) says.
    pub restart_loss: RestartLoss,
    /// How much of its memory the server uses, where it says so; in a Cluster, the primary that uses most of its own.
    pub memory: Option<MemoryUse>,
    /// What was found.
    pub findings: Vec<StoreFinding>,
}

impl Inspection {
    /// A look that found nothing so far.
    #[must_use]
    pub fn new(server: impl Into<Box<str>>, latency: Duration) -> Self {
        Self { server: server.into(), latency, ..Self::default() }
    }

    /// Takes in the server's clock, which was read between these two times of this machine's. All are since 1970.
    #[cfg(any(feature = "postgres", feature = "redis", feature = "upstash"))]
    pub(super) fn read_clock(&mut self, theirs: Option<Duration>, [before, after]: [Duration; 2]) {
        let Some(theirs) = theirs else { return self.unknown("the server's clock") };
        let by = before.saturating_sub(theirs).max(theirs.saturating_sub(after));
        if by > CLOCK_TOLERANCE {
            self.findings.push(StoreFinding::ClockDiffers { by });
        }
    }

    #[cfg(any(feature = "postgres", feature = "redis", feature = "upstash"))]
    pub(super) fn unknown(&mut self, what: &str) {
        self.findings.push(StoreFinding::Unknown { what: what.into() });
    }

    /// Whether at least 80 % of the server's memory are used, and it makes no room by itself.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        let evicts = self.findings.iter().any(|finding| matches!(finding, StoreFinding::Evicts { .. }));
        self.memory.is_some_and(|memory| memory.is_nearly_full()) && !evicts
    }
}
