//! The list of what a client made and must remove: entered before it is made, removed whatever happens.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::deadline::{Seen, WaitError, wait_for};
use super::{Api, ApiError, PatchKind};

/// One object to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    /// Namespaces end through a controller and are awaited apart, all together.
    namespace: bool,
}

/// What is to be removed.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    /// Enters an object by its path; gives whether it was not there before.
    pub fn enter(&self, path: String, namespace: bool) -> bool {
        let entry = Entry { path, namespace };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let new = !entries.contains(&entry);
        if new {
            entries.push(entry);
        }
        new
    }

    /// Takes an entry back: the object turned out to be somebody else's.
    pub fn leave(&self, path: &str) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|entry| entry.path != path);
    }

    fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Api {
    /// Asks for the removal of everything in the ledger and gives the paths that still have to vanish.
    ///
    /// What acts on other people's requests goes first (see [`rank`]), then objects, then namespaces: their objects'
    /// finalizers would hold them. Faults are not reported here: what is
    /// still there shows in [`Api::await_gone`].
    pub async fn remove_made(&self) -> Vec<String> {
        let mut entries = self.ledger().take();
        entries.sort_by_key(rank);
        let api = self.clean();
        for Entry { path, namespace } in &entries {
            if *namespace {
                release(&api, path).await;
            } else {
                let _ = api.patch(path, PatchKind::Merge, freeing(path)).await;
            }
            let _ = api
                .delete(path, &[("propagationPolicy", "Background")])
                .await;
        }
        entries.into_iter().map(|entry| entry.path).collect()
    }

    /// Waits until none of `paths` is there any more, all under one deadline, and gives those that stayed.
    pub async fn await_gone(&self, paths: Vec<String>, granted: Duration) -> Vec<String> {
        let api = self.clean();
        let mut left = paths;
        let until = tokio::time::Instant::now() + granted;
        while let Some(path) = left.last() {
            let remaining = until.saturating_duration_since(tokio::time::Instant::now());
            let gone: Result<(), WaitError<ApiError>> = wait_for(path, remaining, || async {
                let status = api.get(path).await?.status;
                Ok(Seen::when(status == 404, || status.to_string()))
            })
            .await;
            if gone.is_err() {
                break;
            }
            left.pop();
        }
        left
    }
}

/// A webhook whose server is gone, a policy or an aggregated group may refuse or break what others ask for, and the
/// removal of the rest of what was made as well.
fn rank(entry: &Entry) -> u8 {
    const FIRST: [&str; 2] = [
        "/apis/admissionregistration.k8s.io/",
        "/apis/apiregistration.k8s.io/",
    ];
    match entry {
        Entry {
            namespace: true, ..
        } => 2,
        Entry { path, .. } if FIRST.iter().any(|group| path.starts_with(group)) => 0,
        _ => 1,
    }
}

/// What lets an object go: no finalizers. A definition keeps its own, which removes its resources, but must not ask a
/// webhook that is gone for their conversion.
fn freeing(path: &str) -> serde_json::Value {
    if path.contains("/customresourcedefinitions/") {
        json!({"spec": {"conversion": {"strategy": "None", "webhook": null}}})
    } else {
        json!({"metadata": {"finalizers": null}})
    }
}

/// Takes assay's own finalizers out of a namespace's spec: a check that stopped half-way may have left one there.
async fn release(api: &Api, path: &str) {
    let Ok(mut found) = api.get(path).await else {
        return;
    };
    let Some(finalizers) = found
        .body
        .pointer_mut("/spec/finalizers")
        .and_then(|list| list.as_array_mut())
    else {
        return;
    };
    let before = finalizers.len();
    finalizers.retain(|finalizer| {
        !finalizer
            .as_str()
            .is_some_and(|name| name.starts_with("assay.dev/"))
    });
    if finalizers.len() != before {
        let _ = api.replace(&format!("{path}/finalize"), found.body).await;
    }
}
