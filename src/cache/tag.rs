//! What many entries are invalidated by at once.

use std::fmt;

use crate::accessors::partial_debug;
use crate::intent::fingerprint::Fingerprint;

use super::error::CacheError;
use super::tenant::Tenant;

/// The longest kind of a tag, and the longest text that it is about.
const MOST_BYTES: usize = 255;

/// The most tags that a key or a value may have: each is a record that is read with the entry.
const MOST_TAGS: usize = 16;

/// What many entries are invalidated by at once: a tag of the service's own, a tenant, a space, or all.
///
/// [`Cache::invalidate`](super::Cache::invalidate) costs the same however many entries it reaches.
#[derive(Clone, PartialEq, Eq)]
pub struct Tag {
    of: &'static str,
    text: String,
}

impl Tag {
    /// A tag of the service's own: what entries with [`tags.add(kind, about)`](super::Tags::add) are invalidated by.
    ///
    /// It spans tenants: `Tag::new("user", 7)` is user 7 of every tenant. Where ids are a tenant's own, put the tenant into what
    /// it is about.
    pub fn new(kind: &str, about: impl fmt::Display) -> Self {
        // The kind's length parts the two.
        Self { of: "tag", text: format!("{}:{kind}:{about}", kind.len()) }
    }

    /// All entries of a tenant, in every space whose keys name it by [`For`](super::For).
    #[must_use]
    pub fn tenant(tenant: &Tenant) -> Self {
        Self { of: "tenant", text: tenant.as_str().to_owned() }
    }

    pub(super) fn space_named(name: &str) -> Self {
        Self { of: "space", text: name.to_owned() }
    }

    /// All entries of the cache.
    #[must_use]
    pub fn all() -> Self {
        Self { of: "all", text: String::from("all") }
    }

    /// What it is known by in a cache, before that adds whose it is.
    pub(super) fn digest(&self) -> Result<Fingerprint, CacheError> {
        if (1..=MOST_BYTES).contains(&self.text.len()) {
            return Ok(Fingerprint::of(self.of, [Some(self.text.as_bytes())]));
        }
        Err(CacheError::InvalidKey { rule: "must name a tenant, and tags, by 1 to 255 bytes" })
    }
}

// Tenants and ids stand in no log.
partial_debug!(Tag, self => of: self.of);

/// What an entry can be invalidated by beside its key.
#[derive(Debug, Default)]
pub struct Tags {
    digests: Vec<Fingerprint>,
    is_refused: bool,
}

impl Tags {
    /// Adds a tag, by its kind and what it is about: [`Tag::new`] with the same two invalidates the entry.
    pub fn add(&mut self, kind: &str, about: impl fmt::Display) -> &mut Self {
        self.push(&Tag::new(kind, about))
    }

    /// Adds the tag of a tenant. Keys made with [`For`](super::For) have it.
    pub fn tenant(&mut self, tenant: &Tenant) -> &mut Self {
        self.push(&Tag::tenant(tenant))
    }

    fn push(&mut self, tag: &Tag) -> &mut Self {
        match tag.digest() {
            Ok(digest) if self.digests.contains(&digest) => {}
            Ok(digest) if self.digests.len() < MOST_TAGS => self.digests.push(digest),
            _ => self.is_refused = true,
        }
        self
    }

    /// What was added, if all of it may be.
    pub(super) fn digests(self) -> Result<Vec<Fingerprint>, CacheError> {
        if self.is_refused {
            return Err(CacheError::InvalidKey {
                rule: "must have at most 16 tags, each with a kind of 1 to 64 bytes",
            });
        }
        Ok(self.digests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_other_kinds_never_equal_each_other() {
        let tags = [
            Tag::new("a:b", "c"),
            Tag::new("a", "b:c"),
            Tag::tenant(&Tenant::new("all")),
            Tag::space_named("all"),
            Tag::all(),
        ];
        let digests: Vec<_> = tags.iter().map(|tag| tag.digest().unwrap()).collect();
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "{at}");
        }
        assert!(Tag::tenant(&Tenant::new("")).digest().is_err(), "a tenant that is not there owns nothing");
    }
}
