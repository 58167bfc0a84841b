//! The commands, as Redis runs them.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::keyspace::Keyspace;
use super::record_script;

/// What a command returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Ok,
    Integer(i64),
    Text(Vec<u8>),
    List(Vec<Value>),
}

/// What a command says when it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed(pub(super) String);

impl Failed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Everything that commands work on.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) keys: Keyspace,
    /// Digests of the scripts that are kept.
    pub(super) scripts: HashSet<String>,
    pub(super) refuses_flags: bool,
    /// Commands that do not exist here, in capitals.
    pub(super) lacks: HashSet<String>,
    pub(super) info: String,
    pub(super) clock_ahead: Duration,
}

/// Commands that a read-only token may not run.
const WRITES: [&str; 5] = ["SET", "DEL", "EVAL", "EVALSHA", "SCRIPT"];
const KNOWN: [&str; 6] = ["GET", "PTTL", "PING", "TIME", "INFO", "ECHO"];

impl Database {
    /// Whether there is such a command, and whether this token may run it. Checked before a transaction begins.
    pub(super) fn admits(&self, command: &[String], may_write: bool) -> Result<(), Failed> {
        let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let is_write = WRITES.contains(&&*name);
        if self.lacks.contains(&name) || !(is_write || KNOWN.contains(&&*name)) {
            let first = command.get(1).map(|first| format!("'{first}' ")).unwrap_or_default();
            return Err(Failed(format!("ERR unknown command '{name}', with args beginning with: {first}")));
        }
        if is_write && !may_write {
            let name = name.to_ascii_lowercase();
            return Err(Failed(format!(
                "NOPERM this user has no permissions to run the '{name}' command or its subcommand"
            )));
        }
        Ok(())
    }

    pub(super) fn run(&mut self, command: &[String], may_write: bool) -> Result<Value, Failed> {
        self.admits(command, may_write)?;
        let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let arguments: Vec<&str> = command.iter().skip(1).map(String::as_str).collect();
        match (&*name, &*arguments) {
            ("GET", [key]) => Ok(self.keys.get(key).map_or(Value::Null, |value| Value::Text(value.to_vec()))),
            ("PTTL", [key]) => Ok(Value::Integer(self.keys.pttl(key))),
            ("SET", [key, value, options @ ..]) => self.set(key, value, options),
            ("DEL", [_, ..]) => {
                let removed = arguments.iter().filter(|key| self.keys.remove(key)).count();
                Ok(Value::Integer(i64::try_from(removed).unwrap_or(i64::MAX)))
            }
            ("PING", []) => Ok(Value::Text(b"PONG".to_vec())),
            ("PING" | "ECHO", [text]) => Ok(Value::Text(text.as_bytes().to_vec())),
            ("TIME", []) => Ok(self.time()),
            ("INFO", _) => Ok(Value::Text(self.info.clone().into_bytes())),
            ("EVAL", [text, count, rest @ ..]) => {
                let digest = self.load(text)?;
                let (names, rest) = split(count, rest)?;
                record_script::run(&mut self.keys, names, rest).inspect(|_| {
                    self.scripts.insert(digest);
                })
            }
            ("EVALSHA", [digest, count, rest @ ..]) => {
                if !self.scripts.contains(*digest) {
                    return Err(Failed::new("NOSCRIPT No matching script. Please use EVAL."));
                }
                let (names, rest) = split(count, rest)?;
                record_script::run(&mut self.keys, names, rest)
            }
            ("SCRIPT", [action, rest @ ..]) => self.script(action, rest),
            _ => Err(Failed(format!("ERR wrong number of arguments for '{}' command", name.to_ascii_lowercase()))),
        }
    }

    fn set(&mut self, key: &str, value: &str, options: &[&str]) -> Result<Value, Failed> {
        let (mut ttl, mut absent, mut present, mut wants_old) = (None, false, false, false);
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match &*option.to_ascii_uppercase() {
                "NX" => absent = true,
                "XX" => present = true,
                "GET" => wants_old = true,
                unit @ ("PX" | "EX") => {
                    let count: u64 = options.next().and_then(|count| count.parse().ok()).unwrap_or(0);
                    let millis = count.saturating_mul(if unit == "EX" { 1000 } else { 1 });
                    if millis == 0 {
                        return Err(Failed::new("ERR invalid expire time in 'set' command"));
                    }
                    ttl = Some(Duration::from_millis(millis));
                }
                _ => return Err(Failed::new("ERR syntax error")),
            }
        }
        if absent && present {
            return Err(Failed::new("ERR syntax error"));
        }
        let old = self.keys.get(key).map(<[u8]>::to_vec);
        let writes = if old.is_some() { !absent } else { !present };
        if writes {
            self.keys.set(key, value.as_bytes(), ttl);
        }
        Ok(match old {
            Some(old) if wants_old => Value::Text(old),
            _ if writes && !wants_old => Value::Ok,
            _ => Value::Null,
        })
    }

    /// Checks a script and returns its digest.
    fn load(&self, text: &str) -> Result<String, Failed> {
        if self.refuses_flags && text.starts_with("#!lua flags=allow-key-locking") {
            return Err(Failed::new("ERR Unexpected flag in script shebang: allow-key-locking"));
        }
        let unknown = || Failed::new("ERR this stand-in runs the script of payproof's own stores, and no other");
        record_script::digest_of(text).map(str::to_owned).ok_or_else(unknown)
    }

    fn script(&mut self, action: &str, arguments: &[&str]) -> Result<Value, Failed> {
        match (&*action.to_ascii_uppercase(), arguments) {
            ("LOAD", [text]) => {
                let digest = self.load(text)?;
                self.scripts.insert(digest.clone());
                Ok(Value::Text(digest.into_bytes()))
            }
            ("EXISTS", digests) => {
                let known = digests.iter().map(|digest| Value::Integer(i64::from(self.scripts.contains(*digest))));
                Ok(Value::List(known.collect()))
            }
            ("FLUSH", _) => {
                self.scripts.clear();
                Ok(Value::Ok)
            }
            _ => Err(Failed::new("ERR unknown subcommand of 'script'")),
        }
    }

    fn time(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(self.clock_ahead);
        let text = |number: String| Value::Text(number.into_bytes());
        Value::List(vec![text(now.as_secs().to_string()), text(now.subsec_micros().to_string())])
    }
}

/// The keys of a script, and its other arguments.
fn split<'a, 's>(count: &str, rest: &'a [&'s str]) -> Result<(&'a [&'s str], &'a [&'s str]), Failed> {
    let count = count.parse().ok().and_then(|count| rest.split_at_checked(count));
    count.ok_or_else(|| Failed::new("ERR Number of keys can't be greater than number of args"))
}
