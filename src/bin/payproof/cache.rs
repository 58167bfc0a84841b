//! What a cache holds of a key, and what is forgotten by hand.

use std::time::Duration;

use clap::{ArgAction, ArgGroup, Subcommand};
use payproof::cache::{Cache, CacheKey, Cached, Hit, KeyParts, Space, Tag, Tenant, ttl};
use serde_json::{Value, json};

use crate::output::{millis, note, plain, print, shown};
use crate::settings::CacheArgs;
use crate::status::Status;
use crate::trouble::Trouble;

/// Kept for as long as any space may serve a stale value, so that what is kept for that is shown.
const STALE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A service may load for longer than the default; what it began before is void for this long.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Look at what a cache holds, and have it forgotten
#[derive(Debug, clap::Args)]
pub(crate) struct CacheCommandArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Show what the store holds of a key; the value only with --show-value
    ///
    /// Exit status: 0 something is kept, 1 nothing is, 2 could not tell.
    Peek(PeekArgs),
    /// Have values forgotten, in all processes
    ///
    /// Processes that have a value in memory may serve it for as long as the space's memory_for says, 1 s unless set.
    Invalidate(InvalidateArgs),
}

#[derive(Debug, clap::Args)]
struct PeekArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Print the value too, which may be a secret of its owner's
    #[arg(long)]
    show_value: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cache: CacheArgs,
}

/// A key, as the service names its parts.
#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// The name of the space
    #[arg(value_parser = space)]
    space: String,
    /// The version of the space
    version: u32,
    /// The parts of the key in their order, a tenant first; a number as its digits, a bool as 0 or 1
    #[arg(required = true, value_name = "PART")]
    parts: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true))]
struct InvalidateArgs {
    /// What has a tag of the service's own, by its kind and what it is about: user 7
    #[arg(long, action = ArgAction::Set, num_args = 2, value_names = ["KIND", "ABOUT"], group = "what")]
    tag: Option<Vec<String>>,
    /// What belongs to a tenant
    #[arg(long, value_name = "ID", group = "what")]
    tenant: Option<String>,
    /// A whole space, in each of its versions
    #[arg(long, value_name = "NAME", value_parser = space, group = "what")]
    space: Option<String>,
    /// Everything in this cache
    #[arg(long, group = "what")]
    all: bool,
    /// One key: the name of its space, the version, and its parts
    #[arg(long, action = ArgAction::Set, num_args = 3.., value_names = ["SPACE", "VERSION", "PART"], group = "what")]
    key: Option<Vec<String>>,
    #[command(flatten)]
    cache: CacheArgs,
}

/// A key by its parts, whatever its type in the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts(Vec<String>);

impl CacheKey for Parts {
    fn parts(&self, parts: &mut KeyParts) {
        for part in &self.0 {
            parts.text(part);
        }
    }
}

/// A space as operators name it. Its values are JSON, whatever they are in the service.
fn opened(cache: &Cache, name: &str, version: u32) -> Result<Cached<Parts, Value>, Trouble> {
    let space = Space::global(String::leak(name.to_owned()), ttl::DAY).version(version);
    Ok(cache.space(space.stale_if_error(STALE).load_timeout(LOAD_TIMEOUT))?)
}

/// The name of a space, by the rule that the library has for it.
fn space(name: &str) -> Result<String, String> {
    let is_plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    let is_name = is_plain && (1..=48).contains(&name.len());
    is_name.then(|| name.to_owned()).ok_or_else(|| "must be 1 to 48 of a-z, 0-9, `_` and `-`".to_owned())
}

pub(crate) async fn run(args: CacheCommandArgs) -> Result<Status, Trouble> {
    match args.command {
        CacheCommand::Peek(args) => peek(args).await,
        CacheCommand::Invalidate(args) => invalidate(args).await,
    }
}

async fn peek(args: PeekArgs) -> Result<Status, Trouble> {
    let KeyArgs { space, version, parts } = args.key;
    let cache = args.cache.open()?;
    let kept = opened(&cache, &space, version)?.peek(&Parts(parts)).await?;
    let value = kept.as_deref().filter(|_| args.show_value);
    print(&if args.json { as_json(kept.as_ref(), value) } else { as_text(kept.as_ref(), value) })?;
    Ok(if kept.is_some() { Status::Fine } else { Status::NotFine })
}

fn as_json(kept: Option<&Hit<Value>>, value: Option<&Value>) -> String {
    let kept = kept.map(|hit| {
        let mut kept = json!({
            "age_ms": millis(hit.age()),
            "fresh_for_ms": millis(hit.fresh_for()),
            "is_stale": hit.is_stale(),
            "origin": hit.origin(),
        });
        if let (Some(value), Some(kept)) = (value, kept.as_object_mut()) {
            kept.insert("value".to_owned(), value.clone());
        }
        kept
    });
    format!("{}\n", json!({ "kept": kept }))
}

fn as_text(kept: Option<&Hit<Value>>, value: Option<&Value>) -> String {
    let Some(hit) = kept else { return "Kept:  nothing; the next call loads it\n".to_owned() };
    let left =
        if hit.is_stale() { "past its life".to_owned() } else { format!("fresh for {} more", shown(hit.fresh_for())) };
    let value = value.map(|value| format!("Value: {}\n", plain(&value.to_string()))).unwrap_or_default();
    format!("Kept:  {} old, {left}\nFrom:  {}\n{value}", shown(hit.age()), plain(hit.origin()))
}

async fn invalidate(args: InvalidateArgs) -> Result<Status, Trouble> {
    let cache = args.cache.open()?;
    // What a tag is about, and who a tenant is, may be a customer's: logs that keep this line are not to hold it.
    let (what, tag) = match (args.tag.as_deref(), args.tenant, args.space, args.key) {
        (Some([kind, about]), ..) => (format!("what has one tag of the kind {kind}"), Tag::new(kind, about)),
        (_, Some(tenant), ..) => ("what belongs to one tenant".to_owned(), Tag::tenant(&Tenant::new(tenant))),
        (_, _, Some(space), _) => {
            let of = Space::<Parts, Value>::global(String::leak(space.clone()), ttl::DAY);
            (format!("the space {space}"), Tag::space(of))
        }
        (_, _, _, Some(key)) => return invalidate_key(&cache, key).await,
        _ if args.all => ("everything".to_owned(), Tag::all()),
        _ => return Err(Trouble::new("name one thing to forget: --tag KIND ABOUT, --tenant, --space, --key or --all")),
    };
    cache.invalidate(&tag).await?;
    changed(&what);
    Ok(Status::Fine)
}

async fn invalidate_key(cache: &Cache, key: Vec<String>) -> Result<Status, Trouble> {
    let mut key = key.into_iter();
    let name = key.next().unwrap_or_default();
    let name = space(&name).map_err(|rule| Trouble::new(format!("SPACE {rule}")))?;
    let version = key.next().and_then(|version| version.parse().ok());
    let version = version.ok_or_else(|| Trouble::new("VERSION must be the number of the space's version"))?;
    opened(cache, &name, version)?.invalidate(&Parts(key.collect())).await?;
    changed(&format!("one key of the space {name}"));
    Ok(Status::Fine)
}

fn changed(what: &str) {
    note(&Trouble::new(format!("changed: the cache has forgotten {what}; the store has confirmed")));
}
