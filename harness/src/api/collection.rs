//! A resource as the API names it, and its collection in one namespace or in the cluster.

use serde_json::{Value, json};

use super::{Api, ApiError, Method, PatchKind, RUN_LABEL, Request, Response, WatchAnswer};

/// A resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resource {
    /// `v1`, `apps/v1`, …
    pub group_version: &'static str,
    /// Its name in paths.
    pub plural: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Whether it lives in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// A resource that lives in namespaces.
    #[must_use]
    pub const fn namespaced(
        group_version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Self {
        Self {
            group_version,
            plural,
            kind,
            namespaced: true,
        }
    }

    /// A resource of the cluster.
    #[must_use]
    pub const fn cluster(
        group_version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Self {
        Self {
            group_version,
            plural,
            kind,
            namespaced: false,
        }
    }

    /// Where its group is served.
    #[must_use]
    pub fn root(&self) -> String {
        group_root(self.group_version)
    }

    /// The path of the collection: of one namespace, or of the whole cluster.
    #[must_use]
    pub fn path(&self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) if self.namespaced => {
                format!("{}/namespaces/{namespace}/{}", self.root(), self.plural)
            }
            _ => format!("{}/{}", self.root(), self.plural),
        }
    }
}

/// Where a group version is served.
#[must_use]
pub(crate) fn group_root(group_version: &str) -> String {
    if group_version.contains('/') {
        format!("/apis/{group_version}")
    } else {
        format!("/api/{group_version}")
    }
}

/// A collection that one client sees.
#[derive(Clone)]
pub struct Collection {
    api: Api,
    resource: Resource,
    path: String,
}

impl Collection {
    /// The collection of a namespace, or with `None` of the whole cluster.
    #[must_use]
    pub fn new(api: &Api, resource: Resource, namespace: Option<&str>) -> Self {
        Self {
            api: api.clone(),
            resource,
            path: resource.path(namespace),
        }
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// The collection's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of an object, or with `name/status` of a subresource.
    #[must_use]
    pub fn item(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Fills in `apiVersion`, `kind` and the run's label.
    #[must_use]
    pub fn labelled(&self, mut object: Value) -> Value {
        if object.get("apiVersion").is_none() {
            object["apiVersion"] = json!(self.resource.group_version);
        }
        if object.get("kind").is_none() {
            object["kind"] = json!(self.resource.kind);
        }
        object["metadata"]["labels"][RUN_LABEL] = json!(self.api.run());
        object
    }

    /// POST of an object, labelled; `apiVersion` and `kind` are filled in where missing.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn create(&self, object: Value) -> Result<Response, ApiError> {
        self.create_with(object, &[]).await
    }

    /// The same with query parameters, such as `dryRun=All`.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn create_with(
        &self,
        object: Value,
        query: &[(&str, &str)],
    ) -> Result<Response, ApiError> {
        let object = self.labelled(object);
        // Into the ledger before it is made: what is interrupted between the two is still removed.
        let given = object["metadata"]["name"].as_str();
        let entered = given.is_some_and(|name| self.enter(name, &object));
        let prefix = object["metadata"]["generateName"].as_str();
        let prefix = prefix.filter(|_| given.is_none() && self.stays(&object));
        if let Some(prefix) = prefix {
            self.api.ledger().enter_unnamed(&self.path, prefix);
        }
        let response = self
            .api
            .send(
                Request::new(Method::POST, &self.path)
                    .query(query)
                    .body(object.clone()),
            )
            .await?;
        // A 5xx may come although the object was stored.
        let told =
            response.body["metadata"]["name"].is_string() || (400..500).contains(&response.status);
        if let Some(prefix) = prefix.filter(|_| told) {
            self.api.ledger().named(&self.path, prefix);
        }
        match (given, response.body["metadata"]["name"].as_str()) {
            (None, Some(name)) => _ = self.enter(name, &object),
            // Somebody else's object has this name; it must not be removed with ours.
            (Some(name), _) if entered && response.status == 409 => {
                self.api.ledger().leave(&self.item(name))
            }
            _ => {}
        }
        Ok(response)
    }

    /// Whether it needs an entry: what goes with its namespace does not, unless a finalizer would hold the namespace.
    fn stays(&self, object: &Value) -> bool {
        let held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        !self.resource.namespaced || held
    }

    fn enter(&self, name: &str, object: &Value) -> bool {
        self.stays(object)
            && self
                .api
                .ledger()
                .enter(self.item(name), self.resource.plural == "namespaces")
    }

    /// GET of an object or, with `name/status`, of a subresource.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn get(&self, name: &str) -> Result<Response, ApiError> {
        self.api.get(&self.item(name)).await
    }

    /// GET of the collection.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn list(&self, query: &[(&str, &str)]) -> Result<Response, ApiError> {
        self.api.list(&self.path, query).await
    }

    /// PUT of an object or subresource.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn replace(&self, name: &str, object: Value) -> Result<Response, ApiError> {
        self.api.replace(&self.item(name), object).await
    }

    /// PATCH of an object or subresource.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn patch(
        &self,
        name: &str,
        kind: PatchKind,
        patch: Value,
    ) -> Result<Response, ApiError> {
        self.api.patch(&self.item(name), kind, patch).await
    }

    /// DELETE of an object.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn delete(&self, name: &str) -> Result<Response, ApiError> {
        self.api.delete(&self.item(name), &[]).await
    }

    /// DELETE of an object with options, such as a propagation policy or preconditions.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn delete_with(&self, name: &str, options: Value) -> Result<Response, ApiError> {
        let mut options = options;
        options["apiVersion"] = json!("v1");
        options["kind"] = json!("DeleteOptions");
        self.api
            .send(Request::new(Method::DELETE, self.item(name)).body(options))
            .await
    }

    /// DELETE of what the query selects.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn delete_collection(&self, query: &[(&str, &str)]) -> Result<Response, ApiError> {
        self.api.delete(&self.path, query).await
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn watch(&self, query: &[(&str, &str)]) -> Result<WatchAnswer, ApiError> {
        self.api.watch(Request::get(&self.path).query(query)).await
    }
}
