//! Health endpoints. Upstream has no conformance test of them.

use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "health/endpoints-answer-for-themselves",
        title: "/livez, /readyz and /healthz answer ok, name their parts when asked, and an unknown part is not found.",
        kills: &[mutant::HEALTH_ALWAYS_OK, mutant::HEALTH_NOT_OK],
        run: |cx| Box::pin(endpoints(cx)),
        ..Check::BASE
    },
    Check {
        id: "health/parts-are-asked-alone-or-excluded",
        title: "Each part that /livez and /readyz name answers by itself, and is not asked when it is excluded.",
        kills: &[
            mutant::HEALTH_EXCLUDE_IGNORED,
            mutant::HEALTH_ALWAYS_OK,
            mutant::HEALTH_NOT_OK,
        ],
        run: |cx| Box::pin(parts(cx)),
        ..Check::BASE
    },
];

async fn endpoints(cx: &CheckContext) -> CheckResult {
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = cx.api().get(path).await?;
        cx.expect_eq(&format!("status of {path}"), 200, answer.status)?;
        cx.expect_eq(&format!("body of {path}"), "ok", answer.text().as_str())?;
        let answer = cx.api().list(path, &[("verbose", "true")]).await?;
        let text = answer.text();
        cx.expect_eq(&format!("status of verbose {path}"), 200, answer.status)?;
        let parts = text
            .lines()
            .filter(|line| line.starts_with("[+]") && line.ends_with(" ok"))
            .count();
        cx.expect(
            &format!("verbose {path} to name parts that are ok"),
            parts > 0,
            || text.clone(),
        )?;
        cx.expect(
            &format!("verbose {path} to name no failing part"),
            !text.contains("[-]"),
            || text.clone(),
        )?;
        let unknown = cx.api().get(&format!("{path}/assay-none")).await?;
        cx.expect_eq(
            &format!("status of an unknown part of {path}"),
            404,
            unknown.status,
        )?;
    }
    Ok(())
}

async fn parts(cx: &CheckContext) -> CheckResult {
    for path in ["/livez", "/readyz"] {
        let answer = cx.api().list(path, &[("verbose", "true")]).await?;
        cx.expect_eq(&format!("status of verbose {path}"), 200, answer.status)?;
        let text = answer.text();
        let named = text.lines().filter_map(|line| line.strip_prefix("[+]"));
        let named = named
            .filter_map(|line| line.strip_suffix(" ok"))
            .collect::<Vec<_>>();
        cx.expect(
            &format!("verbose {path} to name ping among its parts"),
            named.contains(&"ping"),
            || text.clone(),
        )?;
        for part in named {
            let alone = cx.api().get(&format!("{path}/{part}")).await?;
            cx.expect_eq(&format!("status of {path}/{part}"), 200, alone.status)?;
            cx.expect_eq(
                &format!("body of {path}/{part}"),
                "ok",
                alone.text().as_str(),
            )?;
            let query = [("verbose", "true"), ("exclude", part)];
            let without = cx.api().list(path, &query).await?;
            cx.expect_eq(
                &format!("status of {path} without {part}"),
                200,
                without.status,
            )?;
            let said = without.text();
            let excluded = format!("[+]{part} excluded: ok");
            cx.expect(
                &format!("{path} without {part} to say {excluded}"),
                said.lines().any(|line| line == excluded),
                || said.clone(),
            )?;
        }
    }
    Ok(())
}
