//! A small API group of its own, for the aggregator: one namespaced resource, kept in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use harness::api::Method;
use harness::callback::{Answer, Call, CallbackServer};
use serde_json::{Value, json};

/// The version of the group.
pub(crate) const VERSION: &str = "v1alpha1";

/// In whose name a request for a flunder came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The method and path.
    pub(crate) request: String,
    /// `X-Remote-User`.
    pub(crate) user: String,
    /// Each `X-Remote-Group`.
    pub(crate) groups: Vec<String>,
    /// The common name of the certificate, verified against the cluster's authority of front proxies.
    pub(crate) certificate: Option<String>,
}

#[derive(Default)]
struct Store {
    /// By namespace and name.
    flunders: BTreeMap<(String, String), Value>,
    version: u64,
    callers: Vec<Caller>,
}

/// The group's server.
#[derive(Clone)]
pub(crate) struct Flunders {
    group: String,
    store: Arc<Mutex<Store>>,
}

impl Flunders {
    /// Serves the group.
    pub(crate) fn serve(server: &CallbackServer, group: &str) -> Self {
        let flunders = Self {
            group: group.to_owned(),
            store: Arc::default(),
        };
        flunders.also(server);
        flunders
    }

    /// Serves the same flunders at another server.
    pub(crate) fn also(&self, server: &CallbackServer) {
        let serving = self.clone();
        let path = format!("/apis/{}/{VERSION}", self.group);
        server.handle(&path, move |call| serving.answer(call));
    }

    /// Who asked for flunders so far.
    pub(crate) fn callers(&self) -> Vec<Caller> {
        self.lock().callers.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, call: &Call) -> Answer {
        let root = format!("/apis/{}/{VERSION}", self.group);
        let rest = call.path.strip_prefix(&root).unwrap_or_default();
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return answer(200, self.resources());
        }
        self.note(call);
        match (&call.method, parts.as_slice()) {
            (&Method::GET, ["flunders"]) => answer(200, self.list(call, None)),
            (&Method::GET, ["namespaces", namespace, "flunders"]) => {
                answer(200, self.list(call, Some(namespace)))
            }
            (&Method::POST, ["namespaces", namespace, "flunders"]) => self.create(call, namespace),
            (&Method::GET, ["namespaces", namespace, "flunders", name]) => {
                self.get(namespace, name)
            }
            (&Method::DELETE, ["namespaces", namespace, "flunders", name]) => {
                self.delete(call, namespace, name)
            }
            _ => refusal(
                405,
                "MethodNotAllowed",
                "flunders are made, read, listed and deleted",
            ),
        }
    }

    fn note(&self, call: &Call) {
        let groups = call.headers.get_all("x-remote-group").iter();
        let caller = Caller {
            request: format!("{} {}", call.method, call.path),
            user: call.header("x-remote-user").to_owned(),
            groups: groups
                .filter_map(|group| Some(group.to_str().ok()?.to_owned()))
                .collect(),
            certificate: call.client.clone(),
        };
        self.lock().callers.push(caller);
    }

    fn resources(&self) -> Value {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": format!("{}/{VERSION}", self.group),
            "resources": [{
                "name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder",
                "verbs": ["create", "delete", "get", "list"],
            }],
        })
    }

    fn list(&self, call: &Call, namespace: Option<&str>) -> Value {
        let store = self.lock();
        let found = store.flunders.iter();
        let found = found.filter(|((of, _), _)| namespace.is_none_or(|namespace| of == namespace));
        let (mut list, mut kind) = (
            found.map(|(_, one)| one.clone()).collect::<Vec<_>>(),
            "Flunder",
        );
        let mut version = format!("{}/{VERSION}", self.group);
        // Controllers, such as that of namespaces, ask for the metadata alone.
        if call
            .header("accept")
            .contains("as=PartialObjectMetadataList")
        {
            (kind, version) = ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned());
            for one in &mut list {
                one["kind"] = json!(kind);
                one["apiVersion"] = json!(version);
            }
        }
        json!({
            "kind": format!("{kind}List"), "apiVersion": version,
            "metadata": {"resourceVersion": store.version.to_string()}, "items": list,
        })
    }

    fn create(&self, call: &Call, namespace: &str) -> Answer {
        let mut flunder = call.body.clone();
        let name = flunder["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if name.is_empty() || flunder["kind"] != "Flunder" {
            return refusal(422, "Invalid", "a Flunder with a name is wanted");
        }
        let mut store = self.lock();
        let key = (namespace.to_owned(), name);
        if store.flunders.contains_key(&key) {
            return refusal(409, "AlreadyExists", "there is one of that name");
        }
        store.version += 1;
        flunder["metadata"]["namespace"] = json!(namespace);
        flunder["metadata"]["uid"] = json!(format!("flunder-{}", store.version));
        flunder["metadata"]["resourceVersion"] = json!(store.version.to_string());
        if !dry(call) {
            store.flunders.insert(key, flunder.clone());
        }
        answer(201, flunder)
    }

    fn get(&self, namespace: &str, name: &str) -> Answer {
        let key = (namespace.to_owned(), name.to_owned());
        match self.lock().flunders.get(&key) {
            Some(flunder) => answer(200, flunder.clone()),
            None => refusal(404, "NotFound", "there is no such flunder"),
        }
    }

    fn delete(&self, call: &Call, namespace: &str, name: &str) -> Answer {
        let key = (namespace.to_owned(), name.to_owned());
        let mut store = self.lock();
        let found = if dry(call) {
            store.flunders.get(&key).cloned()
        } else {
            store.flunders.remove(&key)
        };
        match found {
            Some(_) => answer(
                200,
                json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
            ),
            None => refusal(404, "NotFound", "there is no such flunder"),
        }
    }
}

fn dry(call: &Call) -> bool {
    call.query.split('&').any(|pair| pair == "dryRun=All")
}

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, body }
}

fn refusal(status: u16, reason: &str, message: &str) -> Answer {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
        "reason": reason, "message": message});
    answer(status, body)
}
