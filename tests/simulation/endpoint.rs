//! Requests with one key, sent to several processes over a store that goes wrong in every way, hundreds of times, on a clock
//! that jumps.
//!
//! What handlers did and what clients were told is kept, and compared with what may be: no effect happens twice, no two runs
//! are at it at a time, who is told that it was done is told the same by every process, and nothing stays in the way.
#![cfg(all(feature = "test-util", feature = "tower"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, OnUnknown, ResponseBody, Scope};
use payproof::envelope::NotExecuted;
use payproof::store::MemoryStore;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::util::BoxCloneService;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::chaos_store::{ChaosStore, Fate, Trouble, Verb};
use crate::simulation::{self, Processes, Ways};
use crate::support::{NO_PATTERNS, ms, provider, secs};

const HANDLER_TIMEOUT: Duration = secs(20);

/// The handler's limit, the wait for another one before it, and what the store may take before and after.
const LONGEST: Duration = secs(40);

/// Others wait so long for a process that ended, and a second.
const LEASE_IS_OVER: Duration = secs(30);

/// Claims are looked for at six times within a minute, and one that is made later than this at three of them or fewer.
const MADE_LATE: Duration = secs(5);

/// Few enough that one of more than three looks works.
const MILD: f64 = 0.1;

/// What a handler does if it is run.
#[derive(Clone, Copy, Debug)]
enum Doing {
    /// Has its effect, and says so.
    Succeed(Duration),
    /// Has no effect, and says so by its status.
    Refuse(Duration),
    /// Has no effect, and says so by an extension.
    Decline(Duration),
    /// Has its effect, and then one of the others happens.
    Fail(Duration),
    Panic(Duration),
    Hang,
}

impl Doing {
    /// Where handlers are tame, each run comes to an end that is known.
    fn draw(rng: &mut StdRng, is_tame: bool) -> Self {
        let time = *[ms(0), ms(900), secs(4), secs(19)].choose(rng).unwrap();
        match rng.random_range(0..if is_tame { 16 } else { 20 }) {
            0..4 => Self::Succeed(time),
            4..12 => Self::Refuse(time),
            12..16 => Self::Decline(time),
            16 | 17 => Self::Fail(time),
            18 => Self::Panic(time),
            _ => Self::Hang,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Nothing,
    /// It is indeterminate.
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Begun(usize),
    /// The run had its effect.
    Effect(usize),
    Ended(usize, End),
    /// What was asked, the status or code that was answered, the answer's body if it was done, whether that was a replay.
    Told(&'static str, String, Option<String>, bool, Duration),
    /// The client hung up before it was told anything.
    Left,
}

type Log = Arc<Mutex<Vec<What>>>;

/// One run of a handler. However it ends, that is written down.
struct Run {
    log: Log,
    number: usize,
    end: End,
}

impl Run {
    fn begin(log: &Log) -> Self {
        let mut lines = log.lock().unwrap();
        let number = lines.len();
        lines.push(What::Begun(number));
        Self { log: Arc::clone(log), number, end: End::Open }
    }

    fn effect(&self) {
        self.log.lock().unwrap().push(What::Effect(self.number));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(What::Ended(self.number, self.end));
    }
}

async fn handle(log: Log, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
    let mut run = Run::begin(&log);
    let doing = *request.extensions().get::<Doing>().unwrap();
    let (Doing::Succeed(time) | Doing::Refuse(time) | Doing::Decline(time) | Doing::Fail(time) | Doing::Panic(time)) =
        doing
    else {
        run.effect();
        return pending().await;
    };
    sleep(time).await;
    let asked = request.into_body().collect().await.unwrap().to_bytes();
    let asked = String::from_utf8(asked.to_vec()).unwrap();
    let mut response = Response::new(Full::from(format!("run {} did {asked}", run.number)));
    *response.status_mut() = match doing {
        Doing::Succeed(_) => StatusCode::CREATED,
        Doing::Refuse(_) => StatusCode::TOO_MANY_REQUESTS,
        Doing::Decline(_) => StatusCode::BAD_GATEWAY,
        Doing::Fail(_) | Doing::Panic(_) | Doing::Hang => StatusCode::INTERNAL_SERVER_ERROR,
    };
    match doing {
        Doing::Succeed(_) => {
            run.effect();
            run.end = End::Done;
        }
        Doing::Refuse(_) => run.end = End::Nothing,
        Doing::Decline(_) => {
            run.end = End::Nothing;
            response.extensions_mut().insert(NotExecuted);
        }
        Doing::Fail(_) | Doing::Hang => run.effect(),
        Doing::Panic(_) => {
            run.effect();
            resume_unwind(Box::new("scripted"));
        }
    }
    response
}

type Process = BoxCloneService<Request<Full<Bytes>>, Response<Bytes>, Infallible>;

fn process(store: &ChaosStore, log: &Log, on_unknown: OnUnknown) -> Process {
    let builder = Validator::builder(provider()).transient_patterns(NO_PATTERNS).store(store.clone());
    let scope = |_: &http::request::Parts| Scope::new("store_42", "shopper_7").ok();
    let layer =
        IdempotencyLayer::builder(&builder.build().unwrap(), "checkout", HANDLER_TIMEOUT, scope).build().unwrap();
    let log = Arc::clone(log);
    let handler = service_fn(move |request| {
        let log = Arc::clone(&log);
        async move { Ok::<_, Infallible>(handle(log, request).await) }
    });
    let service = layer.on_unknown(on_unknown).layer(handler);
    BoxCloneService::new(service.and_then(async |response: Response<ResponseBody<Full<Bytes>>>| {
        let (parts, body) = response.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }))
}

/// Sends once, for as long as the client waits.
async fn send(process: Process, log: Log, asked: &'static str, doing: Doing, patience: Duration) {
    let begin = Instant::now();
    let request = Request::post("/checkouts").header("idempotency-key", "8e03978e").extension(doing);
    let sending = process.oneshot(request.body(Full::from(asked)).unwrap());
    let what = match timeout(patience, sending).await {
        Ok(answered) => {
            let response = answered.unwrap();
            let is_replay = response.headers().contains_key("idempotent-replayed");
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            let code = body.split('"').find(|part| part.starts_with("IDEMPOTENCY_")).map(str::to_owned);
            let answer = code.unwrap_or_else(|| response.status().as_str().to_owned());
            let done = (response.status() == StatusCode::CREATED).then_some(body);
            What::Told(asked, answer, done, is_replay, begin.elapsed())
        }
        Err(_elapsed) => What::Left,
    };
    log.lock().unwrap().push(what);
}

/// A client that sends its request again and again, now and then twice at once; or, by mistake, something else under the
/// same key. Some requests meet a process that has only just started.
async fn client(processes: Arc<Processes<Process>>, log: Log, is_tame: bool, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..6 {
        let mut clicks = JoinSet::new();
        for _ in 0..rng.random_range(1..=2) {
            let at = rng.random_range(0..processes.count());
            let process = if rng.random_bool(0.2) { processes.fresh(at) } else { processes.get(at) };
            let asked = if rng.random_bool(0.1) { "mistake" } else { "pay" };
            let patience = *[ms(500), secs(3), secs(300)].choose(&mut rng).unwrap();
            clicks.spawn(send(process, Arc::clone(&log), asked, Doing::draw(&mut rng, is_tame), patience));
        }
        clicks.join_all().await;
        sleep(*[ms(0), ms(200), secs(3), secs(25), secs(50)].choose(&mut rng).unwrap()).await;
    }
}

/// What must not have happened.
fn breach(lines: &[What], on_unknown: OnUnknown) -> Option<String> {
    let is_strict = on_unknown == OnUnknown::Refuse;
    let (mut running, mut effects, mut open) = (None, Vec::new(), None);
    let (mut told, mut replayed) = (None::<&str>, false);
    for what in lines {
        match what {
            What::Begun(run) if running.is_some() => return Some(format!("run {run} began beside {running:?}")),
            What::Begun(run) if replayed => return Some(format!("run {run} began after an answer was repeated")),
            What::Begun(run) if is_strict && open.is_some() => return Some(format!("run {run} began after {open:?}")),
            What::Begun(run) => running = Some(*run),
            What::Effect(run) if is_strict && !effects.is_empty() => {
                return Some(format!("run {run} had an effect after {effects:?}"));
            }
            What::Effect(run) => effects.push(*run),
            What::Ended(run, end) => {
                running = None;
                if *end != End::Nothing {
                    open = Some(*run);
                }
            }
            What::Told(.., took) if *took > LONGEST => return Some(format!("{what:?}: it took too long")),
            What::Told(asked, _, Some(body), is_replay, _) => {
                if !effects.iter().any(|run| *body == format!("run {run} did {asked}")) {
                    return Some(format!("{what:?}, and that did not happen"));
                }
                if (is_strict || replayed) && told.is_some_and(|told| told != body) {
                    return Some(format!("{what:?} after {told:?}"));
                }
                told = Some(body);
                replayed |= *is_replay;
            }
            What::Told(_, answer, None, true, _) => return Some(format!("{answer} was repeated")),
            What::Told(..) | What::Left => {}
        }
    }
    None
}

/// What must not be when all is over, and the store has been well for long.
fn stuck(before: &[What], last: &[What], on_unknown: OnUnknown, is_free: bool) -> Option<String> {
    let is_open = before.iter().any(|what| matches!(what, What::Ended(_, End::Open)));
    for what in last {
        let What::Told(_, answer, ..) = what else { continue };
        match &**answer {
            "201" | "IDEMPOTENCY_KEY_REUSED" => {}
            "IDEMPOTENCY_INDETERMINATE" if on_unknown == OnUnknown::Refuse && (is_open || !is_free) => {}
            _ => return Some(format!("in the end {what:?}")),
        }
    }
    None
}

fn answers(lines: &[What]) -> impl Iterator<Item = String> {
    lines.iter().filter_map(|what| if let What::Told(_, answer, ..) = what { Some(answer.clone()) } else { None })
}

async fn run(seed: u64, trouble: Trouble, on_unknown: OnUnknown) -> Result<BTreeSet<String>, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (ways, log) = (Ways::new(seed, 3), Log::default());
    let start = |way: &ChaosStore| {
        let (way, log) = (way.clone(), Arc::clone(&log));
        Box::new(move || process(&way, &log, on_unknown)) as Box<dyn Fn() -> Process + Send + Sync>
    };
    let processes = Arc::new(Processes::start(ways.iter().map(start).collect()));
    ways.trouble(trouble);
    let mut tasks = JoinSet::new();
    let is_tame = rng.random_bool(0.5);
    for _ in 0..3 {
        tasks.spawn(client(Arc::clone(&processes), Arc::clone(&log), is_tame, rng.random()));
    }
    sleep(secs(rng.random_range(0..100))).await;
    // One process ends: what it was about to say is never heard. Another one is cut off for a while.
    let (crashes, is_cut) = (rng.random_bool(0.3), rng.random_bool(0.3));
    if crashes {
        ways.of(2).crash();
    }
    if is_cut {
        ways.of(1).cut(secs(rng.random_range(1..40)));
    }
    tasks.join_all().await;
    ways.calm(Trouble::NONE, LEASE_IS_OVER).await;
    let before = log.lock().unwrap().len();
    for process in 0..2 {
        send(processes.get(process), Arc::clone(&log), "pay", Doing::Succeed(ms(1)), secs(300)).await;
    }
    // Whatever was lost or came late, the list holds the request while it is unknown what became of it, and no longer.
    let reader = Validator::builder(provider()).store(ways.of(0).clone()).build().unwrap();
    let listed = reader.indeterminate_requests().await.unwrap().len();
    let last = log.lock().unwrap()[before..].iter().rev().find_map(|what| match what {
        What::Told(_, answer, ..) => Some(answer.clone()),
        _ => None,
    });
    let lines = log.lock().unwrap();
    let is_unknown = last.as_deref() == Some("IDEMPOTENCY_INDETERMINATE");
    if last.as_deref() != Some("IDEMPOTENCY_KEY_REUSED") && listed != usize::from(is_unknown) {
        return Err(format!("{lines:#?}\n{trouble:?}, {on_unknown:?}: {listed} listed after {last:?}"));
    }
    // What never began, and what is known to have had no effect, leaves nothing behind; but for a process that ended, and
    // where the store keeps failing while that is seen to.
    let is_late = ways.iter().flat_map(ChaosStore::made).any(|made| made.at - made.sent > MADE_LATE);
    let is_mild = trouble.faults <= MILD && !is_cut && !is_late;
    let is_free = !crashes && (trouble.faults == 0.0 || is_mild);
    let wrong = breach(&lines, on_unknown);
    if let Some(wrong) = wrong.or_else(|| stuck(&lines[..before], &lines[before..], on_unknown, is_free)) {
        return Err(format!("{lines:#?}\n{trouble:?}, {on_unknown:?}: {wrong}"));
    }
    Ok(answers(&lines).collect())
}

/// Returns what clients were told.
fn simulate_all(trouble: Trouble) -> BTreeSet<String> {
    let both = [OnUnknown::Refuse, OnUnknown::RunAgain];
    let told = both.map(|on_unknown| simulation::simulate(100, |seed| run(seed, trouble, on_unknown)));
    told.into_iter().flatten().flatten().collect()
}

#[test]
fn requests_hold_while_nothing_goes_wrong() {
    simulate_all(Trouble::NONE);
    simulate_all(Trouble::SLOW);
}

#[test]
fn requests_hold_while_everything_goes_wrong() {
    let mut told = BTreeSet::new();
    for faults in [MILD, 0.3, 0.6] {
        told.extend(simulate_all(Trouble { faults, ghosts: true, ..Trouble::SLOW }));
    }
    for answer in [
        "201",
        "429",
        "500",
        "502",
        "IDEMPOTENCY_KEY_REUSED",
        "IDEMPOTENCY_IN_PROGRESS",
        "IDEMPOTENCY_INDETERMINATE",
        "IDEMPOTENCY_NOT_COMPLETED",
        "IDEMPOTENCY_UNAVAILABLE",
    ] {
        assert!(told.contains(answer), "no client was told {answer}: {told:?}");
    }
}

#[test]
fn requests_hold_while_one_verb_goes_wrong() {
    for verb in [Verb::Get, Verb::Claim, Verb::Replace, Verb::Remove] {
        simulate_all(Trouble { faults: 0.8, ghosts: true, sore: Some(verb), ..Trouble::SLOW });
    }
}

/// Each try of a claim that was not confirmed is made when the key is free again.
#[tokio::test(start_paused = true)]
async fn neither_try_of_a_claim_leaves_anything_behind() {
    for (second, first_answer) in [(Fate::Made, "429"), (Fate::Ghost(secs(5)), "IDEMPOTENCY_UNAVAILABLE")] {
        let (store, log) = (MemoryStore::new(), Log::default());
        let way = ChaosStore::new(&store, 0);
        let process = process(&way, &log, OnUnknown::Refuse);
        way.script_verb(Verb::Claim, [Fate::Ghost(secs(2)), second]);
        for doing in [Doing::Refuse(ms(900)), Doing::Succeed(ms(0))] {
            send(process.clone(), Arc::clone(&log), "pay", doing, secs(300)).await;
            sleep(secs(10)).await;
        }
        assert_eq!(answers(&log.lock().unwrap()).collect::<Vec<_>>(), [first_answer, "201"]);
    }
}

#[test]
fn what_must_not_happen_would_be_seen() {
    let told = |body: &str, is_replay| What::Told("pay", "201".into(), Some(body.into()), is_replay, secs(1));
    let ended = What::Ended(0, End::Done);
    for (what, seen) in [
        (vec![What::Begun(0), What::Begun(1)], "beside"),
        (vec![What::Begun(0), ended.clone(), What::Begun(3)], "began after"),
        (vec![What::Effect(0), What::Effect(1)], "an effect after"),
        (vec![What::Effect(0), told("run 0 did something else", false)], "did not happen"),
        (vec![told("run 0 did pay", false)], "did not happen"),
        (vec![What::Told("pay", "IDEMPOTENCY_IN_PROGRESS".into(), None, false, secs(41))], "too long"),
        (vec![What::Told("pay", "429".into(), None, true, secs(1))], "was repeated"),
    ] {
        let breach = breach(&what, OnUnknown::Refuse).unwrap_or_default();
        assert!(breach.contains(seen), "{breach} about {what:?}");
    }
    let again = [What::Begun(0), What::Effect(0), ended, told("run 0 did pay", true), What::Begun(4)];
    assert!(breach(&again, OnUnknown::RunAgain).is_some_and(|breach| breach.contains("an answer was repeated")));
    let refused = |answer: &str| [What::Told("pay", answer.into(), None, false, secs(1))];
    let open = [What::Ended(0, End::Open)];
    for (before, answer, on_unknown, is_stuck) in [
        (&[][..], "IDEMPOTENCY_INDETERMINATE", OnUnknown::Refuse, true),
        (&open, "IDEMPOTENCY_INDETERMINATE", OnUnknown::Refuse, false),
        (&open, "IDEMPOTENCY_INDETERMINATE", OnUnknown::RunAgain, true),
        (&open, "IDEMPOTENCY_IN_PROGRESS", OnUnknown::Refuse, true),
    ] {
        assert_eq!(stuck(before, &refused(answer), on_unknown, true).is_some(), is_stuck, "{answer} after {before:?}");
    }
}
