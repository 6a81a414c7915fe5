//! Watches in checks: each event awaited is one fact, and what was seen instead is told.

use serde_json::Value;
use tokio::time::Instant;

use super::{CheckContext, CheckFault, CheckResult};
use crate::api::{Collection, Next, Request, Watch, WatchAnswer, WatchEvent};

/// An open watch of one check.
pub struct Watching<'c> {
    cx: &'c CheckContext,
    watch: Watch,
}

impl CheckContext {
    /// Opens a watch.
    ///
    /// # Errors
    /// Failed when the server refuses it.
    pub async fn watch(
        &self,
        collection: &Collection,
        query: &[(&str, &str)],
    ) -> CheckResult<Watching<'_>> {
        self.watch_path(Request::get(collection.path()).query(query))
            .await
    }

    /// Opens a watch of any path.
    ///
    /// # Errors
    /// Failed when the server refuses it.
    pub async fn watch_path(&self, request: Request) -> CheckResult<Watching<'_>> {
        self.count();
        let path = request.path.clone();
        match self.api().watch(request).await? {
            WatchAnswer::Open(watch) => Ok(Watching { cx: self, watch }),
            WatchAnswer::Refused(answer) => Err(CheckFault::Failed(format!(
                "watch of {path}: expected it to open; seen: {}",
                answer.summary()
            ))),
        }
    }
}

impl Watching<'_> {
    /// The next event.
    ///
    /// # Errors
    /// Failed when none comes or the watch ends.
    pub async fn any(&mut self, awaited: &str) -> CheckResult<WatchEvent> {
        self.cx.count();
        let patience = self.cx.limits().patience;
        match self.watch.next(Instant::now() + patience).await? {
            Next::Event(event) => Ok(event),
            Next::Ended => Err(CheckFault::Failed(format!(
                "expected {awaited} on {}; the server ended the watch",
                self.watch.request()
            ))),
            Next::Late => Err(CheckFault::Failed(format!(
                "expected {awaited} on {} within {patience:?}; nothing came",
                self.watch.request()
            ))),
        }
    }

    /// The next event, which must be of this kind and for this object. Gives the object.
    ///
    /// # Errors
    /// Failed when another comes, or none.
    pub async fn next(&mut self, kind: &str, name: &str) -> CheckResult<Value> {
        let event = self.any(&format!("{kind} of {name}")).await?;
        let seen = format!("{} of {}", event.kind, event.name());
        self.cx.expect_eq(
            &format!("next event on {}", self.watch.request()),
            format!("{kind} of {name}"),
            seen,
        )?;
        Ok(event.object)
    }

    /// Takes events until one of this kind and object satisfies `wanted`; others of the same object may come before (a
    /// controller may write in between), but never one of the kinds in `never`.
    ///
    /// # Errors
    /// Failed when it does not come, or one of `never` does.
    pub async fn until(
        &mut self,
        kind: &str,
        name: &str,
        never: &[&str],
        wanted: impl Fn(&Value) -> bool,
    ) -> CheckResult<Value> {
        let awaited = format!("{kind} of {name}");
        let deadline = Instant::now() + self.cx.limits().patience;
        loop {
            self.cx.expect(
                &format!("{awaited} within {:?}", self.cx.limits().patience),
                Instant::now() < deadline,
                || "other events only".to_owned(),
            )?;
            let event = self.any(&awaited).await?;
            if event.name() != name {
                continue;
            }
            if event.kind == kind && wanted(&event.object) {
                return Ok(event.object);
            }
            let forbidden = never.contains(&event.kind.as_str());
            self.cx.expect(
                &format!("{awaited} on {}", self.watch.request()),
                !forbidden,
                || format!("{} of {name}", event.kind),
            )?;
        }
    }
}
