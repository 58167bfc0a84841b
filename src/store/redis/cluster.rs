//! A Cluster: every key has its node, and nodes say where it is when it is not theirs.
//!
//! The client library's own Cluster connection sends what is ambiguous again, keeps its count of redirections and of such
//! retries in one number, sends ASKING apart from what it is about, and holds a lock while it asks a node that hangs. So
//! routes are kept here. A redirection says that nothing was executed: following it is no retry.

use std::sync::Arc;

use ::redis::Value;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::connection::{ConnectionFault, ConnectionSettings, Node};
use super::endpoint::Address;
use super::fault::Remedy;
use super::lookup::{ask, first_answer};
use super::reply::Request;
use super::slots::{Slots, redirection, slot_of};
use crate::store::renewed::Renewed;
use crate::store::{RestartLoss, StoreError};

/// A Cluster that settles needs one or two.
const MOST_REDIRECTIONS: usize = 5;

pub(super) struct Cluster {
    /// What the URLs name: asked first, and again when no other node answers.
    pub(super) seeds: Arc<[Address]>,
    settings: Arc<ConnectionSettings>,
    slots: Renewed<Arc<Slots>>,
}

impl Cluster {
    pub(super) fn new(seeds: Arc<[Address]>, settings: Arc<ConnectionSettings>) -> Self {
        Self { seeds, settings, slots: Renewed::new() }
    }

    /// Sends a request about a key to the node that serves it. Where it is lost, the map may be out of date.
    pub(super) async fn call(&self, key: &[u8], request: Request<'_>) -> Result<Value, ConnectionFault> {
        self.follow(key, request).await.inspect_err(|fault| {
            if matches!(fault, ConnectionFault::Lost(_)) {
                self.look_again();
            }
        })
    }

    /// Sends each node the keys that it serves, all nodes side by side. Says the places of the keys of each answer; those of
    /// keys that no node serves are in none.
    pub(super) async fn reads(
        &self,
        keys: &[&[u8]],
    ) -> Result<Vec<(Vec<usize>, Result<Value, ConnectionFault>)>, StoreError> {
        let slots = self.slots().await?;
        let mut parts: Vec<(&Arc<Node>, Vec<usize>)> = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let Some(node) = slots.node(slot_of(key)) else { continue };
            match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, node)) {
                Some((_, places)) => places.push(place),
                None => parts.push((node, vec![place])),
            }
        }
        let asked = parts.into_iter().map(|(node, places)| async move {
            let own: Vec<&[u8]> = places.iter().filter_map(|place| keys.get(*place).copied()).collect();
            (places, node.call(Request::Reads(&own)).await)
        });
        let answers = join_all(asked).await;
        if answers.iter().any(|(_, answer)| matches!(answer, Err(ConnectionFault::Lost(_)))) {
            self.look_again();
        }
        Ok(answers)
    }

    async fn follow(&self, key: &[u8], request: Request<'_>) -> Result<Value, ConnectionFault> {
        let begun = Instant::now();
        let limit = self.settings.connect_timeout.saturating_add(self.settings.command_timeout);
        let node = self.slots().await?.node(slot_of(key)).cloned();
        let unserved = || StoreError::not_sent("no node of the Cluster serves this key; look at its slots");
        let mut node = node.ok_or_else(unserved)?;
        let mut asking = false;
        let mut redirections = 0_usize;
        loop {
            let refusal = match node.call(if asking { Request::Asking(&request) } else { request }).await {
                Err(ConnectionFault::Refused(refusal)) => refusal,
                answer => return answer,
            };
            let target = match refusal.remedy() {
                Remedy::Moved(target) => {
                    self.uncover();
                    self.look_again();
                    asking = false;
                    target
                }
                Remedy::Ask(target) => {
                    self.uncover();
                    asking = true;
                    target
                }
                Remedy::Reroute | Remedy::SendScript | Remedy::None => return Err(ConnectionFault::Refused(refusal)),
            };
            let may_follow = redirections < MOST_REDIRECTIONS && begun.elapsed() <= limit;
            let Some(target) = redirection(&target, &node.address).filter(|_| may_follow) else {
                return Err(refusal.into_passing().into());
            };
            redirections = redirections.saturating_add(1);
            node = self.node_at(target);
        }
    }

    /// Another node has the key than the one whose changes were heard of.
    fn uncover(&self) {
        if let Some(lines) = &self.settings.lines {
            lines.end();
        }
    }

    /// The map as it is known without asking.
    pub(super) fn known_slots(&self) -> Option<Arc<Slots>> {
        self.slots.latest()
    }

    /// The nodes that serve something.
    pub(super) async fn primaries(&self) -> Result<Vec<Address>, StoreError> {
        Ok(self.slots().await?.primaries().iter().map(|node| node.address.clone()).collect())
    }

    /// What a restart of any primary may lose. All are asked at a time. One that cannot be reached takes no writes, and is
    /// asked before it does again: it counts only if none answers.
    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let primaries = self.slots().await?.primaries();
        let mut worst: Option<RestartLoss> = None;
        let mut failure = StoreError::not_sent("no node of the Cluster serves any key; look at its slots");
        for answer in join_all(primaries.iter().map(|node| node.restart_loss())).await {
            match answer {
                Ok(loss) => worst = Some(worst.map_or(loss, |worst| worst.or_worse(loss))),
                Err(error) => {
                    self.look_again();
                    failure = error;
                }
            }
        }
        worst.ok_or(failure)
    }

    /// The node at an address; one that the map does not have is connected to for this call.
    fn node_at(&self, address: Address) -> Arc<Node> {
        let known = self.slots.latest().and_then(|slots| slots.primary(&address));
        known.unwrap_or_else(|| Arc::new(Node::new(address, &self.settings)))
    }

    async fn slots(&self) -> Result<Arc<Slots>, StoreError> {
        self.slots.get(|_| true, || look(Arc::clone(&self.seeds), None, Arc::clone(&self.settings))).await
    }

    /// Asks for the map anew in the background, unless that was done a moment ago.
    pub(super) fn look_again(&self) {
        let before = self.slots.latest();
        self.slots.renew(|| look(Arc::clone(&self.seeds), before, Arc::clone(&self.settings)));
    }
}

async fn look(
    seeds: Arc<[Address]>,
    before: Option<Arc<Slots>>,
    settings: Arc<ConnectionSettings>,
) -> Result<Arc<Slots>, StoreError> {
    let known = before.as_ref().map(|before| before.known.clone()).unwrap_or_default();
    let question = |server: Address| {
        let (before, settings) = (before.clone(), Arc::clone(&settings));
        async move {
            let reply = ask(&settings.dial, &server, &[b"CLUSTER", b"SLOTS"]).await?;
            let slots = Slots::read(&reply, &server, before.as_deref(), &settings);
            slots.map(Arc::new).ok_or_else(|| StoreError::not_sent("the Cluster has no slots yet; look at its nodes"))
        }
    };
    let limit = settings.connect_timeout;
    if !known.is_empty()
        && let Ok(slots) = first_answer(&known, limit, question).await
    {
        return Ok(slots);
    }
    first_answer(&seeds, limit, question).await
}
