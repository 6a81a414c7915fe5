//! A chunked list whose first moment the datastore has forgotten.

use std::time::Duration;

use futures::TryStreamExt;
use harness::api::deadline::Seen;
use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckFault, CheckResult};
use serde_json::{Value, json};

use super::kinds::{CONFIG_MAPS, POD_TEMPLATES};
use super::steps::{create, template};

/// An API server compacts every five minutes down to where it was at the time before, so that a revision lives five to
/// ten minutes (`storagebackend.DefaultCompactInterval`).
pub(crate) const PATIENCE: Duration = Duration::from_secs(660);
/// Between two looks: each lists a chunk, for minutes.
const PAUSE: Duration = Duration::from_secs(2);
/// Upstream's numbers.
const TEMPLATES: usize = 400;
const CHUNK: usize = 40;
/// kine never compacts its last 1000 revisions, and an idle server writes fewer than that in ten minutes.
const WRITES: usize = 1100;
/// Writes under way at once.
const AT_ONCE: usize = 16;

/// A chunk: its names are the next ones, its remaining count fits them. Gives its version and its token.
fn chunk(cx: &CheckContext, list: &Value, from: usize) -> CheckResult<(String, Option<String>)> {
    let names = list["items"].as_array().into_iter().flatten();
    let names = names.map(harness::check::name).collect::<Vec<_>>();
    let expected = (from..TEMPLATES.min(from + CHUNK))
        .map(named)
        .collect::<Vec<_>>();
    cx.expect_eq(&format!("names from {from} on"), expected, names)?;
    let token = list["metadata"]["continue"].as_str().unwrap_or_default();
    let remaining = list["metadata"]["remainingItemCount"].clone();
    let left = TEMPLATES.saturating_sub(from + CHUNK);
    let expected = if left > 0 { json!(left) } else { Value::Null };
    cx.expect_eq(
        &format!("remainingItemCount from {from} on"),
        expected,
        remaining,
    )?;
    cx.expect(
        &format!("a continue token exactly while items remain ({left})"),
        token.is_empty() == (left == 0),
        || format!("{token:?}"),
    )?;
    let version = cx.text("the chunk", list, "/metadata/resourceVersion")?;
    Ok((
        version.to_owned(),
        (!token.is_empty()).then(|| token.to_owned()),
    ))
}

fn named(number: usize) -> String {
    format!("template-{number:04}")
}

/// K3s may keep its data in kine, which need not forget the first chunk's moment unless much is written after it; and it
/// does not tell an API's client what it keeps its data in.
fn may_be_kine(cx: &CheckContext) -> bool {
    cx.offer().version.contains("+k3s")
}

/// As upstream: nothing is written, and etcd's compaction, which looks at time alone, is awaited.
pub(crate) async fn continues(cx: &CheckContext) -> CheckResult {
    if may_be_kine(cx) {
        return Err(CheckFault::Skipped(
            "K3s may keep its data in kine, which forgets nothing until enough is written: \
             list/continues-after-writes-and-a-compaction examines it"
                .to_owned(),
        ));
    }
    goes_on(cx, 0).await
}

/// Upstream writes nothing: kine would then compact nothing either, and the token would be honoured for ever. With the writes
/// it holds of any datastore.
pub(crate) async fn continues_after_writes(cx: &CheckContext) -> CheckResult {
    goes_on(cx, WRITES).await
}

/// Lists on from the last key when the token's own moment is compacted away, after so many writes.
async fn goes_on(cx: &CheckContext, writes: usize) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    futures::stream::iter((0..TEMPLATES).map(Ok::<_, CheckFault>))
        .try_for_each_concurrent(AT_ONCE, |number| {
            let object = json!({"metadata": {"name": named(number)}, "template": template("a")});
            let all = &all;
            async move { create(cx, all, object).await.map(drop) }
        })
        .await?;
    let limit = CHUNK.to_string();
    let limit = ("limit", limit.as_str());
    let first = cx.status("the first chunk", 200, all.list(&[limit]).await?)?;
    let (first_version, token) = chunk(cx, &first, 0)?;
    let token = token.unwrap_or_default();
    if writes > 0 {
        grow(cx, writes).await?;
    }

    let what = format!("the continue token of revision {first_version} to expire");
    let fresh = cx
        .wait_slowly(&what, PAUSE, || async {
            let answer = all.list(&[limit, ("continue", &token)]).await?;
            if answer.status == 410 {
                cx.refused("an expired token", 410, "Expired", &answer)?;
                let fresh = cx.text("the refusal", &answer.body, "/metadata/continue")?;
                return Ok(Seen::Done(fresh.to_owned()));
            }
            // Until then it shows the first chunk's moment.
            let list = cx.status("the second chunk", 200, answer)?;
            let (version, _) = chunk(cx, &list, CHUNK)?;
            cx.expect_eq(
                "its resourceVersion",
                first_version.as_str(),
                version.as_str(),
            )?;
            Ok(Seen::Not("it is still honoured".to_owned()))
        })
        .await?;
    onward(cx, &all, fresh, &first_version, limit).await
}

/// The rest, in order, all at one version that is not the first.
async fn onward(
    cx: &CheckContext,
    all: &Collection,
    fresh: String,
    first_version: &str,
    limit: (&str, &str),
) -> CheckResult {
    let (mut token, mut from, mut last) = (Some(fresh), CHUNK, None::<String>);
    while let Some(next) = token {
        let list = all.list(&[limit, ("continue", &next)]).await?;
        let list = cx.status(&format!("the chunk from {from} on"), 200, list)?;
        let (version, following) = chunk(cx, &list, from)?;
        match &last {
            Some(last) => cx.expect_eq("resourceVersion", last.as_str(), version.as_str())?,
            None => cx.expect(
                "another resourceVersion than the first chunk's",
                version != first_version,
                || version.clone(),
            )?,
        }
        (token, from, last) = (following, from + CHUNK, Some(version));
    }
    cx.expect_eq("objects listed", TEMPLATES, from)
}

/// Writes until the first chunk's revision is old enough to be compacted by any datastore.
async fn grow(cx: &CheckContext, writes: usize) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    create(cx, &maps, json!({"metadata": {"name": "counter"}})).await?;
    futures::stream::iter((0..writes).map(Ok::<_, CheckFault>))
        .try_for_each_concurrent(AT_ONCE, |number| {
            let (maps, patch) = (&maps, json!({"data": {"n": number.to_string()}}));
            async move {
                let answer = maps.patch("counter", PatchKind::Merge, patch).await?;
                cx.status("a write", 200, answer).map(drop)
            }
        })
        .await
}
