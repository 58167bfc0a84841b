//! The provider's ids of the requests that one answer took, for support cases.

use crate::redaction::presentable;

/// Ids are words, not texts.
const MAX_ID: usize = 100;

/// The ids of the requests of one look-up. Nearly all need one request, so the list of others takes no room for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestIds {
    last: Option<Box<str>>,
    earlier: Option<Box<Earlier>>,
}

/// Of the requests before the last one, in their order; empty where one has no id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Earlier(Vec<Box<str>>);

impl RequestIds {
    pub(crate) fn set_last(&mut self, id: &str) {
        self.last = Some(presentable(id, MAX_ID));
    }

    /// Adds a request that was made before the last one.
    pub(crate) fn add_earlier(&mut self, id: &str) {
        self.earlier.get_or_insert_default().0.push(presentable(id, MAX_ID));
    }

    /// Notes a request that followed the last one.
    #[cfg(feature = "stripe")]
    pub(crate) fn follow(&mut self, id: Option<&str>) {
        let before = self.last.take().unwrap_or_default();
        self.earlier.get_or_insert_default().0.push(before);
        self.last = id.map(|id| presentable(id, MAX_ID));
    }

    pub(crate) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.earlier().len().saturating_add(1)
    }

    /// Those that are known, in the order of the requests.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.all().filter(|id| !id.is_empty())
    }

    /// One for each request, empty where it has none.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.earlier().iter().map(|id| &**id).chain([self.last.as_deref().unwrap_or_default()])
    }

    fn earlier(&self) -> &[Box<str>] {
        self.earlier.as_ref().map_or(&[], |earlier| &earlier.0)
    }
}
