//! Server-side field validation: with `fieldValidation=Strict` what an object does not have, or has twice, is refused by name.
//!
//! Bodies are sent as text, for a JSON value cannot hold a key twice.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::{Method, Request, Response};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::custom::Custom;
use super::kinds::DEPLOYMENTS;

const TYPED: &[Requirement] = &[
    Requirement::Since(27),
    Requirement::Resource("apps/v1", "deployments"),
];
const CUSTOM: &[Requirement] = &[
    Requirement::Since(27),
    Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
];
const REFUSED: &[Mutant] = &[
    mutant::FIELD_VALIDATION_IGNORED,
    mutant::REFUSAL_NAMES_NO_FIELD,
    mutant::ERROR_BECOMES_SUCCESS,
];
const REFUSED_TWICE: &[Mutant] = &[
    mutant::FIELD_VALIDATION_IGNORED,
    mutant::DUPLICATE_FIELDS_ACCEPTED,
    mutant::REFUSAL_NAMES_NO_FIELD,
    mutant::ERROR_BECOMES_SUCCESS,
];
const ACCEPTED: &[Mutant] = &[
    mutant::CREATE_NOT_STORED,
    mutant::PATCH_NOT_APPLIED,
    mutant::SPEC_LOST,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "fieldvalidation/typed-fields-are-strict",
        title: "A Deployment with an unknown and a repeated field is refused by name under Strict, and taken under Ignore.",
        official: &[
            "[sig-api-machinery] FieldValidation should detect unknown and duplicate fields of a typed object",
        ],
        requires: TYPED,
        kills: REFUSED_TWICE,
        run: |cx| Box::pin(typed(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/typed-metadata-is-strict",
        title: "A Deployment with an unknown field in its metadata is refused by name under Strict, and taken under Ignore.",
        official: &[
            "[sig-api-machinery] FieldValidation should detect unknown metadata fields of a typed object",
        ],
        requires: TYPED,
        kills: REFUSED,
        run: |cx| Box::pin(typed_metadata(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/valid-custom-resources-pass",
        title: "A custom resource that fits its schema is created and applied under Strict, and stored as it is.",
        official: &[
            "[sig-api-machinery] FieldValidation should create/apply a valid CR for CRD with validation schema",
        ],
        requires: CUSTOM,
        kills: ACCEPTED,
        run: |cx| Box::pin(valid(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/unknown-fields-pass-without-schema",
        title: "Where a definition has no schema, unknown fields are created and applied under Strict, and stored.",
        official: &[
            "[sig-api-machinery] FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema",
        ],
        requires: CUSTOM,
        kills: ACCEPTED,
        run: |cx| Box::pin(without_schema(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/extra-custom-fields-are-refused",
        title: "A field at the root that a definition's schema does not have is refused by name, created or applied.",
        official: &[
            "[sig-api-machinery] FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema",
        ],
        requires: CUSTOM,
        kills: REFUSED,
        run: |cx| Box::pin(extra(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/custom-metadata-is-strict",
        title: "Unknown metadata of a custom resource and of an object embedded in it is refused by name.",
        official: &[
            "[sig-api-machinery] FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR",
        ],
        requires: CUSTOM,
        kills: REFUSED,
        run: |cx| Box::pin(custom_metadata(cx)),
        ..Check::BASE
    },
    Check {
        id: "fieldvalidation/custom-duplicates-are-refused",
        title: "A repeated field of a custom resource is refused by name even where unknown fields are preserved.",
        official: &[
            "[sig-api-machinery] FieldValidation should detect duplicates in a CR when preserving unknown fields",
        ],
        requires: CUSTOM,
        kills: REFUSED_TWICE,
        run: |cx| Box::pin(duplicates(cx)),
        ..Check::BASE
    },
];

const MANAGER: (&str, &str) = ("fieldManager", "assay");
const STRICT: (&str, &str) = ("fieldValidation", "Strict");

/// A Deployment as text, with more text in its metadata and in its spec.
fn deployment(metadata: &str, spec: &str) -> String {
    format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {{"name": "strict", {metadata} "labels": {{"app": "a"}}}},
            "spec": {{{spec} "selector": {{"matchLabels": {{"app": "a"}}}},
                "template": {{"metadata": {{"labels": {{"app": "a"}}}},
                    "spec": {{"containers": [{{"name": "main", "image": "registry.invalid/assay:none"}}]}}}}}}}}"#
    )
}

async fn typed(cx: &CheckContext) -> CheckResult {
    let body = deployment("", r#""unknownField": "x", "replicas": 2, "replicas": 3,"#);
    let expected = r#"strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas""#;
    strict_deployment(cx, &body, expected).await
}

async fn typed_metadata(cx: &CheckContext) -> CheckResult {
    let body = deployment(r#""unknownMeta": "x","#, "");
    let expected = r#"strict decoding error: unknown field "metadata.unknownMeta""#;
    strict_deployment(cx, &body, expected).await
}

/// Refused under Strict with these words and not stored; the same text passes a dry run under Ignore, so that nothing else
/// is wrong with it.
async fn strict_deployment(cx: &CheckContext, body: &str, expected: &str) -> CheckResult {
    let all = cx.collection(DEPLOYMENTS).await?;
    let post = |query: &[(&str, &str)]| {
        Request::new(Method::POST, all.path())
            .query(query)
            .raw(body, "application/json")
    };
    let answer = cx.api().send(post(&[MANAGER, STRICT])).await?;
    refused(cx, "create under Strict", &answer, &[expected])?;
    let stored = all.get("strict").await?;
    cx.refused("get of what was refused", 404, "NotFound", &stored)?;
    let lenient = [MANAGER, ("fieldValidation", "Ignore"), ("dryRun", "All")];
    let answer = cx.api().send(post(&lenient)).await?;
    cx.status("dry run under Ignore", 201, answer).map(drop)
}

/// A refusal whose message holds each of these texts.
fn refused(cx: &CheckContext, what: &str, answer: &Response, texts: &[&str]) -> CheckResult {
    cx.expect(
        &format!("{what} to be refused with a Status"),
        answer.status >= 400 && answer.body["kind"] == "Status",
        || answer.summary(),
    )?;
    for text in texts {
        cx.expect(
            &format!("the refusal of {what} to say {text}"),
            answer.message().contains(text),
            || answer.message().to_owned(),
        )?;
    }
    Ok(())
}

fn ports() -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
        "items": {"type": "object", "required": ["containerPort", "protocol"], "properties": {
            "containerPort": {"type": "integer", "format": "int32"},
            "hostIP": {"type": "string"},
            "hostPort": {"type": "integer", "format": "int32"},
            "name": {"type": "string"},
            "protocol": {"type": "string"},
        }},
    })
}

/// A schema with a pattern and a list that is a map; `more` goes into the spec's own.
fn schema(more: &Value) -> Value {
    let mut spec = json!({"type": "object", "properties": {
        "foo": {"type": "string"},
        "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
        "ports": ports(),
    }});
    for (name, value) in more.as_object().into_iter().flatten() {
        match value.as_object().filter(|_| name == "properties") {
            Some(fields) => {
                for (field, value) in fields {
                    spec["properties"][field] = value.clone();
                }
            }
            None => spec[name] = value.clone(),
        }
    }
    json!({"type": "object", "properties": {"spec": spec}})
}

/// A custom resource of one check, written as text in both forms.
struct Texts {
    custom: Custom,
    path: String,
}

impl Texts {
    async fn define(cx: &CheckContext, schema: Value) -> CheckResult<Self> {
        let custom = Custom::new("strict", vec![("v1beta1", schema)]);
        custom.define(cx).await?;
        let path = custom.path("v1beta1", cx.namespace().await?);
        Ok(Self { custom, path })
    }

    /// Server-side apply of YAML under Strict: more metadata, more at the root, more in the spec, each with its line's end.
    async fn apply(
        &self,
        cx: &CheckContext,
        [metadata, root, spec]: [&str; 3],
    ) -> CheckResult<Response> {
        let body = format!(
            "apiVersion: {}\nkind: {}\nmetadata:\n  name: applied\n{metadata}{root}spec:\n{spec}  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n",
            self.custom.api_version("v1beta1"),
            self.custom.kind
        );
        let request = Request::new(Method::PATCH, format!("{}/applied", self.path))
            .query(&[MANAGER, STRICT])
            .raw(body, "application/apply-patch+yaml");
        Ok(cx.api().send(request).await?)
    }

    /// POST of JSON under Strict, with the same places.
    async fn create(
        &self,
        cx: &CheckContext,
        [metadata, root, spec]: [&str; 3],
    ) -> CheckResult<Response> {
        let body = format!(
            r#"{{"apiVersion": "{}", "kind": "{}", "metadata": {{{metadata} "name": "created"}}, {root}
                "spec": {{{spec} "cronSpec": "* * * * */5", "ports": [{{"name": "x", "containerPort": 80, "protocol": "TCP"}}]}}}}"#,
            self.custom.api_version("v1beta1"),
            self.custom.kind
        );
        let request = Request::new(Method::POST, &self.path)
            .query(&[MANAGER, STRICT])
            .raw(body, "application/json");
        Ok(cx.api().send(request).await?)
    }

    async fn stored(&self, cx: &CheckContext, name: &str, spec: &Value) -> CheckResult {
        let item = format!("{}/{name}", self.path);
        let stored = cx.status(&item, 200, cx.api().get(&item).await?)?;
        cx.contains(&format!("the stored spec of {name}"), spec, &stored["spec"])
    }

    async fn not_stored(&self, cx: &CheckContext) -> CheckResult {
        for name in ["applied", "created"] {
            let answer = cx.api().get(&format!("{}/{name}", self.path)).await?;
            cx.refused("get of what was refused", 404, "NotFound", &answer)?;
        }
        Ok(())
    }
}

async fn accepted(cx: &CheckContext, schema: Value, field: &str) -> CheckResult {
    let texts = Texts::define(cx, schema).await?;
    let mut spec = json!({
        "cronSpec": "* * * * */5",
        "ports": [{"name": "x", "containerPort": 80, "protocol": "TCP"}],
    });
    spec[field] = json!("one");
    let answer = texts
        .apply(cx, ["", "", &format!("  {field}: one\n")])
        .await?;
    cx.status("apply under Strict", 201, answer)?;
    texts.stored(cx, "applied", &spec).await?;
    let answer = texts
        .create(cx, ["", "", &format!(r#""{field}": "one","#)])
        .await?;
    cx.status("create under Strict", 201, answer)?;
    texts.stored(cx, "created", &spec).await
}

async fn valid(cx: &CheckContext) -> CheckResult {
    accepted(cx, schema(&json!({})), "foo").await
}

async fn without_schema(cx: &CheckContext) -> CheckResult {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    accepted(cx, open, "unknown").await
}

async fn extra(cx: &CheckContext) -> CheckResult {
    let texts = Texts::define(cx, schema(&json!({}))).await?;
    let answer = texts
        .apply(cx, ["", "unknownField: unknown\n", "  foo: one\n"])
        .await?;
    let expected = ".unknownField: field not declared in schema";
    refused(cx, "apply with an extra field", &answer, &[expected])?;
    let answer = texts
        .create(
            cx,
            ["", r#""unknownField": "unknown","#, r#""foo": "one","#],
        )
        .await?;
    let expected = r#"unknown field "unknownField""#;
    refused(cx, "create with an extra field", &answer, &[expected])?;
    texts.not_stored(cx).await
}

async fn custom_metadata(cx: &CheckContext) -> CheckResult {
    let template = json!({
        "type": "object", "x-kubernetes-embedded-resource": true,
        "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": {"type": "object"},
        },
    });
    let more =
        json!({"x-kubernetes-preserve-unknown-fields": true, "properties": {"template": template}});
    let texts = Texts::define(cx, schema(&more)).await?;
    let embedded = "  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: sub\n";
    let answer = texts
        .apply(cx, ["  unknownMeta: unknown\n", "", embedded])
        .await?;
    refused(cx, "apply with unknown metadata", &answer, &[])?;
    // Which of the two the server meets first is its own affair.
    let either = [
        ".spec.template.metadata.unknownSubMeta: field not declared in schema",
        ".metadata.unknownMeta: field not declared in schema",
    ];
    cx.expect(
        &format!("the refusal to say one of {either:?}"),
        either.iter().any(|text| answer.message().contains(text)),
        || answer.message().to_owned(),
    )?;
    let embedded = r#""template": {"apiVersion": "foo/v1", "kind": "Sub", "metadata": {"unknownSubMeta": "x", "name": "sub"}},"#;
    let answer = texts
        .create(cx, [r#""unknownMeta": "x","#, "", embedded])
        .await?;
    let expected = [
        r#"unknown field "metadata.unknownMeta""#,
        r#"unknown field "spec.template.metadata.unknownSubMeta""#,
    ];
    refused(cx, "create with unknown metadata", &answer, &expected)?;
    texts.not_stored(cx).await
}

async fn duplicates(cx: &CheckContext) -> CheckResult {
    let more = json!({"x-kubernetes-preserve-unknown-fields": true});
    let texts = Texts::define(cx, schema(&more)).await?;
    let answer = texts
        .apply(cx, ["", "", "  unknown: x\n  foo: one\n  foo: two\n"])
        .await?;
    let expected = r#"line 8: key "foo" already set in map"#;
    refused(cx, "apply with a repeated field", &answer, &[expected])?;
    let answer = texts
        .create(
            cx,
            ["", "", r#""unknown": "x", "foo": "one", "foo": "two","#],
        )
        .await?;
    let expected = r#"duplicate field "spec.foo""#;
    refused(cx, "create with a repeated field", &answer, &[expected])?;
    texts.not_stored(cx).await
}
