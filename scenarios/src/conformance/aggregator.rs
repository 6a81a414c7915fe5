//! The aggregator: an API group that another server serves, here assay itself instead of the sample API server.
//!
//! An APIService names its server by a Service. Without anything that routes to Services' addresses, an ExternalName
//! Service with the address as its name is resolved by an API server that resolves Services by their address; one that
//! resolves them by their endpoints (`--enable-aggregator-routing`) refuses that type, and gets a Service with endpoints.

use std::time::Duration;

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Request, Resource};
use harness::callback::{CallbackOptions, CallbackServer};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::admitting::flunders::{Flunders, VERSION};
use super::admitting::proxy::{FrontProxy, SERVICE, front_proxy, scaffold, with_endpoints};
use super::kinds::SERVICES;
use super::steps::{create, read, update};

const API_SERVICES: Resource =
    Resource::cluster("apiregistration.k8s.io/v1", "apiservices", "APIService");

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "aggregator/serves-another-servers-group",
    title: "An APIService becomes available, its group is discovered and served by another server in the caller's name, and is gone with it; its status is written apart.",
    official: &[
        "[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator",
    ],
    requires: &[
        Requirement::Callback,
        Requirement::Resource("apiregistration.k8s.io/v1", "apiservices"),
        Requirement::Resource("apiregistration.k8s.io/v1", "apiservices/status"),
    ],
    kills: &[
        mutant::GROUPS_MISSING,
        mutant::RESOURCES_MISSING,
        mutant::CREATE_NOT_STORED,
        mutant::DELETE_IGNORED,
        mutant::DELETE_COLLECTION_DELETES_NOTHING,
        mutant::LIST_LOSES_ITEM,
        mutant::PATCH_NOT_APPLIED,
        mutant::UPDATE_NOT_APPLIED,
        mutant::STATUS_NOT_APPLIED,
        mutant::VERSION_DECREASING,
        mutant::IMPERSONATION_IGNORED,
    ],
    serial: Some(
        "an APIService changes what discovery shows, and a group that does not answer holds the deletion of every namespace",
    ),
    // A server serves a new group only after it merged the OpenAPI documents of all: tens of seconds on a slow device.
    patience: Duration::from_secs(60),
    run: |cx| Box::pin(aggregated(cx)),
    ..Check::BASE
}];

async fn aggregated(cx: &CheckContext) -> CheckResult {
    let proxy = front_proxy(cx).await?;
    let namespace = cx.namespace().await?;
    let options = CallbackOptions {
        names: vec![format!("{SERVICE}.{namespace}.svc")],
        client_authority: Some(proxy.authority.clone()),
    };
    let server = cx.callback_with(&options).await?;
    let group = format!("{}.example.com", unique("wardle"));
    let flunders = Flunders::serve(server, &group);
    let scene = Scene {
        cx,
        flunders,
        proxy,
        name: format!("{VERSION}.{group}"),
        path: format!("/apis/{group}/{VERSION}/namespaces/{namespace}/flunders"),
        group,
    };
    scene.register(server, &options).await?;
    scene.discovered().await?;
    scene.served("rest").await?;
    scene.in_the_callers_name().await?;
    scene.make("kept").await?;
    scene.changed().await?;
    scene.status_apart().await?;
    cx.only(
        "flunders at the end",
        &["kept"],
        cx.api().get(&scene.path).await?,
    )?;
    scene.removed().await
}

struct Scene<'c> {
    cx: &'c CheckContext,
    flunders: Flunders,
    proxy: FrontProxy,
    group: String,
    /// The APIService's name.
    name: String,
    /// The flunders of the check's own namespace.
    path: String,
}

impl Scene<'_> {
    fn all(&self) -> Collection {
        self.cx.everywhere(API_SERVICES)
    }

    /// Makes the Service and the APIService, and waits until it is available and answers.
    async fn register(&self, server: &CallbackServer, options: &CallbackOptions) -> CheckResult {
        let (cx, namespace, address) = (self.cx, self.cx.namespace().await?, server.address());
        let services = Collection::new(&cx.api().clean(), SERVICES, Some(namespace));
        let by_name = json!({"metadata": {"name": SERVICE},
            "spec": {"type": "ExternalName", "externalName": address.ip().to_string()}});
        scaffold(&services, by_name).await?;
        let object = json!({"metadata": {"name": self.name}, "spec": {
            "group": self.group, "version": VERSION, "groupPriorityMinimum": 2000, "versionPriority": 200,
            "service": {"namespace": namespace, "name": SERVICE, "port": address.port()}, "caBundle": server.ca_bundle()}});
        create(cx, &self.all(), object).await?;
        if self.available(true).await? == Resolved::NotByName {
            let server = cx.callback_endpoint(options).await?;
            self.flunders.also(server);
            let deleted = services.delete(SERVICE).await?;
            let gone = deleted.is_success();
            cx.expect("the Service to go", gone, || deleted.summary())?;
            with_endpoints(cx, &services, namespace, server.address()).await?;
            let moved = json!({"spec": {"caBundle": server.ca_bundle(), "service": {"port": server.address().port()}}});
            let all = Collection::new(&cx.api().clean(), API_SERVICES, None);
            let answer = all.patch(&self.name, PatchKind::Merge, moved).await?;
            cx.status("move of the APIService", 200, answer)?;
            self.available(false).await?;
        }
        cx.wait(&format!("{} to be served", self.path), || async {
            let answer = cx.api().get(&self.path).await?;
            Ok(Seen::when(answer.status == 200, || answer.summary()))
        })
        .await
    }

    /// Waits until it is available or, where `by_name`, refused for being a name.
    async fn available(&self, by_name: bool) -> CheckResult<Resolved> {
        let cx = self.cx;
        let what = format!("the APIService {} to be available", self.name);
        cx.wait(&what, || async {
            let object = read(cx, &self.all(), &self.name).await?;
            let list = object["status"]["conditions"].as_array();
            let condition = list
                .into_iter()
                .flatten()
                .find(|one| one["type"] == "Available");
            let condition = condition.cloned().unwrap_or_default();
            let message = condition["message"].as_str().unwrap_or_default();
            Ok(if condition["status"] == "True" {
                Seen::Done(Resolved::Available)
            } else if by_name && message.contains("unsupported service type") {
                Seen::Done(Resolved::NotByName)
            } else {
                Seen::Not(condition.to_string())
            })
        })
        .await
    }

    /// In the list of groups, by itself, and with its resource.
    async fn discovered(&self) -> CheckResult {
        let (cx, api) = (self.cx, self.cx.api());
        let groups = cx.status("GET /apis", 200, api.get("/apis").await?)?;
        let list = groups["groups"].as_array();
        let listed = list
            .into_iter()
            .flatten()
            .find(|one| one["name"] == self.group.as_str());
        let own = cx.status(
            "the group",
            200,
            api.get(&format!("/apis/{}", self.group)).await?,
        )?;
        let full = format!("{}/{VERSION}", self.group);
        for (what, group) in [("list of groups", listed), ("group", Some(&own))] {
            let group = group.cloned().unwrap_or_default();
            let versions = json!({"versions": [{"groupVersion": full, "version": VERSION}]});
            cx.contains(&format!("the {what}"), &versions, &group)?;
        }
        let list = cx.status(&full, 200, api.get(&format!("/apis/{full}")).await?)?;
        let expected = json!({"groupVersion": full, "resources": [{"name": "flunders", "kind": "Flunder", "namespaced": true}]});
        cx.contains("the resource list", &expected, &list)
    }

    async fn make(&self, name: &str) -> CheckResult {
        let full = format!("{}/{VERSION}", self.group);
        let object = json!({"apiVersion": full, "kind": "Flunder",
            "metadata": {"name": name, "labels": {"sample-label": "true"}}, "spec": {}});
        let answer = self.cx.api().create(&self.path, object).await?;
        let made = self.cx.status("creation of a flunder", 201, answer)?;
        let expected = json!({"apiVersion": full, "kind": "Flunder", "metadata": {"name": name}});
        self.cx.contains("the flunder", &expected, &made)
    }

    /// Made, listed, deleted, no longer listed.
    async fn served(&self, name: &str) -> CheckResult {
        let (cx, api) = (self.cx, self.cx.api());
        self.make(name).await?;
        cx.only("flunders", &[name], api.get(&self.path).await?)?;
        let item = format!("{}/{name}", self.path);
        cx.status("deletion of a flunder", 200, api.delete(&item, &[]).await?)?;
        cx.only(
            "flunders after the deletion",
            &[],
            api.get(&self.path).await?,
        )?;
        cx.refused(
            "get of a deleted flunder",
            404,
            "NotFound",
            &api.get(&item).await?,
        )
    }

    /// The other server learns from the proxy alone, by its certificate and headers, who asks.
    async fn in_the_callers_name(&self) -> CheckResult {
        let (cx, user) = (self.cx, unique("user"));
        let item = format!("{}/{user}", self.path);
        let request = Request::get(&item)
            .header("Impersonate-User", &user)
            .header("Impersonate-Group", "system:masters")
            // What a client claims by itself must not get through.
            .header("X-Remote-User", "assay-forged")
            .header("X-Remote-Group", "assay-forged");
        let answer = cx.api().send(request).await?;
        cx.refused("get in another user's name", 404, "NotFound", &answer)?;
        let callers = self.flunders.callers();
        let caller = callers
            .iter()
            .find(|caller| caller.request.ends_with(&item));
        let seen = || format!("{caller:?}");
        cx.expect_eq(
            "X-Remote-User",
            Some(user.as_str()),
            caller.map(|one| one.user.as_str()),
        )?;
        let groups = caller.map(|one| one.groups.as_slice()).unwrap_or_default();
        let real = groups.iter().any(|group| group == "system:masters");
        let forged = groups.iter().any(|group| group == "assay-forged");
        cx.expect(
            "X-Remote-Group to be the user's, and only those",
            real && !forged,
            seen,
        )?;
        for caller in &callers {
            let names = &self.proxy.names;
            let named = |name: &String| names.is_empty() || names.contains(name);
            cx.expect(
                "a certificate of the front proxy, with a name that the cluster allows",
                caller.certificate.as_ref().is_some_and(named),
                || format!("{caller:?}"),
            )?;
        }
        Ok(())
    }

    /// Patched, listed and replaced.
    async fn changed(&self) -> CheckResult {
        let (cx, all) = (self.cx, self.all());
        let before = read(cx, &all, &format!("{}/status", self.name)).await?;
        let conditions = before["status"]["conditions"].as_array();
        let told = conditions
            .and_then(|list| list.first())
            .cloned()
            .unwrap_or_default();
        let expected =
            json!({"type": "Available", "status": "True", "message": "all checks passed"});
        cx.contains("the first condition", &expected, &told)?;
        let patch = json!({"spec": {"versionPriority": 400}});
        let answer = all.patch(&self.name, PatchKind::Merge, patch).await?;
        let patched = cx.status("patch", 200, answer)?;
        cx.expect_eq(
            "versionPriority",
            json!(400),
            patched["spec"]["versionPriority"].clone(),
        )?;
        let version = |object: &Value| {
            let text = object["metadata"]["resourceVersion"].as_str();
            text.and_then(|text| text.parse::<u64>().ok())
        };
        let versions = [version(&before), version(&patched)];
        cx.expect(
            "the patch to have a greater resourceVersion",
            versions.iter().all(Option::is_some) && versions[0] < versions[1],
            || format!("{versions:?}"),
        )?;
        let names = cx.names("APIServices", all.list(&[]).await?)?;
        cx.expect(
            "the APIService in the list",
            names.contains(&self.name),
            || format!("{names:?}"),
        )?;
        let labels = json!({"metadata": {"labels": {"assay-step": "patched"}}});
        let answer = all
            .patch(&self.name, PatchKind::Strategic, labels.clone())
            .await?;
        cx.status("patch of the labels", 200, answer)?;
        let stored = read(cx, &all, &self.name).await?;
        cx.contains("the labels as patched", &labels, &stored)?;
        update(cx, &all, &self.name, |object| {
            object["metadata"]["labels"]["assay-step"] = json!("updated");
        })
        .await?;
        let stored = read(cx, &all, &self.name).await?;
        let labels = json!({"metadata": {"labels": {"assay-step": "updated"}}});
        cx.contains("the labels as updated", &labels, &stored)
    }

    /// Conditions are added by update and by patch of the status, and the rest stays.
    async fn status_apart(&self) -> CheckResult {
        let (cx, all, sub) = (self.cx, self.all(), format!("{}/status", self.name));
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "assay", "message": "set by assay"});
        update(cx, &all, &sub, |object| {
            let list = object["status"]["conditions"].as_array_mut();
            list.into_iter()
                .for_each(|list| list.push(condition("StatusUpdated")));
        })
        .await?;
        let stored = self.has_condition("StatusUpdated").await?;
        let mut list = stored["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        list.push(condition("StatusPatched"));
        let patch = json!({"status": {"conditions": list}});
        let answer = all.patch(&sub, PatchKind::Merge, patch).await?;
        cx.status("patch of /status", 200, answer)?;
        let patched = self.has_condition("StatusPatched").await?;
        cx.expect_eq("spec", stored["spec"].clone(), patched["spec"].clone())
    }

    async fn has_condition(&self, kind: &str) -> CheckResult<Value> {
        let stored = read(self.cx, &self.all(), &format!("{}/status", self.name)).await?;
        let list = stored["status"]["conditions"].as_array();
        let set = |one: &Value| one["type"] == kind && one["message"] == "set by assay";
        let found = list.into_iter().flatten().any(set);
        let seen = || stored["status"].to_string();
        self.cx
            .expect(&format!("the condition {kind}"), found, seen)?;
        Ok(stored)
    }

    /// Deleted as a collection by its own label, and its group goes with it.
    async fn removed(&self) -> CheckResult {
        let (cx, all) = (self.cx, self.all());
        let own = self.name.clone();
        let label = json!({"metadata": {"labels": {"assay-name": own}}});
        let answer = all.patch(&self.name, PatchKind::Merge, label).await?;
        cx.status("patch of the label", 200, answer)?;
        let selector = format!("assay-name={own}");
        let query = [("labelSelector", selector.as_str())];
        cx.only(
            "APIServices by label",
            &[&self.name],
            all.list(&query).await?,
        )?;
        cx.status(
            "deletecollection",
            200,
            all.delete_collection(&query).await?,
        )?;
        // Gone or marked at once: a deletion that did nothing need not be waited for.
        let now = all.get(&self.name).await?;
        let marked = now.body["metadata"]["deletionTimestamp"].is_string();
        let going = now.status == 404 || marked;
        cx.expect("the APIService to go", going, || now.summary())?;
        cx.wait("the APIService to be gone", || async {
            let left = cx.names("list", all.list(&query).await?)?;
            Ok(Seen::when(left.is_empty(), || format!("{left:?}")))
        })
        .await?;
        cx.wait("the group to be served no longer", || async {
            let answer = cx.api().get(&self.path).await?;
            Ok(Seen::when(answer.status == 404, || answer.summary()))
        })
        .await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolved {
    Available,
    /// The server refuses Services that are names.
    NotByName,
}
