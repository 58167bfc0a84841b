//! What a server's refusal means: how far the call got, and what to do about it.

use ::redis::ServerError;

use crate::store::StoreError;

/// What to do about an error reply, before it is handed on. Each of them says that nothing was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing: hand it on.
    None,
    /// The script is not known there: send its text.
    SendScript,
    /// Another node serves the key from now on.
    Moved(Box<str>),
    /// Another node serves the key this once.
    Ask(Box<str>),
    /// The server is no primary, or does not know who is: look again.
    Reroute,
}

/// An error reply: nothing was executed.
#[derive(Clone, Debug)]
pub(super) struct RedisRefusal {
    code: Box<str>,
    detail: Box<str>,
}

impl RedisRefusal {
    /// Reads an error reply: a code, and what the server has to say.
    pub(super) fn of(error: &ServerError) -> Self {
        let (code, detail) = (error.code(), error.details().unwrap_or_default());
        // An error within a script comes wrapped on servers before 7.0: `ERR Error running script (…): @user_script:1: OOM …`.
        let inner = || CODES.into_iter().find(|known| detail.split([' ', '-']).any(|word| word == *known));
        let code = if code == "ERR" { inner().unwrap_or(code) } else { code };
        Self { code: code.into(), detail: detail.into() }
    }

    /// What a replica says to a write.
    pub(super) fn read_only() -> Self {
        Self::with_code("READONLY")
    }

    pub(super) fn with_code(code: &str) -> Self {
        Self { code: code.into(), detail: "".into() }
    }

    pub(super) fn remedy(&self) -> Remedy {
        let target = || self.detail.split_whitespace().nth(1).unwrap_or_default().into();
        match &*self.code {
            "NOSCRIPT" => Remedy::SendScript,
            "MOVED" => Remedy::Moved(target()),
            "ASK" => Remedy::Ask(target()),
            "READONLY" | "CLUSTERDOWN" | "MASTERDOWN" => Remedy::Reroute,
            _ => Remedy::None,
        }
    }

    pub(super) fn code(&self) -> &str {
        &self.code
    }

    pub(super) fn is(&self, code: &str) -> bool {
        &*self.code == code
    }

    /// The error where another server takes over by itself: asking again helps.
    pub(super) fn into_passing(self) -> StoreError {
        match &*self.code {
            "READONLY" => {
                StoreError::not_sent("this Redis server is no primary any more (READONLY); looking for the new one")
            }
            "MOVED" | "ASK" => StoreError::not_sent("the Cluster redirects in circles (MOVED, ASK); look at its nodes"),
            _ => self.into_error(),
        }
    }

    /// The error for the caller.
    ///
    /// Passing states are `not_sent`, since nothing was done and asking again may help; the others are `refused`.
    pub(super) fn into_error(self) -> StoreError {
        let passing = |text: &str| StoreError::not_sent(text);
        let lasting = |text: &str| StoreError::refused(text);
        match &*self.code {
            "NOAUTH" => lasting("Redis asks for a password (NOAUTH); put user and password into the URL"),
            "WRONGPASS" => lasting("Redis refuses the user or the password (WRONGPASS); check both in the URL"),
            "NOPERM" => lasting(
                "Redis denies this user a command or the key (NOPERM); \
                 grant `~payproof:* &payproof:line +multi +exec +get +set +pttl +del +evalsha +eval +info +config|get +time +incrby \
                 +client|tracking +subscribe`",
            ),
            "READONLY" => lasting("this Redis server is a read-only replica (READONLY); connect to the primary"),
            "OOM" => lasting("Redis has no memory left for another record (OOM); raise `maxmemory`"),
            "MISCONF" => lasting("Redis cannot write to its disk and takes no writes (MISCONF); look at its log"),
            "WRONGTYPE" => lasting(
                "a value of another type is stored under the key (WRONGTYPE); \
                 keep other programs away from these keys, or use another database",
            ),
            "MOVED" | "ASK" | "CROSSSLOT" => {
                lasting("this Redis server is part of a Cluster; use `RedisStore::cluster`")
            }
            "LOADING" => passing("Redis is still loading its data (LOADING); try again shortly"),
            "BUSY" => passing("Redis is busy with a script (BUSY); try again shortly"),
            "MASTERDOWN" => passing("the replica has no primary (MASTERDOWN); try again shortly"),
            "CLUSTERDOWN" => passing("the Cluster does not serve this key now (CLUSTERDOWN); look at its nodes"),
            "TRYAGAIN" => passing("the Cluster is moving this key (TRYAGAIN); try again shortly"),
            "NOREPLICAS" => passing("too few replicas are connected (NOREPLICAS); look at `min-replicas-to-write`"),
            _ if self.detail.contains("max number of clients") => {
                passing("Redis has no room for another connection; raise `maxclients`")
            }
            // What follows would be the arguments, keys among them.
            code => lasting(&format!(
                "Redis refuses: {code} {}",
                self.detail.split(", with args").next().unwrap_or_default()
            )),
        }
    }
}

/// The codes that a script passes on.
const CODES: [&str; 6] = ["NOPERM", "READONLY", "OOM", "MISCONF", "WRONGTYPE", "NOREPLICAS"];
