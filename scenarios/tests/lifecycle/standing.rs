//! A cluster that was there before assay, for the tests of the target `existing`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use harness::api::{Api, RUN_LABEL, client};

use crate::support::{Sandbox, binary, until};

/// A server that nobody's run provisioned: a specimen, or one that was there before the test.
pub struct Standing {
    /// `None`: somebody else runs it.
    child: Option<Child>,
    pub kubeconfig: PathBuf,
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Standing {
    pub fn new(sandbox: &Sandbox) -> Self {
        let data = sandbox.path("standing");
        std::fs::create_dir(&data).unwrap();
        let child = Command::new(binary())
            .args(["__specimen", "--listen", "127.0.0.1:0"])
            .args(["--advertise", "127.0.0.1", "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the specimen");
        let standing = Self {
            child: Some(child),
            kubeconfig: data.join("kubeconfig"),
        };
        until("the specimen writes its kubeconfig", || {
            standing.kubeconfig.exists().then_some(())
        });
        standing
    }

    /// One that runs already.
    pub fn given(kubeconfig: PathBuf) -> Self {
        Self {
            child: None,
            kubeconfig,
        }
    }

    pub fn args(&self, sandbox: &Sandbox, more: &[&str]) -> Vec<String> {
        let file = self.kubeconfig.display().to_string();
        let out = sandbox.out().display().to_string();
        let words = ["suite", "conformance", "--target", "existing"];
        let rest = ["--kubeconfig", &file, "--out", &out];
        let all = words.iter().chain(&rest).chain(more);
        all.map(ToString::to_string).collect()
    }

    /// Does something in the cluster.
    pub fn with<T>(&self, work: impl AsyncFnOnce(Api) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let client = client(&self.kubeconfig, None, None).await.unwrap();
            work(Api::new(client, "bystander")).await
        })
    }

    /// The namespaces that carry any run's label.
    pub fn of_runs(&self) -> Vec<String> {
        self.with(async |api| {
            let query = [("labelSelector", RUN_LABEL)];
            let list = api.list("/api/v1/namespaces", &query).await.unwrap();
            let items = list.body["items"].as_array().expect("a list").clone();
            items
                .iter()
                .map(|item| item["metadata"]["name"].to_string())
                .collect()
        })
    }

    /// Every object that the server lists, by its path and uid, but for those that servers write by themselves.
    pub fn objects(&self) -> BTreeSet<String> {
        self.with(async |api| {
            let mut found = BTreeSet::new();
            for (path, kind) in collections(&api).await {
                if ["events", "leases"].contains(&kind.as_str()) {
                    continue;
                }
                let list = api.list(&path, &[]).await.unwrap();
                for item in list.body["items"].as_array().into_iter().flatten() {
                    let about = &item["metadata"];
                    let (within, name) = (&about["namespace"], &about["name"]);
                    found.insert(format!("{path} {within} {name} {}", about["uid"]));
                }
            }
            found
        })
    }
}

/// The path and the plural of everything that can be listed.
async fn collections(api: &Api) -> Vec<(String, String)> {
    let groups = api.get("/apis").await.unwrap();
    let groups = groups.body["groups"]
        .as_array()
        .expect("the groups")
        .clone();
    let mut roots = vec!["/api/v1".to_owned()];
    roots.extend(groups.iter().map(|group| {
        let version = group["preferredVersion"]["groupVersion"].as_str();
        format!("/apis/{}", version.expect("a version"))
    }));
    let mut found = Vec::new();
    for root in roots {
        let listed = api.get(&root).await.unwrap();
        // A group whose server is away lists nothing.
        for resource in listed.body["resources"].as_array().into_iter().flatten() {
            let name = resource["name"].as_str().expect("a name");
            let verbs = resource["verbs"].as_array().cloned().unwrap_or_default();
            if !name.contains('/') && verbs.iter().any(|verb| verb == "list") {
                found.push((format!("{root}/{name}"), name.to_owned()));
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}
