//! Custom resources through kubectl: it validates by what the server publishes or answers, and explains by it.

use harness::check::{CheckContext, CheckResult};
use harness::kubectl::Reach;
use serde_json::{Value, json};

use super::cli::Cli;
use super::custom::{Custom, Published};
use super::openapi::shelf;

/// What is known of the two fields whose schema preserves what it does not know.
fn pages(at_root: bool, in_spec: bool) -> Value {
    let mut schema = json!({
        "description": "pages that keep unknown fields", "type": "object",
        "properties": {
            "spec": {"description": "What is wanted", "type": "object", "properties": {
                "dummy": {"description": "A dummy.", "type": "object"},
            }},
            "status": {"description": "What is seen", "type": "object"},
        },
    });
    let keep = "x-kubernetes-preserve-unknown-fields";
    if at_root {
        schema[keep] = json!(true);
    }
    if in_spec {
        schema["properties"]["spec"][keep] = json!(true);
    }
    schema
}

/// Defined, published and ready for kubectl. All this is scaffolding: a mutant must meet kubectl, not it.
async fn defined<'c>(
    cx: &'c CheckContext,
    purpose: &str,
    schema: Value,
    published: Option<&Value>,
) -> CheckResult<(Custom, Cli<'c>)> {
    let custom = Custom::new(purpose, vec![("v1", schema)]);
    let api = cx.api().clean();
    custom.define_through(cx, &api).await?;
    let seen = Published::through(cx, api);
    match published {
        Some(schema) => seen.has(&custom, "v1", schema).await?,
        None => seen.names(&custom, "v1").await?,
    };
    Ok((custom, Cli::open(cx, Reach::Everything).await?))
}

fn object(custom: &Custom, more: Value) -> String {
    let mut object = more;
    object["apiVersion"] = json!(custom.api_version("v1"));
    object["kind"] = json!(custom.kind);
    object["metadata"] = json!({"name": "one"});
    object.to_string()
}

/// kubectl creates it and deletes it, and applies it and deletes it.
async fn taken(cli: &Cli<'_>, custom: &Custom, text: &str) -> CheckResult {
    for verb in ["create", "apply"] {
        cli.ok(&[verb, "-f", "-"], Some(text)).await?;
        cli.ok(&["delete", &custom.plural, "one"], None).await?;
    }
    Ok(())
}

pub(crate) async fn with_schema(cx: &CheckContext) -> CheckResult {
    let (custom, cli) = defined(cx, "shelf", shelf(), Some(&shelf())).await?;
    let books = |book: Value| object(&custom, json!({"spec": {"books": [book]}}));
    taken(&cli, &custom, &books(json!({"name": "a"}))).await?;

    let wrong = books(json!({"name": "a", "mood": "Unheard"}));
    let texts = [r#"Unsupported value: "Unheard""#];
    cli.fails(&["create", "-f", "-"], Some(&wrong), &texts)
        .await?;
    // Older servers leave it to kubectl to refuse these two, newer ones refuse them themselves and in other words.
    let unknown = object(&custom, json!({"spec": {"foo": true}}));
    let unknown_texts = [r#"unknown field "foo""#, r#"unknown field "spec.foo""#];
    let lacking = books(json!({"age": "10"}));
    let lacking_texts = [
        r#"missing required field "name""#,
        "spec.books[0].name: Required value",
    ];
    for verb in ["create", "apply"] {
        let args = [verb, "-f", "-"];
        cli.fails(&args, Some(&unknown), &unknown_texts).await?;
        cli.fails(&args, Some(&lacking), &lacking_texts).await?;
    }

    let explain = async |field: &str, texts: &[&str]| {
        let what = format!("{}{field}", custom.plural);
        cli.prints(&["explain", &what], texts).await
    };
    let root = [
        "DESCRIPTION:",
        "Shelf for checks",
        "FIELDS:",
        "apiVersion",
        "<string>",
        "APIVersion defines",
        "spec",
        "<Object>",
        "What is wanted of the shelf",
    ];
    explain("", &root).await?;
    let metadata = [
        "DESCRIPTION:",
        "Standard object's metadata",
        "FIELDS:",
        "creationTimestamp",
        "<string>",
        "CreationTimestamp is a timestamp",
    ];
    explain(".metadata", &metadata).await?;
    let spec = [
        "DESCRIPTION:",
        "What is wanted of the shelf",
        "FIELDS:",
        "books",
        "<[]Object>",
        "List of books and their states",
    ];
    explain(".spec", &spec).await?;
    // `FIELD:` or, from older versions, `RESOURCE:`.
    let books = [
        ":",
        "books",
        "<[]Object>",
        "DESCRIPTION:",
        "List of books and their states",
        "FIELDS:",
        "marks",
        "<[]string>",
        "List of marks",
        "name",
        "<string>",
        "Name of the book",
    ];
    explain(".spec.books", &books).await?;
    let none = format!("{}.spec.books2", custom.plural);
    let texts = [r#"field "books2" does not exist"#];
    cli.fails(&["explain", &none], None, &texts).await
}

pub(crate) async fn without_schema(cx: &CheckContext) -> CheckResult {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let bare = json!({"type": "object"});
    let (custom, cli) = defined(cx, "open", open, Some(&bare)).await?;
    let text = object(&custom, json!({"a": {"b": [{"c": "d"}]}}));
    taken(&cli, &custom, &text).await?;
    cli.prints(&["explain", &custom.plural], &["DESCRIPTION:", "<empty>"])
        .await
}

pub(crate) async fn preserving_root(cx: &CheckContext) -> CheckResult {
    let (custom, cli) = defined(cx, "pages", pages(true, false), None).await?;
    let text = object(&custom, json!({"a": {"b": [{"c": "d"}]}}));
    taken(&cli, &custom, &text).await?;
    cli.prints(&["explain", &custom.plural], &["KIND:", &custom.kind])
        .await
}

pub(crate) async fn preserving_nested(cx: &CheckContext) -> CheckResult {
    let (custom, cli) = defined(cx, "pages", pages(false, true), None).await?;
    let text = object(&custom, json!({"spec": {"a": null, "b": [{"c": "d"}]}}));
    taken(&cli, &custom, &text).await?;
    let texts = ["DESCRIPTION:", "pages that keep unknown fields"];
    cli.prints(&["explain", &custom.plural], &texts).await
}
