//! A store of a scenario's own whose every request goes into a history.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use harness::load::{Handle, LoadError, Recorder, Store};
use harness::scenario::ScenarioContext;
use reports::history::{
    Answer, Header, Key, Level, Listing, Operation, Request, Revision, ValueId, Version,
};
use tokio::task::JoinSet;

use super::timing::{self, Micros};

/// Clients that fill a store.
const FILLERS: u32 = 8;
/// How long one list of everything may take.
const LIST_WITHIN: Duration = Duration::from_secs(120);

/// What is in a store, as far as writes were acknowledged.
pub type Contents = BTreeMap<Key, Version>;

/// A store, and the history of what was done to it.
pub struct Bench {
    /// The store.
    pub store: Store,
    recorder: Recorder,
    values: Arc<AtomicU64>,
    patience: u32,
}

impl Bench {
    /// Opens one at each level that is reached here, the datastore first, and says of a level that is not why.
    ///
    /// `keys` is the greatest number of keys that the scenario writes; fewer acknowledged writes than `floor` say
    /// nothing.
    ///
    /// # Errors
    /// When no level is reached, or a history cannot be begun.
    pub async fn all(cx: &ScenarioContext<'_>, keys: u32, floor: u64) -> anyhow::Result<Vec<Self>> {
        let mut benches = Vec::new();
        for level in [Level::Datastore, Level::Api] {
            benches.extend(Self::open(cx, level, keys, floor).await?);
        }
        ensure!(
            !benches.is_empty(),
            "failed to reach the datastore at any level; the warnings say why"
        );
        Ok(benches)
    }

    /// Opens one at a level; `None`, and a warning, when it is not reached here.
    ///
    /// # Errors
    /// When its history cannot be begun.
    pub async fn open(
        cx: &ScenarioContext<'_>,
        level: Level,
        keys: u32,
        floor: u64,
    ) -> anyhow::Result<Option<Self>> {
        Self::open_part(cx, level, word(level), keys, floor).await
    }

    /// The same for one part of several that a scenario has at one level.
    ///
    /// # Errors
    /// When its history cannot be begun.
    pub async fn open_part(
        cx: &ScenarioContext<'_>,
        level: Level,
        part: &str,
        keys: u32,
        floor: u64,
    ) -> anyhow::Result<Option<Self>> {
        let word = word(level);
        let store = match Store::open(cx, level, &cx.scenario().replace('_', "-")).await {
            Ok(store) => store,
            Err(why) => {
                cx.warn(format!(
                    "{}: nothing at the level {word}: {why}",
                    cx.scenario()
                ));
                return Ok(None);
            }
        };
        let header = Header {
            level,
            suite: cx.suite().to_owned(),
            scenario: cx.scenario().to_owned(),
            part: part.to_owned(),
            keys: store.key_names(keys),
            revision: store.revision().await?,
            floor,
        };
        Ok(Some(Self {
            store,
            recorder: Recorder::create(cx, header)?,
            values: Arc::new(AtomicU64::new(1)),
            patience: cx.patience,
        }))
    }

    /// `datastore` or `api`.
    pub fn level(&self) -> &'static str {
        word(self.store.level())
    }

    /// The label of figures that were taken here.
    pub fn label(&self) -> (&'static str, String) {
        ("level", self.level().to_owned())
    }

    /// A name for a statement about this level.
    pub fn about(&self, name: &str) -> String {
        format!("{name} ({})", self.level())
    }

    /// Where the history is recorded.
    pub fn handle(&self) -> Handle {
        self.recorder.handle()
    }

    /// A client of its own number, over the shared connection.
    pub fn client(&self) -> Client {
        let handle = self.handle();
        Client {
            number: handle.enlist(1),
            handle,
            store: self.store.clone(),
            values: Arc::clone(&self.values),
        }
    }

    /// Records that the server itself may delete a key from now on, because of its lease: for whoever judges the history
    /// it is a delete whose outcome nobody told.
    pub fn may_be_deleted(&self, key: Key, version: Version, from: Instant) {
        let handle = self.handle();
        handle.op(Operation {
            client: handle.enlist(1),
            call: handle.at(from),
            end: handle.now(),
            key,
            request: Request::Delete {
                expected: version.revision,
            },
            answer: Answer::Unknown {
                reason: "its lease".to_owned(),
            },
        });
    }

    /// Creates keys, several at a time, and records how long each took.
    ///
    /// # Errors
    /// When a write was not acknowledged.
    pub async fn fill(
        &self,
        keys: Range<Key>,
        bytes: usize,
        into: &mut Contents,
        latency: &mut Micros,
    ) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for nth in 0..FILLERS {
            let mut client = self.client();
            let own = keys.clone().skip(nth as usize).step_by(FILLERS as usize);
            tasks.spawn(async move {
                let mut made = Vec::new();
                for key in own {
                    let sent = client.create(key, bytes).await;
                    made.push((key, sent.version()?, sent.took()));
                }
                anyhow::Ok(made)
            });
        }
        while let Some(made) = tasks.join_next().await {
            for (key, version, took) in made
                .context("a client panicked")?
                .context("failed to fill the store")?
            {
                into.insert(key, version);
                timing::record(latency, took)?;
            }
        }
        Ok(())
    }

    /// Lists everything in pages of `limit` (0: in one piece), and gives what came and how long it took.
    ///
    /// # Errors
    /// When a page was not answered.
    pub async fn list(
        &self,
        limit: u32,
        asked: Option<Revision>,
    ) -> anyhow::Result<(Listing, Duration)> {
        self.listed(limit, asked, false).await
    }

    async fn listed(
        &self,
        limit: u32,
        asked: Option<Revision>,
        is_final: bool,
    ) -> anyhow::Result<(Listing, Duration)> {
        let handle = self.handle();
        let begun = Instant::now();
        let granted = LIST_WITHIN * self.patience;
        let listing = tokio::time::timeout(granted, self.store.list(limit, asked));
        let mut listing = listing
            .await
            .map_err(|_| LoadError::Failed(format!("failed to list: not done within {granted:?}")))?
            .context("failed to list everything")?;
        let ended = Instant::now();
        listing.client = handle.enlist(1);
        listing.call = handle.at(begun);
        listing.end = handle.at(ended);
        listing.is_final = is_final;
        handle.list(listing.clone());
        Ok((listing, ended - begun))
    }

    /// Lists what there is in the end, closes the history and empties the store; gives `outcome` unless that fails. Nobody
    /// may be writing any more.
    ///
    /// # Errors
    /// `outcome`, else what went wrong.
    pub async fn end(self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        let listed = match &outcome {
            Ok(()) => self.listed(0, None, true).await.map(drop),
            Err(_) => Ok(()),
        };
        let recorded = self.recorder.close();
        let closed = self.store.close().await;
        outcome?;
        listed.context("failed to see what there is in the end")?;
        recorded?;
        closed.context("failed to empty the store")
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Datastore => "datastore",
        Level::Api => "api",
    }
}

/// One client: it has one request at a time.
pub struct Client {
    store: Store,
    handle: Handle,
    values: Arc<AtomicU64>,
    number: u32,
}

/// A request that was answered, or given up.
pub struct Sent {
    /// When it was sent.
    pub call: Instant,
    /// When the answer was there.
    pub end: Instant,
    /// The value that it was to write; 0 for none.
    pub value: ValueId,
    /// The answer.
    pub answer: Answer,
}

impl Sent {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.end - self.call
    }

    /// What the write made of its key.
    ///
    /// # Errors
    /// When it was not acknowledged, or without a revision.
    pub fn version(&self) -> anyhow::Result<Version> {
        match &self.answer {
            Answer::Written {
                revision: Some(revision),
            } => Ok(Version {
                value: self.value,
                revision: *revision,
            }),
            other => bail!("a write was answered by {other:?}"),
        }
    }
}

impl Client {
    /// Sends a request; what goes wrong is an answer too.
    pub async fn send(&mut self, key: Key, request: Request, bytes: usize) -> Sent {
        self.send_leased(key, request, bytes, 0).await
    }

    /// The same with a lease on what is written.
    pub async fn send_leased(
        &mut self,
        key: Key,
        request: Request,
        bytes: usize,
        lease: i64,
    ) -> Sent {
        let value = match request {
            Request::Create { value } | Request::Update { value, .. } => value,
            Request::Delete { .. } | Request::Get => 0,
        };
        let call = Instant::now();
        let mut operation = Operation {
            client: self.number,
            call: self.handle.at(call),
            end: self.handle.at(call),
            key,
            request,
            answer: Answer::Unknown {
                reason: String::new(),
            },
        };
        self.handle.intent(operation.clone());
        let answer = self.store.send_leased(key, request, bytes, lease).await;
        let end = Instant::now();
        operation.end = self.handle.at(end);
        operation.answer = answer.clone();
        self.handle.op(operation);
        Sent {
            call,
            end,
            value,
            answer,
        }
    }

    fn value(&self) -> ValueId {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// Creates a key with a value of its own.
    pub async fn create(&mut self, key: Key, bytes: usize) -> Sent {
        let value = self.value();
        self.send(key, Request::Create { value }, bytes).await
    }

    /// The same with a lease.
    pub async fn create_leased(&mut self, key: Key, bytes: usize, lease: i64) -> Sent {
        let value = self.value();
        let request = Request::Create { value };
        self.send_leased(key, request, bytes, lease).await
    }

    /// Updates a key that must have a revision.
    pub async fn update(&mut self, key: Key, expected: Revision, bytes: usize) -> Sent {
        let value = self.value();
        let request = Request::Update { value, expected };
        self.send(key, request, bytes).await
    }

    /// Deletes a key that must have a revision.
    pub async fn delete(&mut self, key: Key, expected: Revision) -> Sent {
        self.send(key, Request::Delete { expected }, 0).await
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When it was not answered.
    pub async fn get(&mut self, key: Key) -> anyhow::Result<(Option<Version>, Duration)> {
        let sent = self.send(key, Request::Get, 0).await;
        match &sent.answer {
            Answer::Read { found, .. } => Ok((*found, sent.took())),
            other => bail!("a read was answered by {other:?}"),
        }
    }
}
