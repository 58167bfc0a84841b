//! Where the servers are and who we are to them: what a URL says, parsed once.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::settings::build_error::BuildError;

const WHAT: &str = "PostgreSQL URL";

/// More servers than this are no primary with its standbys.
const MOST_SERVERS: usize = 8;

/// Finds a dead peer, and keeps middleboxes from forgetting an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What `pg_stat_activity` shows, unless the URL says otherwise.
const APPLICATION_NAME: &str = "payproof";

/// One server of the URL's.
#[derive(Clone)]
pub(super) struct DatabaseServer {
    pub(super) config: Config,
    /// `host:port`, or a socket's folder.
    pub(super) address: Box<str>,
}

/// Parses `postgres://user:password@host:5432/database`, with several hosts in a list, and the parameters of [`FORM`].
pub(super) fn parse(url: &str) -> Result<Vec<DatabaseServer>, BuildError> {
    let wrong = |rule| BuildError::Url { what: WHAT, rule };
    if url.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(wrong("must not contain white space, control characters or #; write # in a password as %23"));
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("must start with postgres:// or postgresql://"));
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let parameters: Option<Vec<String>> = query.split('&').filter(|pair| !pair.is_empty()).map(parameter).collect();
    let parameters = parameters.ok_or_else(|| wrong(PARAMETERS))?;
    let said: Config = format!("{place}?{}", parameters.join("&")).parse().map_err(|_| wrong(FORM))?;
    let (hosts, ports) = (said.get_hosts(), said.get_ports());
    if hosts.is_empty() || hosts.len() > MOST_SERVERS {
        return Err(wrong("must name from 1 to 8 hosts"));
    }
    let one_port = ports.first().copied().unwrap_or(5432);
    let servers = hosts.iter().enumerate().map(|(place, host)| {
        let port = ports.get(place).copied().unwrap_or(one_port);
        DatabaseServer::of(&said, host, port).ok_or_else(|| wrong(FORM))
    });
    servers.collect()
}

/// A parameter that is taken, as the client spells it.
fn parameter(pair: &str) -> Option<String> {
    match pair.split_once('=')? {
        // A certificate is verified in every case.
        ("sslmode", "verify-ca" | "verify-full") => Some("sslmode=require".into()),
        ("application_name" | "channel_binding" | "host" | "sslmode", _) => Some(pair.into()),
        _ => None,
    }
}

impl DatabaseServer {
    fn of(said: &Config, host: &Host, port: u16) -> Option<Self> {
        let mut config = Config::new();
        let address = match host {
            Host::Tcp(name) if name.is_empty() || port == 0 => return None,
            Host::Tcp(name) => {
                config.host(name).ssl_mode(said.get_ssl_mode());
                if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
            }
            #[cfg(unix)]
            Host::Unix(path) => {
                config.host_path(path).ssl_mode(SslMode::Disable);
                path.display().to_string()
            }
        };
        config
            .port(port)
            .application_name(said.get_application_name().unwrap_or(APPLICATION_NAME))
            .channel_binding(said.get_channel_binding())
            .keepalives_idle(KEEPALIVE)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if let Some(user) = said.get_user() {
            config.user(user);
        }
        if let Some(password) = said.get_password() {
            config.password(password);
        }
        if let Some(database) = said.get_dbname() {
            config.dbname(database);
        }
        Some(Self { config, address: address.into() })
    }

    /// Whether it is, or may be, talked to in TLS.
    pub(super) fn may_use_tls(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Disable
    }

    /// Refuses a server without TLS, unless TLS is turned off.
    pub(super) fn require_tls(&mut self) {
        if self.may_use_tls() {
            self.config.ssl_mode(SslMode::Require);
        }
    }
}

const FORM: &str = "must be like postgres://user:password@host:5432/database, with special characters in user and password \
                    percent-encoded, and sslmode one of disable, prefer, require, verify-ca and verify-full";
const PARAMETERS: &str =
    "must not have parameters but sslmode, channel_binding, application_name and host; a pooler refuses others";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom() {
        let servers = parse("postgres://u%40:p%3F@one:5433,[::1],two/shop?sslmode=verify-full").unwrap();
        let addresses: Vec<&str> = servers.iter().map(|server| &*server.address).collect();
        assert_eq!(addresses, ["one:5433", "[::1]:5432", "two:5432"]);
        for server in &servers {
            let config = &server.config;
            assert_eq!(
                (config.get_user(), config.get_password(), config.get_dbname(), config.get_ssl_mode()),
                (Some("u@"), Some(b"p?".as_slice()), Some("shop"), SslMode::Require)
            );
            assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert_eq!((config.get_hosts().len(), config.get_application_name()), (1, Some("payproof")));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_needs_no_tls() {
        for url in ["postgresql:///shop?host=/run/postgresql", "postgres://%2Frun%2Fpostgresql/shop?sslmode=require"] {
            let servers = parse(url).unwrap();
            assert_eq!(servers.len(), 1);
            assert_eq!((&*servers[0].address, servers[0].may_use_tls()), ("/run/postgresql", false), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_a_rule_and_not_repeated() {
        for (url, rule) in [
            ("mysql://secret@host/db", "postgres://"),
            ("host=secret user=u", "white space"),
            ("postgres://u:sec#ret@host/db", "%23"),
            ("postgres:///secret", "hosts"),
            ("postgres://u:secret@/db", "hosts"),
            ("postgres://u:secret@one,,two/db", "must be like"),
            ("postgres://u:secret@host:0/db", "must be like"),
            ("postgres://u:secret@host:port/db", "must be like"),
            ("postgres://u:secret@host/db?sslmode=maybe", "sslmode"),
            ("postgres://u:secret@host/db?options=-csecret", "parameters"),
            ("postgres://u:secret@host/db?target_session_attrs=any", "parameters"),
            ("postgres://u:secret@host/db?sslmode", "parameters"),
            ("postgres://u:secret@a,b,c,d,e,f,g,h,i/db", "8 hosts"),
        ] {
            let Err(error) = parse(url) else { panic!("{url} was taken") };
            let said = error.to_string();
            assert!(said.contains(rule) && !said.contains("secret"), "{url}: {said}");
        }
    }
}
