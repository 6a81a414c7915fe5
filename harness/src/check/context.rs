//! The only door of a check: a client, a namespace of its own, assertions that count, waits with a deadline.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{CheckFault, CheckResult, Offer};
use crate::api::deadline::{Seen, wait_for, wait_with_pauses};
use crate::api::{Api, Collection, Resource};
use crate::callback::{Callback, CallbackOptions, CallbackServer, Place};

/// How long a check may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one condition or one watch event. Passing it is the product's failure.
    pub patience: Duration,
    /// For the whole check. Passing it is the instrument's fault: every wait has its own deadline.
    pub whole: Duration,
    /// For what was made to be gone again.
    pub removal: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(60),
            whole: Duration::from_secs(300),
            removal: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// With every wait so many times as long, for servers that run slower.
    #[must_use]
    pub fn stretched(self, times: u32) -> Self {
        Self {
            patience: self.patience * times,
            whole: self.whole * times,
            removal: self.removal * times,
        }
    }
}

/// What a check works with.
pub struct CheckContext {
    api: Api,
    limits: Limits,
    offer: Arc<Offer>,
    namespace: OnceCell<String>,
    callback: OnceCell<CallbackServer>,
    endpoint: OnceCell<CallbackServer>,
    facts: AtomicU64,
}

impl CheckContext {
    /// A context for one run of one check. `api` must be the check's own ([`Api::apart`]).
    #[must_use]
    pub fn new(api: Api, offer: Arc<Offer>, limits: Limits) -> Self {
        Self {
            api,
            limits,
            offer,
            namespace: OnceCell::new(),
            callback: OnceCell::new(),
            endpoint: OnceCell::new(),
            facts: AtomicU64::new(0),
        }
    }

    /// The client.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What the server offers, as discovered once before the checks.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// How long it may wait.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The number of facts examined so far.
    #[must_use]
    pub fn facts(&self) -> u64 {
        self.facts.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) {
        self.facts.fetch_add(1, Ordering::Relaxed);
    }

    /// The check's own namespace, made at the first call and removed after the check.
    ///
    /// # Errors
    /// When it cannot be made: the instrument's fault, since the check is not about that.
    pub async fn namespace(&self) -> CheckResult<&str> {
        // Without the mutant: a check of something else must not fall over its own scaffolding.
        let made = self
            .namespace
            .get_or_try_init(|| another(self.api.clean()))
            .await;
        made.map(String::as_str)
    }

    /// The check's own HTTPS server for calls of the API server, opened at the first call. It outlives the removal of
    /// what the check made, so that nothing is removed past a dead webhook.
    ///
    /// # Errors
    /// Skipped where the server cannot call this host; the instrument's fault when nothing can be opened.
    pub async fn callback(&self) -> CheckResult<&CallbackServer> {
        self.callback_with(&CallbackOptions::default()).await
    }

    /// The same with options, which count at the first call.
    ///
    /// # Errors
    /// As [`CheckContext::callback`].
    pub async fn callback_with(&self, options: &CallbackOptions) -> CheckResult<&CallbackServer> {
        let place = match &self.offer.callback {
            Callback::At(place) => *place,
            Callback::Nowhere(why) => return Err(CheckFault::Skipped(why.clone())),
        };
        open(&self.callback, place, options).await
    }

    /// One more such server, at an address that may be an endpoint of a Service.
    ///
    /// # Errors
    /// As [`CheckContext::callback`]; Skipped, too, where this host has no such address.
    pub async fn callback_endpoint(
        &self,
        options: &CallbackOptions,
    ) -> CheckResult<&CallbackServer> {
        let place = match &self.offer.callback {
            Callback::At(place) => place.as_endpoint().ok_or_else(|| {
                CheckFault::Skipped(
                    "this host has no address but loopback, which no endpoint of a Service may have"
                        .to_owned(),
                )
            })?,
            Callback::Nowhere(why) => return Err(CheckFault::Skipped(why.clone())),
        };
        open(&self.endpoint, place, options).await
    }

    /// What the API server did against the protocols in its calls.
    pub(super) fn callback_faults(&self) -> Vec<String> {
        let opened = [&self.callback, &self.endpoint].into_iter();
        let servers = opened.filter_map(OnceCell::get);
        servers.flat_map(CallbackServer::faults).collect()
    }

    /// One more namespace, removed after the check.
    ///
    /// # Errors
    /// As [`CheckContext::namespace`].
    pub async fn another_namespace(&self) -> CheckResult<String> {
        another(self.api.clean()).await
    }

    /// A collection in the check's own namespace, or in the cluster where the resource has none.
    ///
    /// # Errors
    /// As [`CheckContext::namespace`].
    pub async fn collection(&self, resource: Resource) -> CheckResult<Collection> {
        let namespace = if resource.namespaced {
            Some(self.namespace().await?)
        } else {
            None
        };
        Ok(Collection::new(&self.api, resource, namespace))
    }

    /// The collection over all namespaces.
    #[must_use]
    pub fn everywhere(&self, resource: Resource) -> Collection {
        Collection::new(&self.api, resource, None)
    }

    /// Waits for a condition. Whether it came is one fact.
    ///
    /// # Errors
    /// Failed when it does not come, with what was last seen.
    pub async fn wait<T, Look, Answer>(&self, what: &str, look: Look) -> CheckResult<T>
    where
        Look: FnMut() -> Answer,
        Answer: Future<Output = CheckResult<Seen<T>>>,
    {
        self.count();
        Ok(wait_for(what, self.limits.patience, look).await?)
    }

    /// The same with `pause` between two looks, for what takes minutes and costs the server work at each look.
    ///
    /// # Errors
    /// Failed when it does not come, with what was last seen.
    pub async fn wait_slowly<T, Look, Answer>(
        &self,
        what: &str,
        pause: Duration,
        look: Look,
    ) -> CheckResult<T>
    where
        Look: FnMut() -> Answer,
        Answer: Future<Output = CheckResult<Seen<T>>>,
    {
        self.count();
        Ok(wait_with_pauses(what, self.limits.patience, pause, look).await?)
    }

    /// Waits until the object is gone: 404 with the reason NotFound.
    ///
    /// # Errors
    /// Failed when it stays.
    pub async fn gone(&self, collection: &Collection, name: &str) -> CheckResult {
        let what = format!("{} is gone", collection.item(name));
        self.wait(&what, || async {
            let answer = collection.get(name).await?;
            Ok(Seen::when(
                answer.status == 404 && answer.reason() == "NotFound",
                || answer.summary(),
            ))
        })
        .await
    }
}

async fn open<'s>(
    cell: &'s OnceCell<CallbackServer>,
    place: Place,
    options: &CallbackOptions,
) -> CheckResult<&'s CallbackServer> {
    let opened = cell.get_or_try_init(|| async {
        CallbackServer::start(place, options)
            .await
            .map_err(|error| CheckFault::Errored(format!("{error:#}")))
    });
    opened.await
}

async fn another(api: Api) -> CheckResult<String> {
    let (name, answer) = api.make_namespace("check").await?;
    if answer.status != 201 {
        return Err(CheckFault::Errored(format!(
            "failed to make a namespace for the check: {}",
            answer.summary()
        )));
    }
    Ok(name)
}
