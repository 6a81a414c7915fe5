//! The datastore itself, by etcd's protocol and only in the shapes of a Kubernetes API server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use fixtures::etcd::client::{Client, Code, EtcdError, KeyValue, Tls, Written};
use futures::{StreamExt, TryStreamExt, stream};
use reports::history::{Answer, Key, Listing, Request, Revision, Version};

use super::{
    LoadError, Unreachable, WatchStream, capped, name, number, says_nothing_was_done, value, watch,
};
use crate::distribution::DatastoreAccess;
use crate::scenario::ScenarioContext;

/// A server writes its certificates as it starts; later than this it is not going to.
const FILES_WITHIN: Duration = Duration::from_secs(30);
/// Keys that are removed at once.
const REMOVED_AT_ONCE: usize = 16;
/// Keys on a page of what is to be removed.
const REMOVED_PAGE: i64 = 1000;

/// A prefix of a datastore.
pub struct Direct {
    client: Client,
    access: DatastoreAccess,
    tls: Option<Tls>,
    prefix: String,
}

impl Direct {
    pub async fn open(cx: &ScenarioContext<'_>, purpose: &str) -> Result<Self, Unreachable> {
        let access = cx.cluster.datastore().map_err(Unreachable)?;
        // The apiserver's own keys lie elsewhere under /registry; none of its watches sees these.
        let own = &uuid::Uuid::new_v4().simple().to_string()[..8];
        let prefix = format!("/registry/assay/{purpose}-{own}/");
        Self::within(access, &prefix, FILES_WITHIN * cx.patience).await
    }

    pub async fn at(access: DatastoreAccess, prefix: &str) -> Result<Self, Unreachable> {
        Self::within(access, prefix, FILES_WITHIN).await
    }

    async fn within(
        access: DatastoreAccess,
        prefix: &str,
        granted: Duration,
    ) -> Result<Self, Unreachable> {
        let tls = tls(&access, granted).await?;
        Ok(Self {
            client: connect(&access, tls.as_ref()).await?,
            access,
            tls,
            prefix: prefix.to_owned(),
        })
    }

    pub async fn again(&self) -> Result<Self, Unreachable> {
        Ok(Self {
            client: connect(&self.access, self.tls.as_ref()).await?,
            access: self.access.clone(),
            tls: self.tls.clone(),
            prefix: self.prefix.clone(),
        })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn name(&self, key: Key) -> String {
        format!("{}{}", self.prefix, name(key))
    }

    pub async fn send(&self, key: Key, request: Request, bytes: usize, lease: i64) -> Answer {
        let name = self.name(key);
        match request {
            Request::Create { value: id } => {
                let value = value::write(id, bytes);
                written(self.client.create(&name, value, lease).await, None)
            }
            Request::Update {
                value: id,
                expected,
            } => {
                let value = value::write(id, bytes);
                let answer = self.client.update(&name, value, expected, lease).await;
                written(answer, Some(expected))
            }
            Request::Delete { expected } => {
                written(self.client.delete(&name, expected).await, Some(expected))
            }
            Request::Get => match self.client.get(&name, 0).await {
                Ok((found, revision)) => Answer::Read {
                    found: found.as_ref().map(version),
                    revision: told(revision),
                },
                Err(error) => failed(error),
            },
        }
    }

    pub async fn first_page(&self, limit: u32) -> Result<usize, LoadError> {
        let page = self
            .client
            .list(&self.prefix, None, i64::from(limit), 0)
            .await?;
        Ok(page.items.len())
    }

    pub async fn list(&self, limit: u32, asked: Option<Revision>) -> Result<Listing, LoadError> {
        let mut listing = Listing {
            client: 0,
            call: 0,
            end: 0,
            asked,
            revision: asked.unwrap_or(0),
            limit,
            pages: 0,
            items: Vec::new(),
            strangers: Vec::new(),
            is_final: false,
        };
        let mut after: Option<String> = None;
        loop {
            let (limit, after_key) = (i64::from(limit), after.as_deref());
            let list = self
                .client
                .list(&self.prefix, after_key, limit, listing.revision);
            let page = list.await?;
            listing.pages += 1;
            if listing.revision == 0 {
                listing.revision = page.revision;
            }
            for item in &page.items {
                match self.number(&item.key) {
                    Some(key) => listing.items.push((key, version(item))),
                    None => listing.strangers.push(capped(&item.key)),
                }
            }
            match page.items.last() {
                Some(last) if page.more => after = Some(last.key.clone()),
                _ => return Ok(listing),
            }
        }
    }

    fn number(&self, name: &str) -> Option<Key> {
        number(name.strip_prefix(&self.prefix)?)
    }

    pub async fn watch(&self, from: Revision) -> Result<WatchStream, LoadError> {
        let watch = self.client.watch(&self.prefix, from).await?;
        Ok(watch::direct(watch, from, self.prefix.clone()))
    }

    pub async fn revision(&self) -> Result<Revision, LoadError> {
        Ok(self.client.revision().await?)
    }

    pub async fn clear(&self) -> anyhow::Result<()> {
        loop {
            let list = self.client.list(&self.prefix, None, REMOVED_PAGE, 0);
            let page = list.await.context("failed to list what is to be removed")?;
            if page.items.is_empty() {
                return Ok(());
            }
            stream::iter(page.items)
                .map(|item| async move { self.client.delete(&item.key, item.mod_revision).await })
                .buffer_unordered(REMOVED_AT_ONCE)
                .try_for_each(|_| async { Ok(()) })
                .await
                .context("failed to remove what the workload left")?;
        }
    }
}

async fn connect(access: &DatastoreAccess, tls: Option<&Tls>) -> Result<Client, Unreachable> {
    Client::connect(&access.url, tls)
        .await
        .map_err(|error| Unreachable(error.to_string()))
}

/// Reads the files, which a server that is only just ready may still be writing.
async fn tls(access: &DatastoreAccess, granted: Duration) -> Result<Option<Tls>, Unreachable> {
    let Some(files) = &access.tls else {
        return Ok(None);
    };
    let read = |path: &Path| fs_err::read_to_string(path).map_err(|error| error.to_string());
    let all = || -> Result<Tls, String> {
        Ok(Tls {
            ca_pem: read(&files.ca)?,
            cert_pem: read(&files.cert)?,
            key_pem: read(&files.key)?,
        })
    };
    let until = Instant::now() + granted;
    loop {
        match all() {
            Ok(tls) => return Ok(Some(tls)),
            Err(why) if Instant::now() >= until => {
                return Err(Unreachable(format!(
                    "the datastore's certificates were not there within {granted:?}: {why}"
                )));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn version(kv: &KeyValue) -> Version {
    Version {
        value: value::read(&kv.value),
        revision: kv.mod_revision,
    }
}

/// kine leaves revisions out of some answers.
fn told(revision: Revision) -> Option<Revision> {
    (revision > 0).then_some(revision)
}

fn written(answer: Result<Written, EtcdError>, expected: Option<Revision>) -> Answer {
    match answer {
        Ok(Written::Done { revision }) => Answer::Written {
            revision: told(revision),
        },
        // kine answers so when its insert failed and the row that it read afterwards is still the one expected.
        Ok(Written::Conflict {
            current: Some(current),
            ..
        }) if Some(current.mod_revision) == expected => Answer::Refused {
            reason: "a conflict with the very revision that was expected".to_owned(),
        },
        Ok(Written::Conflict { current, revision }) => Answer::Conflict {
            current: current.as_ref().map(version),
            revision: told(revision),
        },
        Err(error) => failed(error),
    }
}

/// What an error tells of a write. Timeouts, broken connections and everything that a server says without a reason
/// that rules a write out leave it open.
fn failed(error: EtcdError) -> Answer {
    let surely_not = match &error {
        EtcdError::Connect { .. } | EtcdError::Unreachable(_) | EtcdError::Unsupported(_) => true,
        EtcdError::Rpc { code, message } => {
            let refusal = matches!(
                code,
                Code::InvalidArgument
                    | Code::PermissionDenied
                    | Code::Unauthenticated
                    | Code::ResourceExhausted
            );
            refusal || says_nothing_was_done(message)
        }
        _ => false,
    };
    let reason = capped(&error.to_string());
    if surely_not {
        Answer::Refused { reason }
    } else {
        Answer::Unknown { reason }
    }
}

impl From<EtcdError> for LoadError {
    fn from(error: EtcdError) -> Self {
        match error {
            EtcdError::Compacted { .. } => Self::Compacted,
            EtcdError::Unsupported(what) => Self::Unsupported(capped(&what)),
            other => Self::Failed(capped(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(code: Code, message: &str) -> EtcdError {
        EtcdError::Rpc {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn only_what_surely_was_not_done_is_refused() {
        let refused = [
            rpc(Code::InvalidArgument, "etcdserver: request is too large"),
            rpc(
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
            ),
            rpc(Code::Unknown, "database is locked"),
            EtcdError::Unreachable("Connection refused".to_owned()),
        ];
        for error in refused {
            assert!(matches!(failed(error), Answer::Refused { .. }));
        }
        let unknown = [
            rpc(Code::Unavailable, "etcdserver: request timed out"),
            rpc(Code::Unknown, "disk I/O error"),
            rpc(Code::Cancelled, "h2 protocol error"),
            // Also what a client says of an answer that is too long for it.
            rpc(Code::OutOfRange, "decoded message length too large"),
            EtcdError::Deadline {
                call: "x",
                deadline: Duration::from_secs(1),
            },
            EtcdError::Malformed("x".to_owned()),
        ];
        for error in unknown {
            assert!(matches!(failed(error), Answer::Unknown { .. }));
        }
    }

    #[test]
    fn a_conflict_that_contradicts_itself_is_a_write_that_was_not_made() {
        let conflict = |mod_revision| {
            Ok(Written::Conflict {
                current: Some(KeyValue {
                    key: "k".to_owned(),
                    value: value::write(3, 64).into(),
                    create_revision: 1,
                    mod_revision,
                }),
                revision: 0,
            })
        };
        let seen = Some(Version {
            value: 3,
            revision: 9,
        });
        let honest = Answer::Conflict {
            current: seen,
            revision: None,
        };
        assert_eq!(written(conflict(9), Some(7)), honest);
        assert!(matches!(
            written(conflict(7), Some(7)),
            Answer::Refused { .. }
        ));
    }
}
