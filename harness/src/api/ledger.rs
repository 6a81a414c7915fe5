//! The list of what a client made and must remove: entered before it is made, removed whatever happens.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;

use super::deadline::{Seen, WaitError, wait_for};
use super::{Api, ApiError, PatchKind, RUN_LABEL};

/// Of what is left at the deadline: a server that hangs costs its request timeout for each.
const LAST_LOOKS_AT_ONCE: usize = 8;

/// How long a collection may take to be listed for what is in it without a name.
const LOOKED_THROUGH_WITHIN: Duration = Duration::from_secs(10);

/// One object to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    /// Namespaces end through a controller and are awaited apart, all together.
    namespace: bool,
}

/// An object whose name the server was asked to make up, and has not told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unnamed {
    collection: String,
    prefix: String,
}

/// What is to be removed.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<Vec<Entry>>,
    unnamed: Mutex<Vec<Unnamed>>,
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

    /// Enters an object by its collection and the prefix of the name that the server is to make up. Unless it is named by
    /// [`Ledger::named`], it is looked for by its prefix and the run's label; so the prefix must be nobody else's.
    pub fn enter_unnamed(&self, collection: &str, prefix: &str) {
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        unnamed.push(Unnamed {
            collection: collection.to_owned(),
            prefix: prefix.to_owned(),
        });
    }

    /// Takes one such entry back: the server told the object's name, or that it made none.
    pub fn named(&self, collection: &str, prefix: &str) {
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = unnamed
            .iter()
            .position(|one| one.collection == collection && one.prefix == prefix);
        found.map(|at| unnamed.swap_remove(at));
    }

    fn take_unnamed(&self) -> Vec<Unnamed> {
        std::mem::take(&mut *self.unnamed.lock().unwrap_or_else(PoisonError::into_inner))
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
        let api = self.clean();
        let mut unseen = Vec::new();
        for Unnamed { collection, prefix } in self.ledger().take_unnamed() {
            if !api.find_unnamed(&collection, &prefix).await {
                // It is still there when it is awaited, and so is told of.
                unseen.push(collection);
            }
        }
        let mut entries = self.ledger().take();
        entries.sort_by_key(rank);
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
        let made = entries.into_iter().map(|entry| entry.path);
        made.chain(unseen).collect()
    }

    /// Enters what has this prefix and the run's label; gives whether the collection could be looked through.
    async fn find_unnamed(&self, collection: &str, prefix: &str) -> bool {
        let label = format!("{RUN_LABEL}={}", self.run());
        let query = [("labelSelector", label.as_str())];
        let what = format!("{collection} to be listed");
        let list = wait_for(&what, LOOKED_THROUGH_WITHIN, || async {
            let answer = self.list(collection, &query).await;
            Ok::<_, ApiError>(match answer {
                Ok(answer) if answer.status == 200 => Seen::Done(answer.body),
                Ok(answer) => Seen::Not(answer.summary()),
                Err(fault) => Seen::Not(fault.to_string()),
            })
        });
        let Ok(list) = list.await else {
            return false;
        };
        for item in list["items"].as_array().into_iter().flatten() {
            let about = &item["metadata"];
            let name = about["name"].as_str().unwrap_or_default();
            // Believe the label on the object, not the server's selection.
            if name.starts_with(prefix) && about["labels"][RUN_LABEL] == self.run() {
                self.ledger().enter(
                    format!("{collection}/{name}"),
                    collection == "/api/v1/namespaces",
                );
            }
        }
        true
    }

    /// Waits until none of `paths` is there any more, all under one deadline, and gives those that stayed.
    ///
    /// A look that fails is no sign of anything: it counts as not gone yet. Past the deadline each path that is left is
    /// asked for once more, so that one which stays does not accuse the others.
    pub async fn await_gone(&self, paths: Vec<String>, granted: Duration) -> Vec<String> {
        let api = self.clean();
        let mut left = paths;
        let until = tokio::time::Instant::now() + granted;
        while let Some(path) = left.last() {
            let remaining = until.saturating_duration_since(tokio::time::Instant::now());
            let gone: Result<(), WaitError<ApiError>> = wait_for(path, remaining, || async {
                Ok(match api.get(path).await {
                    Ok(answer) => Seen::when(answer.status == 404, || answer.summary()),
                    Err(fault) => Seen::Not(fault.to_string()),
                })
            })
            .await;
            if gone.is_err() {
                break;
            }
            left.pop();
        }
        futures::stream::iter(left)
            .map(|path| async {
                let gone = api
                    .get(&path)
                    .await
                    .is_ok_and(|answer| answer.status == 404);
                (!gone).then_some(path)
            })
            .buffered(LAST_LOOKS_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::api::{Collection, Resource};

    /// Hangs up on the first request; of the rest it has `/stays` and a list of two things alone.
    async fn server() -> Api {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                if number == 0 {
                    continue;
                }
                let asked = String::from_utf8_lossy(&head[..length]);
                let thing = |name: &str, run: &str| json!({"metadata": {"name": name, "labels": {RUN_LABEL: run}}});
                let (status, body) = if asked.starts_with("GET /stays ") {
                    ("200 OK", json!({}))
                } else if asked.starts_with("GET /apis/a/v1/things?") {
                    let items = [
                        thing("p-1", "test"),
                        thing("p-2", "other"),
                        thing("q-3", "test"),
                    ];
                    ("200 OK", json!({"items": items}))
                } else {
                    ("404 Not Found", json!({}))
                };
                let body = body.to_string();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let uri = format!("http://{address}").parse().expect("a URI");
        let client = kube::Client::try_from(kube::Config::new(uri)).expect("a client");
        Api::new(client, "test")
    }

    #[tokio::test]
    async fn a_look_that_fails_accuses_nobody() {
        let api = server().await;
        let paths = ["/gone", "/gone-too"].map(str::to_owned).to_vec();
        let left = api.await_gone(paths, Duration::from_secs(30)).await;
        assert_eq!(left, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_was_made_without_an_answer_is_found_by_prefix_and_label() {
        let api = server().await;
        let things = Resource::cluster("a/v1", "things", "Thing");
        let made = Collection::new(&api, things, None)
            .create(json!({"metadata": {"generateName": "p-"}}))
            .await;
        assert!(made.is_err());
        assert_eq!(api.remove_made().await, ["/apis/a/v1/things/p-1"]);
        assert_eq!(api.remove_made().await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn one_that_stays_does_not_accuse_the_others() {
        let api = server().await;
        // The last is asked for first.
        let paths = ["/gone", "/gone-too", "/stays"].map(str::to_owned).to_vec();
        let left = api.await_gone(paths, Duration::from_millis(100)).await;
        assert_eq!(left, ["/stays"]);
    }
}
