//! The parent's end of its workers: started, asked, paused and killed.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::WORKER;
use crate::language::{Answer, Ask, Build, Numbered, Settings};

/// Twice what the slowest call can take, waits and pauses included. Only what hangs for ever meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The worker died before it answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// A process. It is killed when this is dropped, and ends by itself when the parent does.
#[derive(Debug)]
pub(crate) struct Worker {
    name: u32,
    process: Mutex<Child>,
    to: mpsc::UnboundedSender<String>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    is_gone: bool,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Worker {
    pub(crate) fn start(settings: &Settings) -> Arc<Self> {
        let mut command = Command::new(settings.build.program());
        command.args(["--exact", "worker", "--nocapture", "--test-threads", "1"]);
        command.env(WORKER, serde_json::to_string(settings).unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (mut input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let heard = Arc::clone(&waiting);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // The test runner has something to say as well.
                let Ok(Numbered { number, what }) = serde_json::from_str(&line) else { continue };
                if let Some(asker) = lock(&heard).answers.remove(&number) {
                    let _ = asker.send(what);
                }
            }
            let mut waiting = lock(&heard);
            waiting.is_gone = true;
            waiting.answers.clear();
        });
        let (to, mut asked) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = asked.recv().await {
                if input.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        Arc::new(Self { name: settings.name, process: Mutex::new(process), to, waiting })
    }

    pub(crate) fn name(&self) -> u32 {
        self.name
    }

    /// Asks, and waits for the answer, which may be that the worker died.
    ///
    /// # Panics
    /// When neither comes in a long time: a call that hangs is what these tests look for.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, Gone> {
        let (asker, answer) = oneshot::channel();
        let what = format!("{ask:?}");
        let line = {
            let mut waiting = lock(&self.waiting);
            if waiting.is_gone {
                return Err(Gone);
            }
            waiting.last += 1;
            let number = waiting.last;
            waiting.answers.insert(number, asker);
            serde_json::to_string(&Numbered { number, what: ask }).unwrap() + "\n"
        };
        self.to.send(line).map_err(|_| Gone)?;
        let answered = timeout(PATIENCE, answer).await;
        answered
            .unwrap_or_else(|_| panic!("worker {} gave no answer within {PATIENCE:?}: {what}", self.name))
            .map_err(|_| Gone)
    }

    /// Asks a worker that is not killed.
    pub(crate) async fn expect(&self, ask: Ask) -> Answer {
        let what = format!("{ask:?}");
        self.ask(ask).await.unwrap_or_else(|Gone| panic!("worker {} died at {what}", self.name))
    }

    /// Asks until there is an answer that stands: errors of these codes are none.
    ///
    /// # Panics
    /// When there is none in a long time.
    pub(crate) async fn insist(&self, ask: Ask, passing: &[&str]) -> Result<Answer, Gone> {
        let begin = Instant::now();
        loop {
            match self.ask(ask.clone()).await? {
                Answer::Error(trouble) if passing.contains(&&*trouble.code) => {
                    assert!(begin.elapsed() < PATIENCE, "worker {}, {ask:?}: still {trouble:?}", self.name);
                    sleep(Duration::from_millis(20)).await;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// As a power failure does: nothing it holds is given back.
    pub(crate) fn kill(&self) {
        let _ = self.process.lock().unwrap().start_kill();
    }

    /// Lets it stand still, as a machine does that swaps or is moved.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// It may be dead already.
    fn signal(&self, name: &str) {
        if let Some(id) = self.process.lock().unwrap().id() {
            let sent = std::process::Command::new("kill").arg(format!("-{name}")).arg(id.to_string()).output();
            sent.expect("kill is missing; run: sudo apt-get install procps");
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap()
}

/// Workers in their places; one that dies is followed by another in its place.
#[derive(Debug)]
pub(crate) struct Fleet {
    places: Vec<Mutex<Arc<Worker>>>,
    /// For each place, since each may have its own way to Redis.
    settings: Vec<Settings>,
    /// All there ever were, in the order of their names.
    started: Mutex<Vec<Build>>,
}

impl Fleet {
    /// Starts one worker for each of these settings.
    pub(crate) fn start(settings: Vec<Settings>) -> Self {
        let mut started = Vec::new();
        let places =
            settings.iter().map(|settings| Mutex::new(Worker::start(&named(settings, &mut started)))).collect();
        Self { places, settings, started: Mutex::new(started) }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn at(&self, place: usize) -> Arc<Worker> {
        Arc::clone(&self.places[place].lock().unwrap())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Worker>> {
        (0..self.len()).map(|place| self.at(place)).collect()
    }

    /// Of which build the worker of this name is.
    pub(crate) fn build_of(&self, name: u32) -> Build {
        self.started.lock().unwrap()[usize::try_from(name).unwrap() - 1]
    }

    /// Puts a new worker in the place of one that was killed.
    pub(crate) fn replace(&self, place: usize) {
        let settings = named(&self.settings[place], &mut self.started.lock().unwrap());
        *self.places[place].lock().unwrap() = Worker::start(&settings);
    }

    /// A worker with the settings of a place, in none.
    pub(crate) fn another(&self, place: usize) -> Arc<Worker> {
        Worker::start(&named(&self.settings[place], &mut self.started.lock().unwrap()))
    }
}

/// Each worker has a name of its own, which is never used again.
fn named(settings: &Settings, started: &mut Vec<Build>) -> Settings {
    started.push(settings.build);
    Settings { name: u32::try_from(started.len()).unwrap(), ..settings.clone() }
}
