//! The merchant's own key-value pairs, as a provider keeps them.

use std::ops::Deref;

/// The values under a key; an empty one counts as absent.
pub(crate) fn stated_under<'m, T: Deref<Target = str>>(
    metadata: &'m [(T, T)],
    key: &str,
) -> impl Iterator<Item = &'m str> {
    let named = metadata.iter().filter(move |(name, value)| **name == *key && !value.is_empty());
    named.map(|(_, value)| &**value)
}

/// What several statements of one thing come to: the first one that differs from ours, or else the first.
pub(crate) fn agreed<'a>(mut values: impl Iterator<Item = &'a str>, ours: Option<&str>) -> Option<&'a str> {
    let first = values.next()?;
    if ours == Some(first) { values.find(|value| ours != Some(value)).or(Some(first)) } else { Some(first) }
}
