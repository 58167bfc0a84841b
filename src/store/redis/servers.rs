//! The servers behind a store: one, a Cluster, or a primary that sentinels watch over.

use std::fmt;
use std::sync::Arc;

use ::redis::Value;

use super::cluster::Cluster;
use super::connection::{ConnectionFault, ConnectionSettings, Node};
use super::endpoint::Address;
use super::fault::Remedy;
use super::reply::Request;
use super::sentinel::Sentinel;
use super::slots::Slots;
use crate::store::{RestartLoss, StoreError};

pub(super) enum Servers {
    One(Node),
    Cluster(Cluster),
    Sentinel(Sentinel),
}

/// A script, and the SHA-1 of its text, by which the server knows it.
pub(super) struct Script {
    pub(super) text: &'static str,
    pub(super) sha1: &'static str,
}

/// Where the records are, as far as that is known.
pub(super) enum KnownPrimaries {
    One(Address),
    Cluster(Arc<Slots>),
}

impl KnownPrimaries {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        match self {
            Self::One(address) => vec![address.clone()],
            Self::Cluster(slots) => slots.primaries().iter().map(|node| node.address.clone()).collect(),
        }
    }

    /// What is to stand in a key that the server at this address shall have. Nothing where it has none.
    pub(super) fn tag_at(&self, address: &Address, first: u32) -> Option<String> {
        match self {
            Self::One(_) => Some(String::new()),
            Self::Cluster(slots) => slots.tag_at(address, first),
        }
    }
}

impl Servers {
    /// The same servers, without the connections to them.
    pub(super) fn apart(&self, settings: &Arc<ConnectionSettings>) -> Self {
        match self {
            Self::One(node) => Self::One(Node::new(node.address.clone(), settings)),
            Self::Cluster(cluster) => Self::Cluster(Cluster::new(Arc::clone(&cluster.seeds), Arc::clone(settings))),
            Self::Sentinel(sentinel) => Self::Sentinel(sentinel.apart(Arc::clone(settings))),
        }
    }

    /// Sends a request about a key to the server that serves it. It is executed once at most.
    pub(super) async fn call(&self, key: &str, request: Request<'_>) -> Result<Value, ConnectionFault> {
        match self {
            Self::One(node) => node.call(request).await,
            Self::Cluster(cluster) => cluster.call(key.as_bytes(), request).await,
            Self::Sentinel(sentinel) => sentinel.call(request).await,
        }
    }

    /// Runs a script about a key. A server that does not know it has done nothing, and gets its text.
    pub(super) async fn run(&self, script: &Script, key: &str, arguments: &[&[u8]]) -> Result<Value, ConnectionFault> {
        let words = |how: [&'static [u8]; 2]| {
            let mut words: Vec<&[u8]> = how.to_vec();
            words.extend([b"1", key.as_bytes()]);
            words.extend(arguments);
            words
        };
        let known = words([b"EVALSHA", script.sha1.as_bytes()]);
        match self.call(key, Request::One(&known)).await {
            Err(ConnectionFault::Refused(refusal)) if refusal.remedy() == Remedy::SendScript => {
                let whole = words([b"EVAL", script.text.as_bytes()]);
                self.call(key, Request::One(&whole)).await
            }
            answer => answer,
        }
    }

    /// What a restart may lose: of every primary, and the worst counts.
    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        match self {
            Self::One(node) => node.restart_loss().await,
            Self::Cluster(cluster) => cluster.restart_loss().await,
            Self::Sentinel(sentinel) => sentinel.restart_loss().await,
        }
    }

    /// The primaries, as far as they are known without asking.
    pub(super) fn known_primaries(&self) -> Option<KnownPrimaries> {
        match self {
            Self::One(node) => Some(KnownPrimaries::One(node.address.clone())),
            Self::Sentinel(sentinel) => sentinel.known_primary().map(KnownPrimaries::One),
            Self::Cluster(cluster) => cluster.known_slots().map(KnownPrimaries::Cluster),
        }
    }

    /// Has the map of a Cluster asked for anew, in the background.
    pub(super) fn look_again(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.look_again();
        }
    }

    /// Where to look when the servers themselves are looked at.
    pub(super) async fn primaries(&self) -> Result<Vec<Address>, StoreError> {
        match self {
            Self::One(node) => Ok(vec![node.address.clone()]),
            Self::Cluster(cluster) => cluster.primaries().await,
            Self::Sentinel(sentinel) => Ok(vec![sentinel.primary().await?.address.clone()]),
        }
    }
}

/// Shows where they are, and not who we are there.
impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &[Address]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::One(node) => write!(f, "{}", node.address),
            Self::Cluster(cluster) => write!(f, "Cluster at {}", list(&cluster.seeds)),
            Self::Sentinel(sentinel) => write!(f, "{} by sentinels at {}", sentinel.name, list(&sentinel.sentinels)),
        }
    }
}
