use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answer::Answer;
use super::command::{Database, Failed};
use super::fault::Fault;
use super::loopback::RecordedRequest;
use super::loopback::date::seconds_up;
use super::request::{self, Head};

/// Older calls are forgotten, so that a long run does not fill the memory.
const MAX_RECORDED: usize = 1_000;

/// One request and what it carried.
///
/// Its `Debug` leaves out the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCall {
    request: RecordedRequest,
    commands: Vec<Vec<String>>,
}

impl RecordedCall {
    /// The request without its body.
    #[must_use]
    pub fn request(&self) -> &RecordedRequest {
        &self.request
    }

    /// Each command with its arguments; none where the body was no list of commands.
    #[must_use]
    pub fn commands(&self) -> &[Vec<String>] {
        &self.commands
    }
}

/// What the server and its owner share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) token: String,
    pub(super) read_only_token: String,
    /// Whether texts are encoded for who asks for it.
    pub(super) encodes: bool,
    pub(super) connections: AtomicU64,
    /// Held for a few map operations at a time, never over an await.
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    database: Database,
    script: VecDeque<Fault>,
    calls: VecDeque<RecordedCall>,
    requests: u64,
    commands: u64,
}

/// What was decided about one request.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) answer: Answer,
    pub(super) fault: Option<Fault>,
    /// How many commands had run by then.
    pub(super) sync_token: u64,
}

/// What a body asks for.
enum Work {
    One(Vec<String>),
    Pipeline(Vec<Vec<String>>),
    Transaction(Vec<Vec<String>>),
}

impl Work {
    fn read(path: &str, body: &[u8]) -> Result<Self, &'static str> {
        let wrong = "ERR failed to parse command";
        let json: serde_json::Value = serde_json::from_slice(body).map_err(|_| wrong)?;
        let several = || json.as_array()?.iter().map(request::command).collect::<Option<Vec<_>>>();
        match path {
            "/" => request::command(&json).map(Self::One).ok_or(wrong),
            "/pipeline" => several().map(Self::Pipeline).ok_or(wrong),
            "/multi-exec" => several().map(Self::Transaction).ok_or(wrong),
            _ => Err("ERR this stand-in takes commands in bodies only"),
        }
    }

    fn commands(&self) -> &[Vec<String>] {
        match self {
            Self::One(command) => std::slice::from_ref(command),
            Self::Pipeline(commands) | Self::Transaction(commands) => commands,
        }
    }
}

impl Desk {
    pub(super) fn new(token: String, read_only_token: String, encodes: bool, database: Database) -> Self {
        let book = Book { database, script: VecDeque::new(), calls: VecDeque::new(), requests: 0, commands: 0 };
        Self { token, read_only_token, encodes, connections: AtomicU64::new(0), book: Mutex::new(book) }
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        // Collected first: the caller's iterator must not run under the lock.
        let faults: Vec<Fault> = faults.into_iter().collect();
        self.book().script.extend(faults);
    }

    pub(super) fn forget_scripts(&self) {
        self.book().database.scripts.clear();
    }

    pub(super) fn calls(&self) -> Vec<RecordedCall> {
        self.book().calls.iter().cloned().collect()
    }

    /// Requests read, and commands run.
    pub(super) fn counts(&self) -> (u64, u64) {
        let book = self.book();
        (book.requests, book.commands)
    }

    /// Counts, records, decides and runs.
    pub(super) fn decide(&self, raw: &[u8], head: &Head<'_>, body: &[u8]) -> Fate {
        let work = Work::read(head.path, body);
        let mut book = self.book();
        book.record(raw, work.as_ref().map(Work::commands).unwrap_or_default());
        let may_write = head.token == Some(&*self.token);
        let may_read = may_write || head.token == Some(&*self.read_only_token);
        let (answer, fault) = if head.method != "POST" {
            (Answer::error(405, "ERR method not allowed"), None)
        } else if !may_read {
            (Answer::error(401, "WRONGPASS invalid or missing auth token"), None)
        } else {
            let fault = book.script.pop_front();
            let answer = match (&fault, work) {
                (Some(fault), _) if !fault.runs() => turned_away(fault),
                (_, Err(wrong)) => Answer::error(400, wrong),
                (_, Ok(work)) => book.run(work, may_write, head.wants_base64 && self.encodes),
            };
            (answer, fault)
        };
        Fate { answer, fault, sync_token: book.commands }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing panics half-way through a change, so a poisoned book is still whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn record(&mut self, raw: &[u8], commands: &[Vec<String>]) {
        self.requests = self.requests.saturating_add(1);
        if let Some(request) = RecordedRequest::parse(raw) {
            if self.calls.len() >= MAX_RECORDED {
                self.calls.pop_front();
            }
            self.calls.push_back(RecordedCall { request, commands: commands.to_vec() });
        }
    }

    fn run(&mut self, work: Work, may_write: bool, base64: bool) -> Answer {
        let count = u64::try_from(work.commands().len()).unwrap_or(u64::MAX);
        self.commands = self.commands.saturating_add(count);
        match work {
            Work::One(command) => Answer::result(self.database.run(&command, may_write), base64),
            Work::Pipeline(commands) => {
                let results = commands.iter().map(|command| self.database.run(command, may_write));
                Answer::results(results.collect(), base64)
            }
            Work::Transaction(commands) => {
                let admitted: Result<(), Failed> =
                    commands.iter().try_for_each(|command| self.database.admits(command, may_write));
                if let Err(Failed(text)) = admitted {
                    let text = format!("EXECABORT Transaction discarded because of previous errors: {text}");
                    return Answer::error(400, &text);
                }
                let results = commands.iter().map(|command| self.database.run(command, may_write));
                Answer::results(results.collect(), base64)
            }
        }
    }
}

/// The answer to a request whose commands are not run.
fn turned_away(fault: &Fault) -> Answer {
    match fault {
        Fault::TooManyRequests { retry_after } => Answer::throttled(retry_after.map(seconds_up)),
        Fault::Error(status, text) => Answer::error(*status, text),
        Fault::QuotaUsedUp => Answer::error(400, "ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."),
        Fault::Page(status) => Answer::page(*status),
        // Those that are left have no answer.
        _ => Answer::page(500),
    }
}
