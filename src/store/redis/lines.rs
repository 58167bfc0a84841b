//! Who hears over the lines of a store, and what ends a session: the memory beside a line is believed for as long as every
//! connection that reads records is known to lead to the server whose changes the line tells.

use std::sync::{Arc, Weak};

use ::redis::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::endpoint::Address;
use super::wire::Wire;
use crate::lock::Lock;
use crate::store::StoreError;
use crate::store::line::{Line, Listener};

/// The lines of a store, one for each prefix.
#[derive(Default)]
pub(super) struct RedisLines(Lock<LinesState>);

#[derive(Default)]
struct LinesState {
    /// How many connections for records were made.
    links_made: u64,
    links: Vec<(Address, Weak<Wire>)>,
    lines: Vec<(Arc<Audibles>, Weak<dyn Line>)>,
}

impl RedisLines {
    /// The line of a prefix, with one more that hears over it. It is made first if there is none.
    pub(super) fn join(
        &self,
        prefix: &str,
        listener: Weak<dyn Listener>,
        make: impl FnOnce(&Arc<Audibles>) -> Arc<dyn Line>,
    ) -> Arc<dyn Line> {
        let mut state = self.0.lock();
        state.lines.retain(|(_, line)| line.strong_count() > 0);
        let known = state.lines.iter().find(|(audibles, _)| *audibles.prefix == *prefix);
        if let Some((audibles, line)) = known
            && let Some(line) = line.upgrade()
        {
            audibles.add(listener);
            return line;
        }
        let audibles = Arc::new(Audibles { prefix: prefix.into(), linked: Notify::new(), state: Lock::default() });
        audibles.add(listener);
        let line = make(&audibles);
        state.lines.push((audibles, Arc::downgrade(&line)));
        line
    }

    /// A connection for records was made, and nothing was sent over it yet. It may lead to another server, so that no session
    /// goes on which was opened without it.
    pub(super) fn link_made(&self, to: &Address, link: &Arc<Wire>) {
        let mut state = self.0.lock();
        state.links_made = state.links_made.saturating_add(1);
        state.links.retain(|(_, link)| link.strong_count() > 0);
        state.links.push((to.clone(), Arc::downgrade(link)));
        for (audibles, _) in &state.lines {
            audibles.end();
            audibles.linked.notify_one();
        }
    }

    /// The connections for records that are up, with where they lead, and how many were made so far.
    pub(super) fn links(&self) -> (Vec<(Address, Arc<Wire>)>, u64) {
        let state = self.0.lock();
        let links = state.links.iter().filter_map(|(address, link)| Some((address.clone(), link.upgrade()?)));
        (links.filter(|(_, link)| link.is_usable()).collect(), state.links_made)
    }

    /// Ends every session. What is read from now on needs another one.
    pub(super) fn end(&self) {
        for (audibles, _) in &self.0.lock().lines {
            audibles.end();
        }
    }

    /// Opens a session, unless a connection was made since so many were. Whether it is open.
    pub(super) fn open(&self, links_made: u64, audibles: &Audibles, alive_until: Instant) -> bool {
        let state = self.0.lock();
        let is_open = state.links_made == links_made;
        if is_open {
            audibles.open(alive_until);
        }
        is_open
    }

    /// Why a line that is in use has no session, if that is known.
    pub(super) fn failure(&self) -> Option<Box<str>> {
        let state = self.0.lock();
        let mut in_use = state.lines.iter().filter(|(_, line)| line.strong_count() > 0);
        in_use.find_map(|(audibles, _)| audibles.state.lock().failure.clone())
    }
}

/// Those who hear of changes under one prefix.
pub(super) struct Audibles {
    pub(super) prefix: Box<str>,
    /// Told when a connection for records was made.
    pub(super) linked: Notify,
    state: Lock<AudiblesState>,
}

#[derive(Default)]
struct AudiblesState {
    /// Each with the number of its session, in one.
    listeners: Vec<(Weak<dyn Listener>, Option<u64>)>,
    /// Until when the session is alive, in one.
    alive_until: Option<Instant>,
    /// Keys whose changes are still to be heard before a session may open.
    probes: Vec<Box<[u8]>>,
    /// Whether all records went while changes of the probes were waited for, and those with them.
    lost_probes: bool,
    /// Why no session opened when that was tried last, until one opens.
    failure: Option<Box<str>>,
}

impl Audibles {
    fn add(&self, listener: Weak<dyn Listener>) {
        let mut state = self.state.lock();
        state.listeners.retain(|(listener, _)| listener.strong_count() > 0);
        state.listeners.push((listener, None));
        if let Some(until) = state.alive_until {
            state.open(until);
        }
    }

    fn open(&self, alive_until: Instant) {
        let mut state = self.state.lock();
        state.failure = None;
        state.open(alive_until);
    }

    /// Keeps why no session opened, for those who ask.
    pub(super) fn failed(&self, error: &StoreError) {
        self.state.lock().failure = Some(error.to_string().into());
    }

    /// Has the session live longer, if there is one. Whether there is.
    pub(super) fn live_until(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        let is_open = state.alive_until.is_some();
        if is_open {
            state.live_until(until);
        }
        is_open
    }

    /// Ends the session, if there is one.
    pub(super) fn end(&self) {
        self.state.lock().end();
    }

    /// Hears a push of the server: the keys that changed, or that all did.
    pub(super) fn hear(&self, data: &[Value]) {
        let mut state = self.state.lock();
        if let Some(Value::Array(keys)) = data.first() {
            for key in keys {
                let Value::BulkString(key) = key else { continue };
                state.probes.retain(|probe| **probe != **key);
                for (listener, _) in state.listening() {
                    listener.changed(key);
                }
            }
            return;
        }
        // All of them, as at FLUSHALL. What it may mean else counts as that.
        state.lost_probes = true;
        if let Some(until) = state.alive_until {
            state.end();
            state.open(until);
        }
    }

    /// Begins to wait for changes of these keys, and of no others.
    pub(super) fn expect(&self, probes: impl Iterator<Item = Box<[u8]>>) {
        let mut state = self.state.lock();
        (state.probes, state.lost_probes) = (probes.collect(), false);
    }

    /// Whether all that was expected was heard, and if not, whether another test may show more.
    pub(super) fn check_heard(&self) -> Result<(), StoreError> {
        let state = self.state.lock();
        match (state.probes.is_empty(), state.lost_probes) {
            (true, _) => Ok(()),
            (false, true) => Err(StoreError::not_sent("all records went while the line was tested")),
            (false, false) => {
                Err(StoreError::refused("the server tells of changes too late, or records stand in another one"))
            }
        }
    }
}

impl AudiblesState {
    /// Opens a session for those who are in none.
    fn open(&mut self, alive_until: Instant) {
        self.alive_until = Some(alive_until);
        for (listener, session) in &mut self.listeners {
            if let (Some(listener), None) = (listener.upgrade(), &session) {
                let number = listener.opened();
                listener.alive(number, alive_until);
                *session = Some(number);
            }
        }
    }

    /// Opens a new session for those who gave theirs up: the line itself goes on without a gap.
    fn live_until(&mut self, until: Instant) {
        for (listener, session) in &mut self.listeners {
            if let (Some(listener), Some(number)) = (listener.upgrade(), *session)
                && !listener.alive(number, until)
            {
                *session = None;
            }
        }
        self.open(until);
    }

    fn end(&mut self) {
        self.alive_until = None;
        for (listener, session) in &mut self.listeners {
            if let (Some(session), Some(listener)) = (session.take(), listener.upgrade()) {
                listener.ended(session);
            }
        }
    }

    fn listening(&self) -> impl Iterator<Item = (Arc<dyn Listener>, u64)> {
        self.listeners.iter().filter_map(|(listener, session)| Some((listener.upgrade()?, (*session)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::store::line::ALIVE_FOR;

    /// Is in the session of the highest number, until it gives that up.
    #[derive(Default)]
    struct Memory {
        session: AtomicU64,
        changes: AtomicU64,
    }

    impl Listener for Memory {
        fn opened(&self) -> u64 {
            self.session.fetch_add(1, Ordering::Relaxed).saturating_add(1)
        }

        fn alive(&self, session: u64, _until: Instant) -> bool {
            self.session.load(Ordering::Relaxed) == session
        }

        fn changed(&self, _key: &[u8]) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }

        fn ended(&self, session: u64) {
            self.session.fetch_max(session.saturating_add(1), Ordering::Relaxed);
        }
    }

    #[derive(Debug)]
    struct Silent;

    impl Line for Silent {
        fn keep_up(&self) {}
    }

    fn heard_by(memory: &Arc<Memory>) -> (RedisLines, Arc<Audibles>, Arc<dyn Line>) {
        let (lines, mut made) = (RedisLines::default(), None);
        let listener = Arc::downgrade(memory) as Weak<dyn Listener>;
        let line = lines.join("a:", listener, |audibles| {
            made = Some(Arc::clone(audibles));
            Arc::new(Silent)
        });
        (lines, made.unwrap(), line)
    }

    #[test]
    fn a_listener_that_gave_its_session_up_is_in_another_with_the_next_beat() {
        let (memory, until) = (Arc::new(Memory::default()), Instant::now() + ALIVE_FOR);
        let (lines, audibles, _line) = heard_by(&memory);
        let push = [Value::Array(vec![Value::BulkString(b"a:1".to_vec())])];
        audibles.hear(&push);
        assert!(!audibles.live_until(until), "there is no session");
        assert!(lines.open(0, &audibles, until));
        memory.session.store(7, Ordering::Relaxed);
        assert!(audibles.live_until(until + Duration::from_secs(1)));
        assert_eq!(memory.session.load(Ordering::Relaxed), 8);
        audibles.hear(&push);
        assert_eq!(memory.changes.load(Ordering::Relaxed), 1);
        // All changed: what it had is of a session that is over.
        audibles.hear(&[Value::Nil]);
        assert_eq!(memory.session.load(Ordering::Relaxed), 10);
    }

    // Which connection a lost probe was written over is not known, so that no session opens on it either.
    #[test]
    fn a_test_during_which_all_records_went_is_made_again_soon() {
        let (_lines, audibles, _line) = heard_by(&Arc::new(Memory::default()));
        let probe = || [b"a:line:0".as_slice().into()].into_iter();
        audibles.expect(probe());
        assert!(audibles.check_heard().is_err_and(|error| error.is_refused()));
        audibles.hear(&[Value::Nil]);
        assert!(audibles.check_heard().is_err_and(|error| !error.is_refused()));
        audibles.hear(&[Value::Array(vec![Value::BulkString(b"a:line:0".to_vec())])]);
        assert!(audibles.check_heard().is_ok());
        audibles.expect(probe());
        assert!(audibles.check_heard().is_err_and(|error| error.is_refused()));
    }

    #[tokio::test]
    async fn no_session_opens_that_does_not_know_of_each_connection_for_records() {
        let (memory, until) = (Arc::new(Memory::default()), Instant::now() + ALIVE_FOR);
        let (lines, audibles, _line) = heard_by(&memory);
        let (stream, _server) = tokio::io::duplex(64);
        let link = Arc::new(Wire::new(stream, 1).await.unwrap());
        assert!(lines.open(0, &audibles, until));
        lines.link_made(&Address::tcp("127.0.0.1", 1), &link);
        assert_eq!(memory.session.load(Ordering::Relaxed), 2, "the session is over");
        assert!(!lines.open(0, &audibles, until) && !audibles.live_until(until));
        assert_eq!((lines.links().0.len(), lines.links().1), (1, 1));
        assert!(lines.open(1, &audibles, until));
        link.refuse_more();
        assert_eq!(lines.links().0.len(), 0, "it is given up");
    }

    #[test]
    fn why_a_line_has_no_session_is_known_until_it_has_one_or_is_used_no_more() {
        let memory = Arc::new(Memory::default());
        let (lines, audibles, line) = heard_by(&memory);
        let mut made = None;
        let listener = Arc::downgrade(&memory) as Weak<dyn Listener>;
        let _other = lines.join("b:", listener, |audibles| {
            made = Some(Arc::clone(audibles));
            Arc::new(Silent)
        });
        let (other, until) = (made.unwrap(), Instant::now() + ALIVE_FOR);
        let failure = || lines.failure();
        audibles.failed(&StoreError::not_sent("a"));
        assert!(
            lines.open(0, &other, until) && failure().is_some(),
            "the session of another prefix says nothing of it"
        );
        assert!(lines.open(0, &audibles, until) && failure().is_none());
        audibles.failed(&StoreError::not_sent("a"));
        assert!(failure().is_some());
        drop(line);
        assert_eq!(failure(), None);
    }
}
