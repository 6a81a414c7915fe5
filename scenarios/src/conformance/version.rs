//! What the server says of itself.

use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult};

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "version/major-and-minor-are-numbers",
    title: "/version answers with a major and a minor number that agree with gitVersion.",
    official: &["[sig-api-machinery] server version should find the server version"],
    kills: &[mutant::SERVER_VERSION_MISSING, mutant::WRONG_CONTENT_TYPE],
    run: |cx| Box::pin(major_and_minor(cx)),
    ..Check::BASE
}];

/// Distributions append `+` to the minor number, and their own suffix to `gitVersion`.
async fn major_and_minor(cx: &CheckContext) -> CheckResult {
    let answer = cx.api().get("/version").await?;
    cx.expect_eq(
        "content type of /version",
        "application/json",
        answer.content_type(),
    )?;
    let version = cx.status("GET /version", 200, answer)?;
    let major = cx.text("/version", &version, "/major")?;
    let minor = cx
        .text("/version", &version, "/minor")?
        .trim_end_matches('+');
    for (name, number) in [("major", major), ("minor", minor)] {
        cx.expect(
            &format!("{name} to be a number"),
            number.parse::<u32>().is_ok(),
            || number.to_owned(),
        )?;
    }
    let full = cx.text("/version", &version, "/gitVersion")?;
    cx.expect(
        &format!("gitVersion to begin with v{major}.{minor}."),
        full.starts_with(&format!("v{major}.{minor}.")),
        || full.to_owned(),
    )
}
