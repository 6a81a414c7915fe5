//! Lists: chunks, selectors.

use futures::TryStreamExt;
use harness::api::Collection;
use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::compaction;
use super::kinds::{CONFIG_MAPS, POD_TEMPLATES, SECRETS};
use super::steps::{create, template};

const TEMPLATES_SERVED: &[Requirement] = &[Requirement::Resource("v1", "podtemplates")];
const CHUNKS: &[Mutant] = &[
    mutant::LIMIT_IGNORED,
    mutant::CONTINUE_IGNORED,
    mutant::CONTINUE_MISSING,
    mutant::CHUNK_CHANGES_VERSION,
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::LIST_VERSION_MISSING,
];

const COMPACTED: &[Mutant] = &[
    mutant::WRONG_REMAINING_COUNT,
    mutant::CONTINUE_IGNORED,
    mutant::CHUNK_CHANGES_VERSION,
    mutant::EXPIRED_WITHOUT_CONTINUE,
];
const COMPACTS: Option<&str> = Some("a datastore compacts once in some minutes");

/// The area's checks.
pub const CHECKS: &[Check] = &[
    // The official test without order and remaining count, on both of which kine before v0.11.9 is wrong (kine#298): whether
    // anything is lost is another question, and must not hide behind them.
    Check {
        id: "list/chunks-cover-everything-once",
        title: "limit and continue give every object exactly once, at one version.",
        requires: TEMPLATES_SERVED,
        kills: CHUNKS,
        run: |cx| Box::pin(chunks(cx, false)),
        ..Check::BASE
    },
    Check {
        id: "list/chunks-are-ordered-and-counted",
        title: "limit and continue give every object once, in the order of names, each time with the exact remaining count.",
        official: &[
            "[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls",
        ],
        requires: TEMPLATES_SERVED,
        kills: &[
            mutant::WRONG_REMAINING_COUNT,
            mutant::LIMIT_IGNORED,
            mutant::CONTINUE_IGNORED,
        ],
        run: |cx| Box::pin(chunks(cx, true)),
        ..Check::BASE
    },
    // Not first in its area, and so in no quick run: it waits for a compaction, which takes up to ten minutes.
    Check {
        id: "list/continues-after-a-compaction",
        title: "A continue token whose moment is compacted away is refused with one that goes on from the last key.",
        official: &[
            "[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent",
        ],
        requires: &[
            Requirement::Resource("v1", "podtemplates"),
            Requirement::Behaviour("compaction"),
        ],
        kills: COMPACTED,
        slow: COMPACTS,
        patience: compaction::PATIENCE,
        run: |cx| Box::pin(compaction::continues(cx)),
        ..Check::BASE
    },
    // The same where the official way may never end. It answers no name: one stands as well as the least of the checks that
    // answer it, and of these two the official one is skipped on K3s.
    Check {
        id: "list/continues-after-writes-and-a-compaction",
        title: "A continue token is refused and replaced so, too, where a datastore compacts by how much was written.",
        requires: &[
            Requirement::Resource("v1", "podtemplates"),
            Requirement::Behaviour("compaction"),
        ],
        kills: COMPACTED,
        slow: COMPACTS,
        patience: compaction::PATIENCE,
        run: |cx| Box::pin(compaction::continues_after_writes(cx)),
        ..Check::BASE
    },
    // No official test of its own: upstream meets chunked consistency only by way of the test above.
    Check {
        id: "list/chunks-show-one-moment",
        title: "Chunks after the first show the moment of the first: later writes do not appear in them.",
        requires: &[Requirement::Resource("v1", "configmaps")],
        kills: &[
            mutant::CONTINUE_IGNORED,
            mutant::CHUNK_CHANGES_VERSION,
            mutant::CONTINUE_MISSING,
            mutant::LIMIT_IGNORED,
        ],
        run: |cx| Box::pin(one_moment(cx)),
        ..Check::BASE
    },
    // No official test of its own: many rely on it.
    Check {
        id: "list/label-selectors-select",
        title: "Equality, inequality, set, existence and absence in label selectors select exactly what they say.",
        requires: &[Requirement::Resource("v1", "configmaps")],
        kills: &[
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::LIST_REPEATS_ITEM,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(labels(cx)),
        ..Check::BASE
    },
    // No official test of its own.
    Check {
        id: "list/field-selectors-select",
        title: "Field selectors select by name and namespace and, for Secrets, by type; an unknown field is refused.",
        requires: &[Requirement::Resource("v1", "secrets")],
        kills: &[
            mutant::FIELD_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(fields(cx)),
        ..Check::BASE
    },
];

/// Upstream's number, so that chunks cross the server's own page sizes as upstream's do.
const TEMPLATES: usize = 400;

async fn chunks(cx: &CheckContext, strict: bool) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    let wanted = (0..TEMPLATES)
        .map(|number| format!("template-{number:04}"))
        .collect::<Vec<_>>();
    futures::stream::iter(wanted.iter().map(Ok))
        .try_for_each_concurrent(8, |name| {
            let all = &all;
            async move {
                create(
                    cx,
                    all,
                    json!({"metadata": {"name": name}, "template": template("a")}),
                )
                .await
                .map(drop)
            }
        })
        .await?;
    for limit in [7, 40, 399] {
        let mut found = in_chunks(cx, &all, limit, strict).await?;
        if !strict {
            found.sort_unstable();
        }
        let first = wanted
            .iter()
            .zip(&found)
            .position(|(wanted, found)| wanted != found);
        cx.expect(
            &format!("the {TEMPLATES} names in chunks of {limit}"),
            first.is_none() && found.len() == TEMPLATES,
            || {
                let at = first.unwrap_or(TEMPLATES.min(found.len()));
                format!(
                    "{} names; from the {at}th on: {:?}",
                    found.len(),
                    found.iter().skip(at).take(5).collect::<Vec<_>>()
                )
            },
        )?;
    }
    let whole = cx.status(
        "list at once",
        200,
        all.list(&[("limit", &(TEMPLATES + 1).to_string())]).await?,
    )?;
    cx.expect_eq(
        "continue of the whole list",
        "",
        whole["metadata"]["continue"].as_str().unwrap_or_default(),
    )?;
    let mut found = names(&whole);
    if !strict {
        found.sort_unstable();
    }
    cx.expect("every name in the whole list", found == wanted, || {
        format!("{} names: {found:?}", found.len())
    })
}

async fn in_chunks(
    cx: &CheckContext,
    all: &Collection,
    limit: usize,
    strict: bool,
) -> CheckResult<Vec<String>> {
    let (mut found, mut token, mut version) = (Vec::new(), String::new(), String::new());
    loop {
        let limit_text = limit.to_string();
        let mut query = vec![("limit", limit_text.as_str())];
        if !token.is_empty() {
            query.push(("continue", token.as_str()));
        }
        let chunk = cx.status("chunk", 200, all.list(&query).await?)?;
        let new = names(&chunk);
        cx.expect(
            &format!("at most {limit} items and at least one"),
            !new.is_empty() && new.len() <= limit,
            || new.len().to_string(),
        )?;
        let seen = cx.text("chunk", &chunk, "/metadata/resourceVersion")?;
        if !version.is_empty() {
            cx.expect_eq("resourceVersion of a later chunk", version.as_str(), seen)?;
        }
        version = seen.to_owned();
        found.extend(new);
        token = chunk["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if strict {
            let expected = if token.is_empty() {
                Value::Null
            } else {
                json!(TEMPLATES.saturating_sub(found.len()))
            };
            cx.expect_eq(
                "remainingItemCount",
                expected,
                chunk["metadata"]["remainingItemCount"].clone(),
            )?;
        }
        if token.is_empty() {
            return Ok(found);
        }
        // A server that starts again for ever must not keep the check running.
        cx.expect("chunks to end", found.len() < TEMPLATES, || {
            format!("{} items and a continue token", found.len())
        })?;
    }
}

async fn one_moment(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    for name in ["a", "b", "c", "d"] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": {"set": "yes"}}}),
        )
        .await?;
    }
    let selected = ("labelSelector", "set=yes");
    let first = cx.status(
        "first chunk",
        200,
        all.list(&[selected, ("limit", "2")]).await?,
    )?;
    cx.expect_eq(
        "names in the first chunk",
        vec!["a".to_owned(), "b".to_owned()],
        names(&first),
    )?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "bb", "labels": {"set": "yes"}}}),
    )
    .await?;
    super::steps::delete(cx, &all, "d").await?;
    let token = cx.text("first chunk", &first, "/metadata/continue")?;
    let second = cx.status(
        "second chunk",
        200,
        all.list(&[selected, ("limit", "5"), ("continue", token)])
            .await?,
    )?;
    cx.expect_eq(
        "names in the second chunk",
        vec!["c".to_owned(), "d".to_owned()],
        names(&second),
    )?;
    cx.expect_eq(
        "resourceVersion of the second chunk",
        first["metadata"]["resourceVersion"].clone(),
        second["metadata"]["resourceVersion"].clone(),
    )?;
    cx.only(
        "a new list",
        &["a", "b", "bb", "c"],
        all.list(&[selected]).await?,
    )
}

async fn labels(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    for (name, labels) in [
        ("a", json!({"tier": "x", "set": "1"})),
        ("b", json!({"tier": "y", "set": "1"})),
        ("c", json!({"set": "1"})),
    ] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": labels}}),
        )
        .await?;
    }
    let cases: [(&str, &[&str]); 7] = [
        ("tier=x", &["a"]),
        ("set,tier!=x", &["b", "c"]),
        ("tier in (x,y)", &["a", "b"]),
        ("set,tier notin (x)", &["b", "c"]),
        ("tier", &["a", "b"]),
        ("set=1,!tier", &["c"]),
        ("tier=x,tier=y", &[]),
    ];
    for (selector, expected) in cases {
        cx.only(
            selector,
            expected,
            all.list(&[("labelSelector", selector)]).await?,
        )?;
    }
    cx.refused(
        "a selector that is none",
        400,
        "BadRequest",
        &all.list(&[("labelSelector", "a in (")]).await?,
    )
}

async fn fields(cx: &CheckContext) -> CheckResult {
    let (all, namespace) = (cx.collection(SECRETS).await?, cx.namespace().await?);
    for (name, kind) in [("a", "assay.dev/one"), ("b", "assay.dev/two")] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": {"set": "1"}}, "type": kind}),
        )
        .await?;
    }
    let set = ("labelSelector", "set=1");
    cx.only(
        "by name",
        &["a"],
        all.list(&[set, ("fieldSelector", "metadata.name=a")])
            .await?,
    )?;
    cx.only(
        "by another name",
        &["b"],
        all.list(&[set, ("fieldSelector", "metadata.name!=a")])
            .await?,
    )?;
    cx.only(
        "by type",
        &["b"],
        all.list(&[set, ("fieldSelector", "type=assay.dev/two")])
            .await?,
    )?;
    let here = format!("metadata.namespace={namespace}");
    cx.only(
        "by namespace",
        &["a", "b"],
        cx.everywhere(SECRETS)
            .list(&[set, ("fieldSelector", &here)])
            .await?,
    )?;
    let answer = all.list(&[("fieldSelector", "data.none=a")]).await?;
    cx.refused("an unknown field", 400, "BadRequest", &answer)
}

fn names(list: &Value) -> Vec<String> {
    list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| name(item).to_owned())
        .collect()
}
