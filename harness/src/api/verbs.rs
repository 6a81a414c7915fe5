//! Short forms of the usual requests.

use serde_json::Value;

use super::{Api, ApiError, Method, PatchKind, Request, Response};

impl Api {
    /// GET.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn get(&self, path: &str) -> Result<Response, ApiError> {
        self.send(Request::get(path)).await
    }

    /// GET of a collection with query parameters.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn list(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, ApiError> {
        self.send(Request::get(path).query(query)).await
    }

    /// POST.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn create(&self, path: &str, body: Value) -> Result<Response, ApiError> {
        self.send(Request::new(Method::POST, path).body(body)).await
    }

    /// PUT.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn replace(&self, path: &str, body: Value) -> Result<Response, ApiError> {
        self.send(Request::new(Method::PUT, path).body(body)).await
    }

    /// PATCH.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn patch(
        &self,
        path: &str,
        kind: PatchKind,
        body: Value,
    ) -> Result<Response, ApiError> {
        self.send(
            Request::new(Method::PATCH, path)
                .content_type(kind.content_type())
                .body(body),
        )
        .await
    }

    /// DELETE, of an object or a collection, with the server's own choice of propagation.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, ApiError> {
        self.send(Request::new(Method::DELETE, path).query(query))
            .await
    }
}
