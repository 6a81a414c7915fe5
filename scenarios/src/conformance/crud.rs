//! The walk that upstream's own shared CRUD test makes since Kubernetes 1.35: everything of [`super::walk`], and then each way
//! of writing an object (update and the four kinds of patch) and its `/status`, each on an object made anew under the
//! same name. Stricter than upstream, which compares names only: what was written is read back, found and watched.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Resource, Response, WatchEvent};
use harness::check::{CheckContext, CheckFault, CheckResult, Requirement, Watching};
use serde_json::{Value, json};

use super::steps::{delete, left, read};
use super::walk::{Subject, discovered, subresources, walk_over};
use super::ways::{Way, holds, write};

/// What the walk notices, whatever the resource.
pub(crate) const KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::WRONG_KIND,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::ERROR_BECOMES_SUCCESS,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::UID_CHANGES,
    mutant::LABELS_LOST,
    mutant::STALE_READ,
    mutant::VERSION_CONSTANT,
    mutant::DROPS_ADDED,
    mutant::DROPS_MODIFIED,
    mutant::DROPS_DELETED,
    mutant::WATCH_IGNORES_SELECTOR,
    mutant::WATCH_STALE_OBJECT,
];

/// The same where controllers write too: of their changes and the walk's own, not every loss can be told.
pub(crate) const KILLS_BESIDE_CONTROLLERS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::WRONG_KIND,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::ERROR_BECOMES_SUCCESS,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::UID_CHANGES,
    mutant::LABELS_LOST,
    mutant::STALE_READ,
    mutant::VERSION_CONSTANT,
    mutant::DROPS_ADDED,
    mutant::NEVER_MODIFIED,
    mutant::DROPS_DELETED,
    mutant::WATCH_IGNORES_SELECTOR,
    mutant::WATCH_STALE_OBJECT,
];

/// Changes by others that are tolerated between two of the walk's own.
const OTHERS_WRITE_AT_MOST: usize = 60;

/// What to walk over.
pub(crate) struct Crud {
    subject: Subject,
    /// Whether objects may be named by the server.
    generated: bool,
    /// Whether a controller reconciles the objects: their status is written only once it has settled.
    reconciled: bool,
    /// Whether one object is made for all ways, since deleting takes long by design.
    kept: bool,
    change: Value,
    status: Option<Value>,
}

impl Crud {
    /// Objects with this body (without metadata), of which only labels change.
    pub(crate) fn of(resource: Resource, body: Value) -> Self {
        let mut subject = Subject::new(resource, body);
        subject.shared = true;
        Self {
            subject,
            generated: true,
            kept: false,
            reconciled: false,
            change: json!({}),
            status: None,
        }
    }

    /// Fields that change with the label; lists in it are the whole new lists.
    pub(crate) fn changing(mut self, change: Value) -> Self {
        self.change = change;
        self
    }

    /// A status to write through `/status`.
    pub(crate) fn with_status(mut self, status: Value) -> Self {
        self.status = Some(status);
        self
    }

    /// Of a resource whose deletion takes long by design: what is deleted is only seen marked for it.
    pub(crate) fn slow_to_delete(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Of a resource with a controller that tells in the status which generation it has seen.
    pub(crate) fn reconciled(mut self) -> Self {
        self.reconciled = true;
        self
    }

    /// Names, where not every name will do.
    pub(crate) fn named(mut self, names: [String; 4]) -> Self {
        self.subject.names = names;
        self.generated = false;
        self
    }
}

/// Walks over every verb and every way of writing.
pub(crate) async fn crud(cx: &CheckContext, crud: Crud) -> CheckResult {
    let resource = crud.subject.resource;
    if crud.kept {
        discovered(cx, resource).await?;
    } else {
        walk_over(cx, &crud.subject).await?;
    }
    if crud.status.is_some() {
        subresources(cx, resource, &["status"]).await?;
    }
    let (all, everywhere) = (cx.collection(resource).await?, cx.everywhere(resource));
    let mark = unique("crud");
    let selector = format!("crud={mark}");
    let before = everywhere.list(&[("labelSelector", &selector)]).await?;
    let version = cx
        .text("list", &before.body, "/metadata/resourceVersion")?
        .to_owned();
    cx.only("list of what is not made yet", &[], before)?;
    let query = [
        ("labelSelector", selector.as_str()),
        ("resourceVersion", version.as_str()),
    ];
    let mut seen = Seeing {
        cx,
        watch: cx.watch(&everywhere, &query).await?,
        version: number(cx, "list", &version)?,
    };
    let mut name = (!crud.generated).then(|| crud.subject.names[0].clone());
    let mut kept: Option<Value> = None;
    for way in Way::ALL {
        // The specimen alone may lack a way; a real server's refusal of it is a failure.
        if way == Way::Patch(PatchKind::Apply)
            && !cx
                .offer()
                .meets(Requirement::Behaviour("server-side-apply"))
        {
            continue;
        }
        let made = match kept.take() {
            Some(made) => made,
            None => {
                let made = make(cx, &all, &crud, &mark, name.as_deref()).await?;
                seen.written("ADDED", &made).await?;
                made
            }
        };
        let own = cx.text("create", &made, "/metadata/name")?.to_owned();
        let label = format!("{}-{mark}", way.name());
        let found = format!("crud-changed={label}");
        let written = written(cx, &all, &crud, way, &label, &made, &mut seen).await?;
        cx.only(
            "list in all namespaces by the new label",
            &[&own],
            everywhere.list(&[("labelSelector", &found)]).await?,
        )?;
        let last = way == Way::Patch(PatchKind::Json);
        if crud.kept {
            kept = Some(written);
            if last {
                marked(cx, &all, &own, all.delete(&own).await?).await?;
                let other = make(cx, &all, &crud, &mark, None).await?;
                let other = cx.text("create", &other, "/metadata/name")?;
                let answer = all
                    .delete_collection(&[("labelSelector", &selector)])
                    .await?;
                marked(cx, &all, other, answer).await?;
            }
            continue;
        }
        if last {
            let answer = all.delete_collection(&[("labelSelector", &found)]).await?;
            cx.status("deletecollection by the new label", 200, answer)?;
            left(cx, &all, &found, &[]).await?;
            cx.gone(&all, &own).await?;
        } else {
            delete(cx, &all, &own).await?;
        }
        seen.deleted(&made).await?;
        name = Some(own);
    }
    Ok(())
}

/// The deletion is accepted, and the object gone or marked for it.
async fn marked(cx: &CheckContext, all: &Collection, name: &str, answer: Response) -> CheckResult {
    let accepted = matches!(answer.status, 200 | 202);
    cx.expect("the deletion to be accepted", accepted, || answer.summary())?;
    let now = all.get(name).await?;
    let marked = now.body["metadata"]["deletionTimestamp"].is_string();
    cx.expect(
        &format!("{} to be gone or marked for deletion", all.item(name)),
        now.status == 404 || marked,
        || now.summary(),
    )
}

/// Creates under strict field validation.
async fn make(
    cx: &CheckContext,
    all: &Collection,
    crud: &Crud,
    mark: &str,
    name: Option<&str>,
) -> CheckResult<Value> {
    let mut object = crud.subject.body.clone();
    object["metadata"] = match name {
        Some(name) => json!({"name": name, "labels": {"crud": mark}}),
        None => json!({"generateName": format!("{mark}-"), "labels": {"crud": mark}}),
    };
    let answer = all
        .create_with(object, &[("fieldValidation", "Strict")])
        .await?;
    let made = cx.status("create under strict validation", 201, answer)?;
    cx.contains("the created object", &crud.subject.stored(), &made)?;
    Ok(made)
}

/// Writes the change, then the status, in one way; gives what was read back.
async fn written(
    cx: &CheckContext,
    all: &Collection,
    crud: &Crud,
    way: Way,
    label: &str,
    made: &Value,
    seen: &mut Seeing<'_>,
) -> CheckResult<Value> {
    let name = cx.text("create", made, "/metadata/name")?;
    let mut change = crud.change.clone();
    change["metadata"]["labels"]["crud-changed"] = json!(label);
    let answer = write(cx, all, name, way, &change).await?;
    let what = |what: &str| format!("{what} {}", way.name());
    cx.contains(&what("the answer to"), &change, &answer)?;
    let (old, new) = (
        version(cx, "create", made)?,
        version(cx, way.name(), &answer)?,
    );
    cx.expect(&what("a greater resourceVersion after"), new > old, || {
        format!("{new} after {old}")
    })?;
    let stored = read(cx, all, name).await?;
    cx.contains(&what("the object read after"), &change, &stored)?;
    let event = seen.written("MODIFIED", &answer).await?;
    cx.contains(&what("the event of"), &change, &event)?;

    let Some(mut status) = crud.status.clone() else {
        return Ok(stored);
    };
    if crud.reconciled {
        super::steps::settled(cx, all, name).await?;
    }
    // No two writes the same, so that each shows.
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        condition["message"] = json!(label);
    }
    let status = &status;
    let (sub, wrapped) = (format!("{name}/status"), json!({"status": status}));
    let answer = write(cx, all, &sub, way, &wrapped).await?;
    holds(cx, &what("the answer to the status"), status, &answer)?;
    let through = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    cx.expect_eq(
        "uid in /status",
        made["metadata"]["uid"].clone(),
        through["metadata"]["uid"].clone(),
    )?;
    cx.expect_eq(
        "kind in /status",
        crud.subject.resource.kind,
        through["kind"].as_str().unwrap_or_default(),
    )?;
    holds(cx, &what("/status after the status"), status, &through)?;
    let stored = read(cx, all, name).await?;
    holds(
        cx,
        &what("the object read after the status"),
        status,
        &stored,
    )?;
    cx.contains(&what("the object after the status"), &change, &stored)?;
    let event = seen.written("MODIFIED", &answer).await?;
    holds(cx, &what("the event of the status"), status, &event)?;
    Ok(stored)
}

/// The watch over all namespaces. Versions in it never fall.
struct Seeing<'c> {
    cx: &'c CheckContext,
    watch: Watching<'c>,
    version: u64,
}

impl Seeing<'_> {
    /// The event of a write, which has the version that was answered to it. Changes of the same object by controllers may
    /// come before.
    async fn written(&mut self, kind: &str, answer: &Value) -> CheckResult<Value> {
        let wanted = version(self.cx, "the answer", answer)?;
        for _ in 0..OTHERS_WRITE_AT_MOST {
            let event = self.any(kind, answer).await?;
            self.cx.expect(
                &format!("{kind} with resourceVersion {wanted} in the watch"),
                self.version <= wanted,
                || format!("{} with {} and not that before", event.kind, self.version),
            )?;
            if self.version == wanted {
                self.cx
                    .expect_eq("kind of the event", kind, event.kind.as_str())?;
                return Ok(event.object);
            }
        }
        Err(too_many(kind))
    }

    /// The deletion of an object, whose version nobody was told.
    async fn deleted(&mut self, made: &Value) -> CheckResult {
        for _ in 0..OTHERS_WRITE_AT_MOST {
            if self.any("DELETED", made).await?.kind == "DELETED" {
                return Ok(());
            }
        }
        Err(too_many("DELETED"))
    }

    /// The next event, which must be of this kind or a change by a controller.
    async fn any(&mut self, kind: &str, made: &Value) -> CheckResult<WatchEvent> {
        let name = made["metadata"]["name"].as_str().unwrap_or_default();
        let event = self.watch.any(&format!("{kind} of {name}")).await?;
        let same = event.object["metadata"]["uid"] == made["metadata"]["uid"];
        self.cx.expect(
            &format!("{kind} of {name} in the watch"),
            same && (event.kind == kind || event.kind == "MODIFIED"),
            || format!("{} of {}", event.kind, event.object["metadata"]),
        )?;
        let now = number(self.cx, "the event", event.version())?;
        self.cx.expect(
            "a resourceVersion that does not fall",
            now >= self.version,
            || format!("{now} after {}", self.version),
        )?;
        self.version = now;
        Ok(event)
    }
}

fn too_many(kind: &str) -> CheckFault {
    CheckFault::Failed(format!(
        "expected {kind} in the watch; seen: {OTHERS_WRITE_AT_MOST} other changes"
    ))
}

fn version(cx: &CheckContext, what: &str, object: &Value) -> CheckResult<u64> {
    number(
        cx,
        what,
        cx.text(what, object, "/metadata/resourceVersion")?,
    )
}

/// Since Kubernetes 1.35 clients may compare versions as numbers; those of every older server are numbers too.
fn number(cx: &CheckContext, what: &str, version: &str) -> CheckResult<u64> {
    let number = version.parse().ok();
    cx.expect(
        &format!("a resourceVersion that is a number, in {what}"),
        number.is_some(),
        || version.to_owned(),
    )?;
    Ok(number.unwrap_or_default())
}
