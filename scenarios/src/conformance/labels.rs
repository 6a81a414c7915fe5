//! What labels do once they are changed.

use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::steps::update;

/// A label set by a patch, of the kind that merges lists by key where the server has it, and changed by an update: each
/// value selects the object, and the former one no longer.
pub(crate) async fn relabelled(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    selector: &str,
) -> CheckResult {
    let strategic = cx.offer().meets(Requirement::Behaviour("strategic-merge"));
    let kind = if strategic {
        PatchKind::Strategic
    } else {
        PatchKind::Merge
    };
    for value in ["patched", "updated"] {
        let labels = json!({"metadata": {"labels": {"state": value}}});
        let answer = if value == "patched" {
            let answer = all.patch(name, kind, labels.clone()).await?;
            cx.status("patch of a label", 200, answer)?
        } else {
            update(cx, all, name, |object| {
                object["metadata"]["labels"]["state"] = json!(value)
            })
            .await?
        };
        cx.contains("the answer to the change of the label", &labels, &answer)?;
        for state in ["patched", "updated"] {
            let selected = format!("{selector},state={state}");
            let expected: &[&str] = if state == value { &[name] } else { &[] };
            cx.only(
                &format!("list by the label {state}"),
                expected,
                all.list(&[("labelSelector", &selected)]).await?,
            )?;
        }
    }
    Ok(())
}
