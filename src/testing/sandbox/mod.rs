//! A loopback server that answers like Stripe and misbehaves when told to.
//!
//! [`Sandbox`] serves `GET /v1/payment_intents/{id}`, `GET /v1/checkout/sessions/{id}` and `GET /v1/disputes?payment_intent=`
//! over HTTP/1.1 on 127.0.0.1, and what
//! belongs to a payment by its own id: charges, refunds, disputes, reviews, early fraud warnings and payments of invoices, as
//! `ch_1`, `re_1`, `du_1`, `prv_1`, `issfr_1` and `inpay_1` of `pi_1`, a second one as `re_1_1`. It lists payment intents, refunds,
//! disputes, and the events of payments that succeeded or were canceled (`evt_1`), with `created[gte]`, `created[lt]`, `limit`,
//! `starting_after`, `expand[]=data.latest_charge` and `types[]`; a page goes by its path, as `/v1/refunds`, where payments go by
//! their ids. Point a provider's base address at [`Sandbox::url`], put payments in, and script what goes wrong. Stripe's own clients can be pointed at
//! it too: what is to be expanded is read as `expand[]=` and as `expand[0]=`, also below the charge
//! (`latest_charge.refunds`, `latest_charge.dispute`). Any key that is not empty is accepted, as a bearer token or
//! as the user of HTTP Basic, and whether it is a live or a test key is not looked at: the payment says which it is.
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`port`](SandboxBuilder::port) | a free one | tests run side by side |
//! | [`seed`](SandboxBuilder::seed) | 0 | a test that fails once fails again |
//! | [`faults`](SandboxBuilder::faults) | [`Faults::none`] | healthy unless asked otherwise |
//! | [`latency`](SandboxBuilder::latency) | none | a benchmark measures the client, not a sleep |
//!
//! # What happens to a request about a payment
//! 1. No key: 401, and nothing below happens.
//! 2. The payment's own [script](Sandbox::script), else the [script for any payment](Sandbox::script_any),
//!    else [chance](Sandbox::set_faults) picks one [`Fault`] or none.
//! 3. The latency passes, then the answer is sent as the fault says.
//!
//! # What the seed determines
//! Requests are numbered from 1 as their heads have been read; the number is in `Request-Id: req_sandbox_<n>`.
//! Chance and latency of request n depend on the seed, on n and on the faults set at that moment, and on
//! nothing else: not on time, nor on what was scripted before. With one client that waits for each answer the
//! whole run repeats. With several at once, n still gets the same fault, but which of the callers is the n-th
//! is up to the scheduler. The sequence of a seed may change when the `rand` crate changes its generator.
//!
//! # The clock
//! The server needs a runtime with I/O and time enabled. Do not pause tokio's clock around it: sockets are real,
//! and a paused clock jumps to the client's timeout while an answer is still on its way.

mod answer;
mod body;
mod delivery;
mod disputes;
#[cfg(feature = "webhook")]
mod events;
mod expansion;
mod fault;
mod generated;
mod lists;
mod objects;
mod owners;
mod payment;
mod related;
mod request;
mod server;
mod session;
mod state;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::accessors::{getters, partial_debug, setters};
use crate::testing::loopback::Server;
use state::SandboxState;

pub use crate::testing::loopback::RecordedRequest;
pub use fault::{Fault, Faults};
pub use payment::{ChargeShape, SandboxPayment};
pub use session::SandboxSession;

/// A running server; dropping it ends the server and every connection.
///
/// ```
/// use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let sandbox = Sandbox::start().await?;
/// sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735"));
/// sandbox.script("pi_1", [Fault::Unavailable, Fault::Reset]);
///
/// assert!(sandbox.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(sandbox.requests_for("pi_1"), 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "the server stops when this is dropped"]
pub struct Sandbox {
    state: Arc<SandboxState>,
    server: Server,
}

impl Sandbox {
    /// Starts a healthy server without payments on a free loopback port.
    ///
    /// # Errors
    /// When called outside a tokio runtime, or when no port can be bound.
    ///
    /// # Panics
    /// When the runtime was built without I/O or without time.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder with the defaults of the [module's table](self).
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder { port: 0, seed: 0, faults: Faults::none(), latency: Duration::ZERO..Duration::ZERO }
    }

    /// Inserts a payment, or replaces the one with its id.
    ///
    /// A script that waits for this payment is kept, and so is its request count.
    pub fn put(&self, payment: SandboxPayment) {
        self.state.book.lock().put(payment);
    }

    /// Inserts so many payments that are made each time they are asked for, with the ids `prefix0`, `prefix1` and so on.
    ///
    /// `make` gets a payment's number and id, and must give the same payment whenever it is asked. It is called once for each
    /// at the beginning, so that lists know where they stand: of a million payments they keep some 50 MB, and no payment. One
    /// that is [put](Self::put) in under such an id takes the other's place.
    ///
    /// ```
    /// use payproof::testing::sandbox::{Sandbox, SandboxPayment};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::start().await?;
    /// // One a minute from 2026 on, of which each hundredth was refunded a day later.
    /// sandbox.generate("pi_bulk_", 1_000, |number, id| {
    ///     let created = 1_767_225_600 + 60 * number;
    ///     let paid = SandboxPayment::paid(id, 1999, "usd").created(created).order(&number.to_string());
    ///     if number % 100 == 0 { paid.refunded(1999).refunded_at(created + 86_400) } else { paid }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn generate(
        &self,
        prefix: &str,
        count: u64,
        make: impl Fn(u64, &str) -> SandboxPayment + Send + Sync + 'static,
    ) {
        // Made first: the caller's code must not run under the lock.
        let generated = generated::GeneratedPayments::new(prefix, count, Box::new(make));
        self.state.book.lock().generate(generated);
    }

    /// Sets the server's clock, in seconds since 1970: what `Date` says, and from which the age of events counts; `None`, the
    /// default, is this machine's. It stands still.
    pub fn set_clock(&self, unix: Option<u64>) {
        self.state.book.lock().clock = unix;
    }

    /// Inserts a Checkout session, or replaces the one with its id. Its payment is what is put under the id that it names.
    pub fn put_session(&self, session: SandboxSession) {
        self.state.book.lock().sessions.insert(session.id.clone(), Arc::new(session));
    }

    /// Removes a payment; requests about it are answered 404 from now on.
    ///
    /// A script that waits for this payment is kept, and so is its request count.
    pub fn remove(&self, id: &str) {
        self.state.book.lock().file(id).kept = None;
    }

    /// Makes the next requests about one payment, or about another object by its id, misbehave, in order.
    ///
    /// Adds to what is already scripted for it. After the last fault the payment is healthy again. The payment
    /// need not exist.
    pub fn script(&self, id: impl Into<String>, faults: impl IntoIterator<Item = Fault>) {
        // Collected first: the caller's iterator must not run under the lock.
        let faults: Vec<Fault> = faults.into_iter().collect();
        self.state.book.lock().file(&id.into()).script.extend(faults);
    }

    /// Makes the next requests misbehave in order, whichever payment they ask about.
    ///
    /// Adds to what is already scripted so. A payment's own script goes first.
    pub fn script_any(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults: Vec<Fault> = faults.into_iter().collect();
        self.state.book.lock().script.extend(faults);
    }

    /// Replaces the faults that happen by chance; scripts are left as they are.
    pub fn set_faults(&self, faults: Faults) {
        self.state.book.lock().faults = faults;
    }

    /// How many requests asked about this payment or other object by its id, known or not, with a key or without.
    #[must_use]
    pub fn requests_for(&self, id: &str) -> u64 {
        self.state.book.lock().file(id).requests
    }

    getters! {
        /// The server's base address, `http://127.0.0.1:PORT`, without a trailing slash.
        pub fn url(&self) -> String => self.server.url();

        /// How many requests were read, whatever was answered.
        pub fn requests(&self) -> u64 => self.state.book.lock().requests;

        /// How many connections were accepted since the start.
        pub fn connections(&self) -> u64 => self.state.connections.load(Ordering::Relaxed);

        /// The request that was read last; none before the first, or when it was not HTTP/1.x.
        pub fn last_request(&self) -> Option<RecordedRequest> => {
            let head = self.state.book.lock().last_head.clone();
            RecordedRequest::parse(&head)
        };
    }

    /// Ends the server and returns once its port refuses connections.
    ///
    /// Dropping ends it too, but only when the runtime next runs the server's task.
    ///
    /// # Cancel safety
    /// Dropping the future ends the server as dropping the `Sandbox` does.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

partial_debug!(Sandbox, self => url: self.url(), requests: self.requests(), connections: self.connections());

/// Settings of a server that is not yet running; made by [`Sandbox::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct SandboxBuilder {
    port: u16,
    seed: u64,
    faults: Faults,
    latency: Range<Duration>,
}

impl SandboxBuilder {
    setters! {
        /// Sets the loopback port; the default is 0, which takes a free one.
        pub fn port(mut self, port: u16) => self.port = port;

        /// Sets the seed of chance and latency; the default is 0.
        pub fn seed(mut self, seed: u64) => self.seed = seed;

        /// Sets the faults that happen by chance; the default is [`Faults::none`].
        pub fn faults(mut self, faults: Faults) => self.faults = faults;

        /// Delays each answer about a payment by a random time in this range; the default is none.
        ///
        /// A range that is empty or runs backwards means its start. Timers tick in whole milliseconds.
        pub fn latency(mut self, latency: Range<Duration>) => self.latency = latency;
    }

    /// Binds the loopback port and starts serving in a task of the current runtime.
    ///
    /// # Errors
    /// When called outside a tokio runtime, or when no port can be bound.
    ///
    /// # Panics
    /// When the runtime was built without I/O or without time.
    pub async fn start(self) -> io::Result<Sandbox> {
        let state = Arc::new(SandboxState::new(self.seed, self.faults, self.latency));
        let shared = Arc::clone(&state);
        let server = Server::start(self.port, move |stream| {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            server::converse(stream, Arc::clone(&shared))
        });
        Ok(Sandbox { state, server: server.await? })
    }
}
