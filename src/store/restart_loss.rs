//! What a restart of a store may lose.

use crate::accessors::named;

named! {
    /// What a restart of a store may lose of what it has acknowledged.
    ///
    /// A restart is a crash of the store's process or machine, and whatever brings it back from its disk. What a failover to
    /// another server may lose is said by [`Durability::best_effort`](super::Durability::best_effort).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum RestartLoss {
        /// Nothing: each write is on the disk before it is acknowledged.
        Nothing = "nothing",
        /// The writes of the last second, or of two when the disk is slow.
        Second = "second",
        /// The store does not say.
        #[default]
        Unknown = "unknown",
        /// Everything since the store last brought its records to the disk: since a snapshot, which may be an hour old, or
        /// since the operating system last emptied its buffers.
        Snapshot = "snapshot",
        /// Everything.
        All = "all",
    } as_str(self: Self)
}

impl RestartLoss {
    /// The better comes first. What is unknown may be as bad as anything, and stands before what is known to be refused: where
    /// one server of several says so much and another says nothing, the one that says it counts.
    const fn rank(self) -> u8 {
        self as u8
    }

    /// The worse of two, which is what holds for both servers together.
    #[cfg(any(feature = "redis", test))]
    pub(crate) const fn or_worse(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    /// Whether effects rely on a store that loses this much. `stated` is what the operator says it loses at most; with no
    /// such word, up to a second is accepted, and what is unknown is not. The operator's word stands for what the store does
    /// not say, and never against what it does say.
    pub(crate) const fn is_accepted(self, stated: Option<Self>) -> bool {
        match stated {
            None => self.rank() <= Self::Second.rank(),
            Some(stated) => matches!(self, Self::Unknown) || self.rank() <= stated.rank(),
        }
    }

    /// The text of an error that refuses to rely on such a store.
    pub(crate) fn refusal(self) -> String {
        format!("{}, or state with `restart_loses_at_most` what may be lost", self.advice())
    }

    /// What is lost, and the setting that would mend it.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Nothing => "a restart of the store loses nothing",
            Self::Second => {
                "a restart of the store may lose the last second; to lose nothing set `appendfsync always` in Redis, \
                 `synchronous_commit = on` in PostgreSQL"
            }
            Self::Snapshot => {
                "a restart of the store may lose everything since its last snapshot; \
                 in Redis set `appendonly yes` and `appendfsync everysec`, and where both are set look at the server's log \
                 and at `no-appendfsync-on-rewrite`"
            }
            Self::All => {
                "a restart of the store loses everything; use one that keeps its records on a disk, \
                 in Redis with `appendonly yes` and `appendfsync everysec`, in PostgreSQL with `fsync` and `full_page_writes` on"
            }
            Self::Unknown => {
                "what a restart of the store may lose cannot be found out; \
                 in Redis set `appendonly yes` and `appendfsync everysec`, and allow `+config|get` and `+info`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RestartLoss::{All, Nothing, Second, Snapshot, Unknown};

    #[test]
    fn a_word_of_the_operator_stands_for_what_is_unknown_and_never_against_what_is_known() {
        for (stated, accepted) in [
            (None, vec![Nothing, Second]),
            (Some(Nothing), vec![Nothing, Unknown]),
            (Some(Second), vec![Nothing, Second, Unknown]),
            (Some(Snapshot), vec![Nothing, Second, Snapshot, Unknown]),
            (Some(All), vec![Nothing, Second, Snapshot, All, Unknown]),
        ] {
            for measured in [Nothing, Second, Snapshot, All, Unknown] {
                assert_eq!(measured.is_accepted(stated), accepted.contains(&measured), "{measured:?} of {stated:?}");
            }
        }
    }

    #[test]
    fn what_is_refused_of_one_server_is_refused_of_all() {
        let all = [Nothing, Second, Snapshot, All, Unknown];
        for (one, other) in all.into_iter().flat_map(|one| all.map(|other| (one, other))) {
            assert_eq!(one.or_worse(other), other.or_worse(one));
            for stated in [None, Some(Second), Some(Snapshot), Some(All)] {
                let each = one.is_accepted(stated) && other.is_accepted(stated);
                assert_eq!(one.or_worse(other).is_accepted(stated), each, "{one:?} and {other:?} of {stated:?}");
            }
        }
    }
}
