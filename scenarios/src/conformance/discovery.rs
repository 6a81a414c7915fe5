//! Discovery: groups, versions and resources.

use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult};

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "discovery/preferred-version-is-listed",
    title: "Each API group prefers a version that it lists.",
    official: &["[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup"],
    kills: &[mutant::GROUPS_MISSING, mutant::PREFERRED_VERSION_UNLISTED],
    run: |cx| Box::pin(preferred_version(cx)),
    ..Check::BASE
}];

async fn preferred_version(cx: &CheckContext) -> CheckResult {
    let list = cx.status("GET /apis", 200, cx.api().get("/apis").await?)?;
    cx.expect_eq(
        "kind of /apis",
        "APIGroupList",
        list["kind"].as_str().unwrap_or_default(),
    )?;
    let groups = list["groups"].as_array().cloned().unwrap_or_default();
    cx.expect("at least one API group", !groups.is_empty(), || {
        list.to_string()
    })?;
    for listed in &groups {
        let name = cx.text("an entry of /apis", listed, "/name")?;
        let group = cx.status(name, 200, cx.api().get(&format!("/apis/{name}")).await?)?;
        cx.expect_eq(
            "kind of the group",
            "APIGroup",
            group["kind"].as_str().unwrap_or_default(),
        )?;
        // Both views of a group must agree with themselves.
        for view in [listed, &group] {
            let preferred = cx.text(name, view, "/preferredVersion/groupVersion")?;
            let versions = view["versions"].as_array().cloned().unwrap_or_default();
            let found = versions
                .iter()
                .any(|version| version["groupVersion"] == preferred);
            cx.expect(
                &format!("{name} to list its preferred version {preferred}"),
                found,
                || view.to_string(),
            )?;
        }
    }
    Ok(())
}
