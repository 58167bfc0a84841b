//! The repository: what the service asks for, each answered by a space of the cache with the database behind it.

use payproof::cache::{Cache, CacheStats, For, Loads, Space, Tag, Tags, Tenant, ttl};
use payproof::store::RedisStore;
use tokio::time::Instant;

use crate::Failure;
use crate::database::{Dashboard, Database, Permissions, Rules, Session};
use crate::journal::Read;

/// Half an hour. That there is no session is a value too, of ten seconds.
const SESSIONS: Space<For<String>, Option<Session>> = Space::per_tenant("session", ttl::LONG).tagged(of_user);

/// An hour. A rule of yesterday is better than none while the database is down.
const RULES: Space<String, Rules> = Space::global("compliance_rule", ttl::HOUR).stale_if_error(ttl::DAY);

/// Half an hour, and nothing from memory that the store did not confirm within the second, be the store down or not.
const PERMISSIONS: Space<For<u32>, Permissions> = Space::per_tenant("permission", ttl::LONG);

/// Five minutes, and for one more it is served as it was while it is computed anew.
const DASHBOARDS: Space<For<&'static str>, Dashboard> =
    Space::per_tenant("dashboard", ttl::MEDIUM).stale_while_revalidate(ttl::SHORT);

/// Each session of a user ends with the user's tag, whatever its key is.
#[allow(clippy::ref_option, reason = "it is given the value as the space has it")]
fn of_user(session: &Option<Session>, tags: &mut Tags) {
    if let Some(session) = session {
        tags.add("user", session.user);
    }
}

/// Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    database: Database,
    cache: Cache,
    sessions: Loads<For<String>, Option<Session>>,
    rules: Loads<String, Rules>,
    permissions: Loads<For<u32>, Permissions>,
    dashboards: Loads<For<&'static str>, Dashboard>,
}

impl Repository {
    pub(crate) fn new(database: Database, store: RedisStore) -> Result<Self, Failure> {
        let cache = Cache::builder(store).namespace("shop").build()?;
        let db = || database.clone();
        let sessions = {
            let db = db();
            cache.space(SESSIONS)?.loads(move |key: For<String>| {
                let db = db.clone();
                async move { db.session(key.tenant().as_str().into(), key.key().clone()).await }
            })
        };
        let rules = {
            let db = db();
            cache.space(RULES)?.loads(move |region: String| {
                let db = db.clone();
                async move { db.rules(region).await }
            })
        };
        let permissions = {
            let db = db();
            cache.space(PERMISSIONS)?.loads(move |key: For<u32>| {
                let db = db.clone();
                async move { db.permissions(key.tenant().as_str().into(), *key.key()).await }
            })
        };
        let dashboards = {
            let db = db();
            cache.space(DASHBOARDS)?.loads(move |key: For<&'static str>| {
                let db = db.clone();
                async move { db.dashboard(key.tenant().as_str().into()).await }
            })
        };
        Ok(Self { database, cache, sessions, rules, permissions, dashboards })
    }

    pub(crate) async fn session(&self, tenant: &Tenant, token: &str) -> Result<Read<Option<Session>>, Failure> {
        let begun = Instant::now();
        Ok(Read::new(self.sessions.get(&For::new(tenant, token.to_owned())).await?, begun))
    }

    pub(crate) async fn rules(&self, region: &str) -> Result<Read<Rules>, Failure> {
        let begun = Instant::now();
        Ok(Read::new(self.rules.get(&region.to_owned()).await?, begun))
    }

    pub(crate) async fn permissions(&self, tenant: &Tenant, user: u32) -> Result<Read<Permissions>, Failure> {
        let begun = Instant::now();
        Ok(Read::new(self.permissions.get(&For::new(tenant, user)).await?, begun))
    }

    pub(crate) async fn dashboard(&self, tenant: &Tenant) -> Result<Read<Dashboard>, Failure> {
        let begun = Instant::now();
        Ok(Read::new(self.dashboards.get(&For::new(tenant, "today")).await?, begun))
    }

    /// Takes a right away. Invalidated after the commit: before it, another call would load the old rights anew.
    pub(crate) async fn revoke(&self, tenant: &Tenant, user: u32, right: &'static str) -> Result<(), Failure> {
        self.database.revoke(tenant.as_str().into(), user, right).await?;
        Ok(self.permissions.invalidate(&For::new(tenant, user)).await?)
    }

    /// Ends each session of a user.
    pub(crate) async fn sign_out(&self, user: u32) -> Result<(), Failure> {
        self.database.sign_out(user).await?;
        Ok(self.cache.invalidate(&Tag::new("user", user)).await?)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        self.cache.stats()
    }
}
