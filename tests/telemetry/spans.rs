//! The spans, events and numbers of a validator, by the names the crate's docs list.
#![cfg(feature = "test-util")]
#![expect(clippy::arithmetic_side_effects, reason = "the numbers are literals of this file; a slip fails the test")]

#[cfg(feature = "cache")]
mod loads;
mod rights;
mod stats;
mod validations;

use std::collections::BTreeMap;
use std::fmt;

use payproof::testing::ScriptedProvider;
use payproof::{Jitter, Retry, Validator};
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Level, Metadata};

type Fields = BTreeMap<&'static str, String>;

#[derive(Clone, Debug)]
struct SpanSeen {
    id: Id,
    name: &'static str,
    level: Level,
    declared: Vec<&'static str>,
    fields: Fields,
    parent: Option<Id>,
    follows: Vec<Id>,
    closed: bool,
}

#[derive(Clone, Debug)]
struct EventSeen {
    name: &'static str,
    level: Level,
    target: &'static str,
    message: String,
    fields: Fields,
    span: Option<Id>,
}

#[derive(Debug, Default)]
struct Seen {
    spans: Vec<SpanSeen>,
    events: Vec<EventSeen>,
}

struct Read<'f>(&'f mut Fields);

impl Visit for Read<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("payproof::")
}

fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

#[expect(clippy::unwrap_used, reason = "the settings are valid")]
fn validator(provider: &ScriptedProvider) -> Validator {
    let retry = Retry::new().jitter(Jitter::None);
    Validator::builder(provider.clone()).retry(retry).build().unwrap()
}
