//! Where a workload keeps its keys: a prefix at the datastore, or ConfigMaps in a namespace of the API.

mod api;
mod direct;
mod value;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use fixtures::etcd::client::Lease;
use reports::history::{Answer, Key, Level, Listing, Request, Revision};

use crate::scenario::ScenarioContext;

pub use watch::WatchStream;

/// The longest text of the server's that goes into a history.
const LONGEST_REASON: usize = 200;
/// How long one request may take, unless a workload says otherwise; stretched for servers that run slower.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a store cannot be had here: a sentence for the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// Why something other than a request of the workload failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The revision asked for is compacted away.
    #[error("failed to read at a revision that is compacted")]
    Compacted,
    /// The server does not offer this.
    #[error("failed to ask for what this server does not offer: {0}")]
    Unsupported(String),
    /// Anything else, in the server's or the transport's words.
    #[error("{0}")]
    Failed(String),
}

/// A prefix, or a namespace with ConfigMaps, of a scenario's own. Cheap to clone; clones share a connection.
#[derive(Clone)]
pub struct Store {
    surface: Surface,
    deadline: Duration,
}

#[derive(Clone)]
enum Surface {
    Direct(Arc<direct::Direct>),
    Api(Arc<api::ConfigMaps>),
}

impl Store {
    /// Opens an empty store named after `purpose`.
    ///
    /// # Errors
    /// A sentence, when this level cannot be reached here.
    pub async fn open(
        cx: &ScenarioContext<'_>,
        level: Level,
        purpose: &str,
    ) -> Result<Self, Unreachable> {
        let surface = match level {
            Level::Datastore => Surface::Direct(Arc::new(direct::Direct::open(cx, purpose).await?)),
            Level::Api => Surface::Api(Arc::new(api::ConfigMaps::open(cx, purpose).await?)),
        };
        Ok(Self {
            surface,
            deadline: DEADLINE * cx.patience,
        })
    }

    /// A prefix at a datastore that no scenario stands behind: for tests and benches.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn at(
        access: crate::distribution::DatastoreAccess,
        prefix: &str,
    ) -> Result<Self, Unreachable> {
        let direct = direct::Direct::at(access, prefix).await?;
        Ok(Self {
            surface: Surface::Direct(Arc::new(direct)),
            deadline: DEADLINE,
        })
    }

    /// The same with another deadline of requests.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The same over a connection of its own. A connection belongs to the runtime in which it was made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn another_connection(&self) -> Result<Self, Unreachable> {
        let surface = match &self.surface {
            Surface::Direct(direct) => Surface::Direct(Arc::new(direct.again().await?)),
            Surface::Api(api) => Surface::Api(Arc::new(api.again().await?)),
        };
        Ok(Self {
            surface,
            deadline: self.deadline,
        })
    }

    /// How the server is spoken to.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.surface {
            Surface::Direct(_) => Level::Datastore,
            Surface::Api(_) => Level::Api,
        }
    }

    /// What a key is called there. Names have one length, so that their order is that of the numbers.
    #[must_use]
    pub fn key_name(&self, key: Key) -> String {
        match &self.surface {
            Surface::Direct(direct) => direct.name(key),
            Surface::Api(_) => name(key),
        }
    }

    /// The names of keys 0 to `count`, for a history's header.
    #[must_use]
    pub fn key_names(&self, count: u32) -> Vec<String> {
        (0..count).map(|key| self.key_name(key)).collect()
    }

    /// Sends one request. What goes wrong is an [`Answer`] too: refused only where the server surely did nothing.
    /// A write's value has `bytes` bytes.
    pub async fn send(&self, key: Key, request: Request, bytes: usize) -> Answer {
        self.send_leased(key, request, bytes, 0).await
    }

    /// The same with a lease (see [`Store::grant`]) on what is written; through the API there are none.
    pub async fn send_leased(
        &self,
        key: Key,
        request: Request,
        bytes: usize,
        lease: i64,
    ) -> Answer {
        let answered = async {
            match &self.surface {
                Surface::Direct(direct) => direct.send(key, request, bytes, lease).await,
                Surface::Api(api) => api.send(key, request, bytes).await,
            }
        };
        let late = |_| Answer::Unknown {
            reason: format!("no answer within {:?}", self.deadline),
        };
        tokio::time::timeout(self.deadline, answered)
            .await
            .unwrap_or_else(late)
    }

    /// Asks for the first page of the list, of at most `limit` keys, and gives how many came.
    ///
    /// # Errors
    /// When it was not answered.
    pub async fn first_page(&self, limit: u32) -> Result<usize, LoadError> {
        let answered = async {
            match &self.surface {
                Surface::Direct(direct) => direct.first_page(limit).await,
                Surface::Api(api) => api.first_page(limit).await,
            }
        };
        let late = |_| {
            LoadError::Failed(format!(
                "failed to list: no answer within {:?}",
                self.deadline
            ))
        };
        tokio::time::timeout(self.deadline, answered)
            .await
            .map_err(late)?
    }

    /// Lists all keys in pages of `limit` (0: in one piece), as they are now or were at `asked`. Client and times are
    /// the caller's to fill in.
    ///
    /// # Errors
    /// When a page was not answered.
    pub async fn list(&self, limit: u32, asked: Option<Revision>) -> Result<Listing, LoadError> {
        match &self.surface {
            Surface::Direct(direct) => direct.list(limit, asked).await,
            Surface::Api(api) => api.list(limit, asked).await,
        }
    }

    /// Follows all keys from a revision on (inclusive; at least 1). When this returns, the server has confirmed it,
    /// and the first thing in the stream says so. The last is [`reports::history::WatchedKind::Ended`] or an error.
    ///
    /// # Errors
    /// When it was not opened.
    pub async fn watch(&self, from: Revision) -> Result<WatchStream, LoadError> {
        match &self.surface {
            Surface::Direct(direct) => direct.watch(from).await,
            Surface::Api(api) => api.watch(from).await,
        }
    }

    /// The present revision of the server.
    ///
    /// # Errors
    /// When it was not told.
    pub async fn revision(&self) -> Result<Revision, LoadError> {
        match &self.surface {
            Surface::Direct(direct) => direct.revision().await,
            Surface::Api(api) => api.revision().await,
        }
    }

    /// Creates a lease and gives its id.
    ///
    /// # Errors
    /// Through the API, where there are none; or when it was not granted.
    pub async fn grant(&self, ttl_seconds: i64) -> Result<i64, LoadError> {
        Ok(self.direct("a lease")?.grant(ttl_seconds).await?)
    }

    /// The same with the time that was granted, which may be longer than was asked for.
    ///
    /// # Errors
    /// As [`Store::grant`].
    pub async fn lease(&self, ttl_seconds: i64) -> Result<Lease, LoadError> {
        Ok(self.direct("a lease")?.lease(ttl_seconds).await?)
    }

    /// Asks the datastore to forget what was superseded before a revision. kine answers and does nothing.
    ///
    /// # Errors
    /// Through the API, where nobody may; or when it was refused.
    pub async fn compact(&self, revision: Revision) -> Result<(), LoadError> {
        Ok(self.direct("a compaction")?.compact(revision).await?)
    }

    fn direct(&self, what: &str) -> Result<&fixtures::etcd::client::Client, LoadError> {
        match &self.surface {
            Surface::Direct(direct) => Ok(direct.client()),
            Surface::Api(_) => Err(LoadError::Unsupported(format!(
                "{what} through the Kubernetes API"
            ))),
        }
    }

    /// Removes every key.
    ///
    /// # Errors
    /// When something could not be removed.
    pub async fn clear(&self) -> anyhow::Result<()> {
        match &self.surface {
            Surface::Direct(direct) => direct.clear().await,
            Surface::Api(api) => api.clear().await,
        }
    }

    /// Removes the store with all that is in it. A namespace's end is not awaited: the cluster is the run's own.
    ///
    /// # Errors
    /// When it was not removed.
    pub async fn close(&self) -> anyhow::Result<()> {
        match &self.surface {
            Surface::Direct(direct) => direct.clear().await,
            Surface::Api(api) => api.remove().await,
        }
    }
}

/// What a key is called within its store.
fn name(key: Key) -> String {
    format!("k{key:010}")
}

/// The key of a name, if it is exactly one that [`name`] gives.
fn number(text: &str) -> Option<Key> {
    let digits = text.strip_prefix('k')?;
    let plain = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// A server's words, capped and made harmless.
fn capped(text: &str) -> String {
    let tamed = crate::text::tame(text);
    tamed.chars().take(LONGEST_REASON).collect()
}

/// Whether a server's words say that a write was not made, although its status does not: SQLite refuses a busy
/// database before it has changed anything.
fn says_nothing_was_done(words: &str) -> bool {
    words.contains("database is locked") || words.contains("database table is locked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers_and_strangers_have_none() {
        assert!(name(9) < name(10) && name(99_999) < name(u32::MAX));
        for key in [0, 1, 4_000_000_000] {
            assert_eq!(number(&name(key)), Some(key));
        }
        for stranger in [
            "",
            "k1",
            "k+000000001",
            "x0000000001",
            "k9999999999",
            "k00000000011",
        ] {
            assert_eq!(number(stranger), None, "{stranger}");
        }
    }
}
