//! ConfigMaps through the Kubernetes API.

use futures::{StreamExt, TryStreamExt, stream};
use reports::history::{Answer, Key, Listing, Revision, ValueId, Version};
use serde_json::{Value, json};

use super::{
    LoadError, Unreachable, WatchStream, capped, name, number, says_nothing_was_done, value, watch,
};
use crate::api::{Api, ApiError, Method, RUN_LABEL, Request, Response, WatchAnswer, client};
use crate::distribution::Access as Kubeconfig;
use crate::scenario::{Access, ScenarioContext};

/// A ConfigMap that the controller manager keeps in each namespace. It is nobody's of the workload.
pub const OF_EVERY_NAMESPACE: &str = "kube-root-ca.crt";
/// ConfigMaps that are removed at once.
const REMOVED_AT_ONCE: usize = 16;
/// ConfigMaps on a page of what is to be removed.
const REMOVED_PAGE: u32 = 500;

/// ConfigMaps in a namespace of their own.
pub struct ConfigMaps {
    api: Api,
    namespace: String,
    kubeconfig: Kubeconfig,
    patience: u32,
}

impl ConfigMaps {
    pub async fn open(cx: &ScenarioContext<'_>, purpose: &str) -> Result<Self, Unreachable> {
        let Access::Kubernetes(api) = cx.access else {
            let why = format!(
                "{} does not serve the Kubernetes API",
                cx.distribution.name()
            );
            return Err(Unreachable(why));
        };
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"generateName": format!("assay-{purpose}-"), "labels": {RUN_LABEL: api.run()}},
        });
        let made = api.send(Request::new(Method::POST, "/api/v1/namespaces").body(body));
        let made = made.await.map_err(|error| Unreachable(error.to_string()))?;
        let namespace = made.body["metadata"]["name"].as_str();
        let namespace = namespace.filter(|_| made.status == 201).ok_or_else(|| {
            Unreachable(format!("failed to make a namespace: {}", made.summary()))
        })?;
        Ok(Self {
            api: api.without_evidence(),
            namespace: namespace.to_owned(),
            kubeconfig: cx.cluster.access().clone(),
            patience: cx.patience,
        })
    }

    pub async fn again(&self) -> Result<Self, Unreachable> {
        let Kubeconfig::Kubeconfig { path, context, url } = &self.kubeconfig else {
            return Err(Unreachable("there is no kubeconfig".to_owned()));
        };
        let made = client(path, context.as_deref(), url.as_deref()).await;
        let made = made.map_err(|error| Unreachable(error.to_string()))?;
        let api = Api::new(made, self.api.run()).patient(self.patience);
        Ok(Self {
            api: api.without_evidence(),
            namespace: self.namespace.clone(),
            kubeconfig: self.kubeconfig.clone(),
            patience: self.patience,
        })
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }

    fn item(&self, key: Key) -> String {
        format!("{}/{}", self.collection(), name(key))
    }

    /// The body of a ConfigMap as text: its parts need no escaping, and it is made for every write.
    fn body(&self, key: Key, id: ValueId, bytes: usize, expected: Option<Revision>) -> String {
        let version = expected.map_or_else(String::new, |revision| {
            format!(r#","resourceVersion":"{revision}""#)
        });
        let value = value::write(id, bytes);
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{}","labels":{{"{RUN_LABEL}":"{}"}}{version}}},"data":{{"value":"{}"}}}}"#,
            name(key),
            self.api.run(),
            String::from_utf8_lossy(&value),
        )
    }

    pub async fn send(&self, key: Key, request: reports::history::Request, bytes: usize) -> Answer {
        use reports::history::Request as Ask;
        const JSON: &str = "application/json";
        let wire = match request {
            Ask::Create { value } => Request::new(Method::POST, self.collection())
                .raw(self.body(key, value, bytes, None), JSON),
            Ask::Update { value, expected } => Request::new(Method::PUT, self.item(key))
                .raw(self.body(key, value, bytes, Some(expected)), JSON),
            Ask::Delete { expected } => {
                let options = format!(r#"{{"preconditions":{{"resourceVersion":"{expected}"}}}}"#);
                Request::new(Method::DELETE, self.item(key)).raw(options, JSON)
            }
            Ask::Get => Request::get(self.item(key)),
        };
        match self.api.send(wire).await {
            Ok(response) => answer(request, &response),
            Err(error) => {
                let reason = capped(&error.to_string());
                match error {
                    ApiError::Unreachable { .. } | ApiError::BadRequest { .. } => {
                        Answer::Refused { reason }
                    }
                    _ => Answer::Unknown { reason },
                }
            }
        }
    }

    pub async fn first_page(&self, limit: u32) -> Result<usize, LoadError> {
        let page = self.page(limit, None, None).await?;
        Ok(page["items"].as_array().map_or(0, Vec::len))
    }

    async fn page(
        &self,
        limit: u32,
        asked: Option<Revision>,
        go_on: Option<&str>,
    ) -> Result<Value, LoadError> {
        let mut request = Request::get(self.collection());
        if limit > 0 {
            request = request.query(&[("limit", &limit.to_string())]);
        }
        if let Some(go_on) = go_on {
            request = request.query(&[("continue", go_on)]);
        } else if let Some(asked) = asked {
            let asked = asked.to_string();
            request = request.query(&[
                ("resourceVersion", &asked),
                ("resourceVersionMatch", "Exact"),
            ]);
        }
        let page = self.api.send(request).await.map_err(fault)?;
        match page.status {
            200 => Ok(page.body),
            410 => Err(LoadError::Compacted),
            _ => Err(LoadError::Failed(format!(
                "failed to list: {}",
                capped(&page.summary())
            ))),
        }
    }

    pub async fn list(&self, limit: u32, asked: Option<Revision>) -> Result<Listing, LoadError> {
        let mut listing = Listing {
            client: 0,
            call: 0,
            end: 0,
            asked,
            revision: 0,
            limit,
            pages: 0,
            items: Vec::new(),
            strangers: Vec::new(),
            is_final: false,
        };
        let mut go_on: Option<String> = None;
        loop {
            let page = self.page(limit, asked, go_on.as_deref()).await?;
            listing.pages += 1;
            if listing.pages == 1 {
                listing.revision = revision(&page)?;
            }
            for item in page["items"].as_array().into_iter().flatten() {
                let name = item["metadata"]["name"].as_str().unwrap_or_default();
                match number(name) {
                    Some(key) => listing.items.push((key, version(item)?)),
                    None if name == OF_EVERY_NAMESPACE => {}
                    None => listing.strangers.push(capped(name)),
                }
            }
            match page["metadata"]["continue"].as_str() {
                Some(token) if !token.is_empty() => go_on = Some(token.to_owned()),
                _ => return Ok(listing),
            }
        }
    }

    pub async fn watch(&self, from: Revision) -> Result<WatchStream, LoadError> {
        // The API's watches begin after the revision that they name.
        let after = from.saturating_sub(1).max(1).to_string();
        let request = Request::get(self.collection())
            .query(&[("resourceVersion", &after), ("allowWatchBookmarks", "true")]);
        match self.api.watch(request).await.map_err(fault)? {
            WatchAnswer::Open(open) => Ok(watch::api(open, from)),
            WatchAnswer::Refused(refusal) if refusal.status == 410 => Err(LoadError::Compacted),
            WatchAnswer::Refused(refusal) => Err(LoadError::Failed(format!(
                "failed to watch: {}",
                capped(&refusal.summary())
            ))),
        }
    }

    pub async fn revision(&self) -> Result<Revision, LoadError> {
        revision(&self.page(1, None, None).await?)
    }

    pub async fn clear(&self) -> anyhow::Result<()> {
        loop {
            let page = self.page(REMOVED_PAGE, None, None).await?;
            let items = page["items"].as_array().into_iter().flatten();
            let names = items.filter_map(|item| item["metadata"]["name"].as_str());
            let own: Vec<_> = names.filter(|name| *name != OF_EVERY_NAMESPACE).collect();
            if own.is_empty() {
                return Ok(());
            }
            stream::iter(own)
                .map(|name| self.remove_one(name))
                .buffer_unordered(REMOVED_AT_ONCE)
                .try_for_each(|()| async { Ok(()) })
                .await?;
        }
    }

    async fn remove_one(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("{}/{name}", self.collection());
        let gone = self.api.send(Request::new(Method::DELETE, path)).await?;
        anyhow::ensure!(
            gone.is_success() || gone.status == 404,
            "failed to remove a ConfigMap: {}",
            gone.summary()
        );
        Ok(())
    }

    pub async fn remove(&self) -> anyhow::Result<()> {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        let gone = self.api.send(Request::new(Method::DELETE, path)).await?;
        anyhow::ensure!(
            gone.is_success(),
            "failed to remove the namespace: {}",
            gone.summary()
        );
        Ok(())
    }
}

fn fault(error: ApiError) -> LoadError {
    LoadError::Failed(capped(&error.to_string()))
}

/// The id of the value that a ConfigMap carries.
pub fn value(object: &Value) -> ValueId {
    value::read(
        object["data"]["value"]
            .as_str()
            .unwrap_or_default()
            .as_bytes(),
    )
}

/// An object's or a list's resourceVersion, which every datastore behind assay's servers makes a number.
pub fn revision(object: &Value) -> Result<Revision, LoadError> {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        LoadError::Failed(format!(
            "failed to read a resourceVersion: {:?} is no number",
            capped(text.unwrap_or_default())
        ))
    })
}

fn version(object: &Value) -> Result<Version, LoadError> {
    Ok(Version {
        value: value(object),
        revision: revision(object)?,
    })
}

/// What a status means for a request. A server error leaves open whether something was written.
fn answer(request: reports::history::Request, response: &Response) -> Answer {
    use reports::history::Request as Ask;
    let reason = || capped(&response.summary());
    let conflict = Answer::Conflict {
        current: None,
        revision: None,
    };
    match (request, response.status) {
        (Ask::Create { .. }, 201) | (Ask::Update { .. }, 200) => Answer::Written {
            revision: revision(&response.body).ok(),
        },
        (Ask::Delete { .. }, 200) => Answer::Written { revision: None },
        (Ask::Get, 200) => match version(&response.body) {
            Ok(found) => Answer::Read {
                found: Some(found),
                revision: None,
            },
            Err(_) => Answer::Unknown {
                reason: "the object has no resourceVersion".to_owned(),
            },
        },
        (Ask::Get, 404) => Answer::Read {
            found: None,
            revision: None,
        },
        (Ask::Create { .. } | Ask::Update { .. } | Ask::Delete { .. }, 409) => conflict,
        (Ask::Update { .. } | Ask::Delete { .. }, 404) => conflict,
        (_, 400..500) => Answer::Refused { reason: reason() },
        (_, 500..) if says_nothing_was_done(response.message()) => {
            Answer::Refused { reason: reason() }
        }
        _ => Answer::Unknown { reason: reason() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::history::Request as Ask;

    fn response(status: u16, body: Value) -> Response {
        let bytes = body.to_string().into_bytes();
        Response::new(status, http::HeaderMap::new(), bytes)
    }

    #[test]
    fn a_status_says_no_more_than_it_knows() {
        let update = Ask::Update {
            value: 1,
            expected: 2,
        };
        let body = json!({"metadata": {"resourceVersion": "9"}});
        let written = Answer::Written { revision: Some(9) };
        assert_eq!(answer(update, &response(200, body)), written);
        for status in [404, 409] {
            let said = answer(update, &response(status, Value::Null));
            assert!(matches!(said, Answer::Conflict { .. }), "{status}");
        }
        for status in [400, 401, 403, 413, 422, 429] {
            let said = answer(update, &response(status, Value::Null));
            assert!(matches!(said, Answer::Refused { .. }), "{status}");
        }
        for status in [500, 503, 504, 302] {
            let said = answer(update, &response(status, Value::Null));
            assert!(matches!(said, Answer::Unknown { .. }), "{status}");
        }
        let locked = json!({"message": "rpc error: code = Unknown desc = database is locked"});
        assert!(matches!(
            answer(update, &response(500, locked)),
            Answer::Refused { .. }
        ));
    }
}
