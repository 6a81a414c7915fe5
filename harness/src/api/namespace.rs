//! Temporary namespaces: generated names, labelled with the run, removed through the ledger.

use serde_json::json;

use super::{Api, ApiError, Collection, RUN_LABEL, Resource, Response};

/// Namespaces as a resource.
pub const NAMESPACES: Resource = Resource::cluster("v1", "namespaces", "Namespace");

/// A name that nothing else has: `assay-`, what it is for, and eight random hexadecimal digits.
#[must_use]
pub fn unique(purpose: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("assay-{purpose}-{}", &random[..8])
}

impl Api {
    /// Makes a namespace and enters it into the ledger. Its name is in the answer's request, so it is returned beside it.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn make_namespace(&self, purpose: &str) -> Result<(String, Response), ApiError> {
        let name = unique(purpose);
        let response = Collection::new(self, NAMESPACES, None)
            .create(json!({"metadata": {"name": name}}))
            .await?;
        Ok((name, response))
    }

    /// Asks for the removal of every namespace that carries this run's label, for `assay sweep`; gives their paths.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn sweep_namespaces(&self) -> Result<Vec<String>, ApiError> {
        let api = self.clean();
        let label = format!("{RUN_LABEL}={}", self.run());
        let found = api
            .list("/api/v1/namespaces", &[("labelSelector", &label)])
            .await?;
        let mut paths = Vec::new();
        for item in found.body["items"].as_array().into_iter().flatten() {
            // Believe the label on the object, not the server's selection: the wrong namespace would be lost for good.
            if item["metadata"]["labels"][RUN_LABEL] == self.run() {
                let path = format!(
                    "/api/v1/namespaces/{}",
                    item["metadata"]["name"].as_str().unwrap_or_default()
                );
                api.delete(&path, &[]).await?;
                paths.push(path);
            }
        }
        Ok(paths)
    }
}
