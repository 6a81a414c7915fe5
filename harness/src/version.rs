//! The version that a server tells of itself, for binaries that this host cannot run to ask them.

use std::time::Duration;

use crate::distribution::Access as AccessFile;
use crate::scenario::Access;

/// What stands for a version until the server told it.
pub const UNKNOWN: &str = "unknown";
/// It has just shown that it answers.
const WITHIN: Duration = Duration::from_secs(10);
/// A version is a word; what is longer is something else.
const LONGEST: usize = 60;

/// Asks a ready server. `None` where it does not tell, which is no failure: it is then unknown as before.
pub async fn told(access: &Access, file: &AccessFile) -> Option<String> {
    let (body, field) = match (access, file) {
        (Access::Kubernetes(api), _) => (api.get("/version").await.ok()?.body, "gitVersion"),
        (Access::Etcd(_), AccessFile::Etcd { url }) => {
            let client = reqwest::Client::builder().timeout(WITHIN).build().ok()?;
            let answer = client.get(format!("{url}/version")).send().await.ok()?;
            let text = answer.text().await.ok()?;
            (serde_json::from_str(&text).ok()?, "etcdserver")
        }
        _ => return None,
    };
    let version = crate::text::tame(body.get(field)?.as_str()?);
    (!version.is_empty() && version.len() <= LONGEST).then_some(version)
}
