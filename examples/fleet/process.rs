//! A process of the fleet, as the parent sees it: started, asked, killed.

use std::collections::HashMap;
use std::error::Error;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};

use crate::service::{Numbered, Reply, Request, SETTINGS, Settings};

/// The process died before it answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// It is killed when the last clone is dropped, and ends by itself when the parent does.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    child: Arc<Mutex<Child>>,
    to: mpsc::UnboundedSender<String>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    is_gone: bool,
    answers: HashMap<u64, oneshot::Sender<Reply>>,
}

impl Process {
    /// Starts this very program again, as a service.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(SETTINGS, serde_json::to_string(settings)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the process has no input or output".into());
        };
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let heard = Arc::clone(&waiting);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
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
        Ok(Self { child: Arc::new(Mutex::new(child)), to, waiting })
    }

    /// Asks, and waits for the answer, which may be that the process died.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Gone> {
        let (asker, answer) = oneshot::channel();
        let number = {
            let mut waiting = lock(&self.waiting);
            if waiting.is_gone {
                return Err(Gone);
            }
            waiting.last = waiting.last.wrapping_add(1);
            let number = waiting.last;
            waiting.answers.insert(number, asker);
            number
        };
        let line = serde_json::to_string(&Numbered { number, what: request }).map_err(|_| Gone)?;
        self.to.send(line + "\n").map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// As a power failure does: nothing it holds is given back.
    pub(crate) fn kill(&self) {
        let _ = lock(&self.child).start_kill();
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
