//! Tables, the form in which kubectl asks for lists.

use harness::api::mutant::families as mutant;
use harness::api::{Method, Request};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::POD_TEMPLATES;
use super::steps::{create, template};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "table/reviews-refuse-to-be-tables",
        title: "A Table of an access review, which has no metadata, is refused as not acceptable.",
        official: &[
            "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata",
        ],
        requires: &[Requirement::Resource(
            "authorization.k8s.io/v1",
            "selfsubjectaccessreviews",
        )],
        kills: &[mutant::TABLE_NOT_HONOURED, mutant::ERROR_BECOMES_SUCCESS],
        run: |cx| Box::pin(refused(cx)),
        ..Check::BASE
    },
    // Upstream has this one, without the mark of conformance.
    Check {
        id: "table/lists-become-tables",
        title: "A list asked for as a Table has columns, a row an object with a cell a column, and chunks like any list.",
        requires: &[
            Requirement::Resource("v1", "podtemplates"),
            Requirement::Behaviour("table"),
        ],
        kills: &[
            mutant::TABLE_NOT_HONOURED,
            mutant::TABLE_COLUMNS_MISSING,
            mutant::TABLE_ROWS_MISSING,
            mutant::WRONG_CONTENT_TYPE,
        ],
        run: |cx| Box::pin(lists(cx)),
        ..Check::BASE
    },
];

async fn refused(cx: &CheckContext) -> CheckResult {
    let review = json!({
        "kind": "SelfSubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = cx
        .api()
        .send(
            Request::new(Method::POST, path)
                .accept(TABLE)
                .body(review.clone()),
        )
        .await?;
    cx.refused("a review as a Table", 406, "NotAcceptable", &answer)?;
    // The same without the Table is served: the refusal was about the form.
    cx.status(
        "a review as itself",
        201,
        cx.api().create(path, review).await?,
    )
    .map(drop)
}

async fn lists(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    let names = ["one", "three", "two"];
    for name in names {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name}, "template": template("a")}),
        )
        .await?;
    }
    let answer = cx
        .api()
        .send(
            Request::get(all.path())
                .accept(TABLE)
                .query(&[("limit", "2")]),
        )
        .await?;
    cx.expect_eq("content type", "application/json", answer.content_type())?;
    let first = cx.status("the first chunk", 200, answer)?;
    cx.contains(
        "the answer",
        &json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1"}),
        &first,
    )?;
    cx.text("the Table", &first, "/metadata/resourceVersion")?;
    let columns = first["columnDefinitions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    cx.expect("at least two columns", columns.len() >= 2, || {
        first["columnDefinitions"].to_string()
    })?;
    for column in &columns {
        cx.text("a column", column, "/name")?;
        cx.text("a column", column, "/type")?;
    }
    cx.expect_eq(
        "the first column",
        "Name",
        columns[0]["name"].as_str().unwrap_or_default(),
    )?;

    let token = cx.text("the first chunk", &first, "/metadata/continue")?;
    let answer = cx
        .api()
        .send(
            Request::get(all.path())
                .accept(TABLE)
                .query(&[("continue", token), ("limit", "2")]),
        )
        .await?;
    let second = cx.status("the second chunk", 200, answer)?;
    let mut cells = Vec::new();
    for row in [&first, &second]
        .into_iter()
        .flat_map(|table| table["rows"].as_array().into_iter().flatten())
    {
        cx.expect_eq(
            "cells in a row",
            Some(columns.len()),
            row["cells"].as_array().map(Vec::len),
        )?;
        cx.expect_eq(
            "the row's object",
            row["cells"][0].clone(),
            row["object"]["metadata"]["name"].clone(),
        )?;
        cells.push(row["cells"][0].clone());
    }
    cx.expect_eq(
        "names in the rows",
        names.map(|name| json!(name)).to_vec(),
        cells,
    )
}
