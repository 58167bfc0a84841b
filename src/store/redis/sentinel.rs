//! A primary that sentinels watch over: they say where it is, and it says whether it still is one.

use std::sync::Arc;

use ::redis::Value;

use super::connection::{ConnectionFault, ConnectionSettings, Node};
use super::dial::Dial;
use super::endpoint::Address;
use super::lookup::{ask, first_answer};
use super::reply::{Request, array, integer, text};
use crate::store::renewed::Renewed;
use crate::store::{RestartLoss, StoreError};

pub(super) struct Sentinel {
    pub(super) sentinels: Arc<[Address]>,
    pub(super) name: Arc<str>,
    /// How to connect to a sentinel, whose login is another than its primary's.
    dial: Dial,
    settings: Arc<ConnectionSettings>,
    primary: Renewed<Arc<Node>>,
}

impl Sentinel {
    pub(super) fn new(
        sentinels: Arc<[Address]>,
        name: Arc<str>,
        dial: Dial,
        settings: Arc<ConnectionSettings>,
    ) -> Self {
        Self { sentinels, name, dial, settings, primary: Renewed::new() }
    }

    /// The same primary, without the connections to it.
    pub(super) fn apart(&self, settings: Arc<ConnectionSettings>) -> Self {
        Self::new(Arc::clone(&self.sentinels), Arc::clone(&self.name), self.dial.clone(), settings)
    }

    /// Sends a request to the primary. A connection to a replica does not come up: the server that answers is asked for its
    /// role first.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Value, ConnectionFault> {
        let answer = async { self.primary().await?.call(request).await };
        answer.await.inspect_err(|fault| {
            if matches!(fault, ConnectionFault::Lost(_)) {
                self.look_again();
            }
        })
    }

    /// What a restart of the primary may lose.
    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.primary().await?.restart_loss().await.inspect_err(|_| self.look_again())
    }

    /// The primary, as far as the sentinels know.
    pub(super) async fn primary(&self) -> Result<Arc<Node>, StoreError> {
        self.primary.get(|_| true, || self.look(None)).await
    }

    /// Where the primary is, as the sentinels said last.
    pub(super) fn known_primary(&self) -> Option<Address> {
        self.primary.latest().map(|node| node.address.clone())
    }

    /// Asks the sentinels anew in the background: this call has its answer already.
    fn look_again(&self) {
        let before = self.primary.latest();
        self.primary.renew(|| self.look(before));
    }

    fn look(&self, before: Option<Arc<Node>>) -> impl Future<Output = Result<Arc<Node>, StoreError>> + Send + use<> {
        let (sentinels, name) = (Arc::clone(&self.sentinels), Arc::clone(&self.name));
        let (dial, settings) = (self.dial.clone(), Arc::clone(&self.settings));
        async move {
            let limit = settings.connect_timeout;
            let address = first_answer(&sentinels, limit, |sentinel| find(dial.clone(), sentinel, Arc::clone(&name)));
            let address = address.await?;
            // The same server keeps its connections, and its pause after a failure.
            let before = before.filter(|node| node.address == address);
            Ok(before.unwrap_or_else(|| Arc::new(Node::new(address, &settings))))
        }
    }
}

async fn find(dial: Dial, sentinel: Address, name: Arc<str>) -> Result<Address, StoreError> {
    let question: [&[u8]; 3] = [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()];
    match ask(&dial, &sentinel, &question).await? {
        Value::Nil => Err(StoreError::refused("the sentinels know no primary of this name; check the name")),
        reply => match array(&reply) {
            [host, port] => {
                let port = integer(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                text(host).zip(port).map(|(host, port)| Address::tcp(host, port))
            }
            _ => None,
        }
        .ok_or_else(|| StoreError::not_sent("what answers is no sentinel; give the sentinels' port, such as 26379")),
    }
}
