//! What a user sees through kubectl, each request of which passes assay's own client.

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckFault, CheckResult, Requirement};
use harness::kubectl::Reach;
use serde_json::{Value, json};
use tokio::net::{TcpStream, UnixStream};

use super::cli::{Cli, fetch, found};
use super::explain;
use super::kinds::DEPLOYMENTS;
use super::steps::{pods, read, template};

/// kubectl validates and explains by OpenAPI.
const NEEDS: &[Requirement] = &[Requirement::Kubectl, Requirement::Behaviour("openapi")];
const CUSTOM: &[Requirement] = &[
    Requirement::Kubectl,
    Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
];
const POD: &[Requirement] = &[
    Requirement::Kubectl,
    Requirement::Behaviour("openapi"),
    Requirement::Resource("v1", "pods"),
];
const IMAGE: &str = "registry.invalid/assay:one";
const OTHER: &str = "registry.invalid/assay:two";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "kubectl/api-versions-are-listed",
        title: "kubectl api-versions prints v1 and every group version that discovery lists.",
        official: &[
            "[sig-cli] Kubectl client Kubectl api-versions should check if v1 is in available api versions",
        ],
        requires: NEEDS,
        kills: &[mutant::CORE_VERSIONS_MISSING, mutant::GROUPS_MISSING],
        run: |cx| Box::pin(api_versions(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/cluster-info-names-the-control-plane",
        title: "kubectl cluster-info says where the Kubernetes control plane is running.",
        official: &[
            "[sig-cli] Kubectl client Kubectl cluster-info should check if Kubernetes control plane services is included in cluster-info",
        ],
        requires: NEEDS,
        kills: &[mutant::KIND_MISSING, mutant::SERVICES_NOT_LISTED],
        run: |cx| Box::pin(cluster_info(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/version-tells-both",
        title: "kubectl version prints its own version and the server's, as the server tells it.",
        official: &["[sig-cli] Kubectl client Kubectl version should check is all data is printed"],
        requires: NEEDS,
        kills: &[mutant::SERVER_VERSION_WRONG],
        run: |cx| Box::pin(version(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/run-makes-a-pod",
        title: "kubectl run stores a pod with the image and the restart policy that it was given.",
        official: &[
            "[sig-cli] Kubectl client Kubectl run pod should create a pod from an image when restart is Never",
        ],
        requires: POD,
        kills: &[mutant::CREATE_NOT_STORED, mutant::SPEC_LOST],
        run: |cx| Box::pin(run_pod(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/dry-runs-change-nothing",
        title: "kubectl patch and replace with --dry-run=server succeed and leave the pod as it is.",
        official: &[
            "[sig-cli] Kubectl client Kubectl server-side dry-run should check if kubectl can dry-run update Pods",
        ],
        requires: POD,
        kills: &[mutant::DRY_RUN_PERSISTS, mutant::DRY_RUN_REFUSED],
        run: |cx| Box::pin(dry_run(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/diff-finds-a-difference",
        title: "kubectl diff shows the image of a Deployment that is and the one that would be, and changes nothing.",
        official: &[
            "[sig-cli] Kubectl client Kubectl diff should check if kubectl diff finds a difference for Deployments",
        ],
        requires: &[
            Requirement::Kubectl,
            Requirement::Behaviour("openapi"),
            Requirement::Resource("apps/v1", "deployments"),
        ],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::DRY_RUN_PERSISTS,
            mutant::DRY_RUN_REFUSED,
        ],
        run: |cx| Box::pin(diff(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/proxy-serves-a-free-port",
        title: "kubectl proxy --port=0 says its port, and /api through it lists at least one version.",
        official: &["[sig-cli] Kubectl client Proxy server should support proxy with --port 0"],
        requires: NEEDS,
        kills: &[mutant::CORE_VERSIONS_MISSING],
        run: |cx| Box::pin(proxy_port(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/proxy-serves-a-socket",
        title: "kubectl proxy --unix-socket serves /api on that socket.",
        official: &["[sig-cli] Kubectl client Proxy server should support --unix-socket=/path"],
        requires: NEEDS,
        kills: &[mutant::CORE_VERSIONS_MISSING],
        run: |cx| Box::pin(proxy_socket(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/schemas-validate-and-explain",
        title: "kubectl takes what fits a custom resource's schema, refuses what does not, and explains its fields.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD with validation schema",
        ],
        requires: CUSTOM,
        kills: &[
            mutant::OPENAPI_EMPTY,
            mutant::CREATE_NOT_STORED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(explain::with_schema(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/custom-resources-need-no-schema",
        title: "kubectl takes any field of a custom resource without a schema, and explains it as empty.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD without validation schema",
        ],
        requires: CUSTOM,
        kills: &[mutant::OPENAPI_EMPTY, mutant::CREATE_NOT_STORED],
        run: |cx| Box::pin(explain::without_schema(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/unknown-fields-pass-at-the-root",
        title: "kubectl takes unknown fields where the schema's root preserves them, and explains the kind.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD preserving unknown fields at the schema root",
        ],
        requires: CUSTOM,
        kills: &[mutant::OPENAPI_EMPTY, mutant::DELETE_IGNORED],
        run: |cx| Box::pin(explain::preserving_root(cx)),
        ..Check::BASE
    },
    Check {
        id: "kubectl/unknown-fields-pass-nested",
        title: "kubectl takes unknown fields where a nested object preserves them, and explains the resource.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for CRD preserving unknown fields in an embedded object",
        ],
        requires: CUSTOM,
        kills: &[mutant::OPENAPI_EMPTY, mutant::CREATE_NOT_STORED],
        run: |cx| Box::pin(explain::preserving_nested(cx)),
        ..Check::BASE
    },
];

async fn api_versions(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Everything).await?;
    let stdout = cli.ok(&["api-versions"], None).await?;
    let printed = stdout.lines().map(str::trim).collect::<Vec<_>>();
    let listed = cx.offer().resources.keys().map(|(version, _)| version);
    // What another check defined for a while may have come or gone.
    for version in listed.filter(|version| !version.contains(".example.com/")) {
        cx.expect(
            &format!("kubectl api-versions to print {version}"),
            printed.contains(&version.as_str()),
            || stdout.clone(),
        )?;
    }
    cx.expect("v1 among them", printed.contains(&"v1"), || stdout.clone())
}

/// kubectl takes the control plane's address from its kubeconfig and prints it once the server has answered, as a list,
/// which Services of kube-system say that they are the cluster's own. That answer is what is examined of the server.
async fn cluster_info(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Everything).await?;
    // Between the words are a terminal's colours.
    let texts = [
        "Kubernetes control plane",
        "is running at",
        "https://127.0.0.1:",
    ];
    cli.prints(&["cluster-info"], &texts).await
}

/// Up to 1.27 it prints a Go struct, from 1.28 on the version alone.
async fn version(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Everything).await?;
    let stdout = cli.ok(&["version"], None).await?;
    let expected = [
        ("Client Version: ", found(cx)?.version.as_str()),
        ("Server Version: ", cx.offer().version.as_str()),
    ];
    for (label, version) in expected {
        let told = stdout
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .unwrap_or_default();
        let long = told.starts_with("version.Info{Major:\"1\", Minor:\"")
            && told.contains(&format!("GitVersion:\"{version}\""))
            && told.contains("GitCommit:\"");
        cx.expect(
            &format!("kubectl version to print {label}{version}"),
            long || told == version,
            || stdout.clone(),
        )?;
    }
    Ok(())
}

fn image(object: &Value) -> Vec<&str> {
    let spec = &object["spec"];
    let spec = if spec["template"].is_object() {
        &spec["template"]["spec"]
    } else {
        spec
    };
    let containers = spec["containers"].as_array().into_iter().flatten();
    containers
        .map(|one| one["image"].as_str().unwrap_or_default())
        .collect()
}

async fn run_pod(cx: &CheckContext) -> CheckResult {
    let (pods, cli) = (pods(cx).await?, Cli::open(cx, Reach::Everything).await?);
    let given = format!("--image={IMAGE}");
    cli.ok(&["run", "one", "--restart=Never", &given], None)
        .await?;
    let stored = read(cx, &pods, "one").await?;
    cx.expect_eq("images of the pod", vec![IMAGE], image(&stored))?;
    cx.expect_eq(
        "restartPolicy",
        json!("Never"),
        stored["spec"]["restartPolicy"].clone(),
    )?;
    cli.ok(&["delete", "pods", "one", "--now"], None).await?;
    cx.gone(&pods, "one").await
}

async fn dry_run(cx: &CheckContext) -> CheckResult {
    let (pods, cli) = (pods(cx).await?, Cli::open(cx, Reach::Everything).await?);
    let given = format!("--image={IMAGE}");
    cli.ok(&["run", "one", &given, "--labels=run=one"], None)
        .await?;
    let patch = json!({"spec": {"containers": [{"name": "one", "image": OTHER}]}}).to_string();
    let args = ["patch", "pod", "one", "-p", &patch, "--dry-run=server"];
    cli.ok(&args, None).await?;
    let stored = read(cx, &pods, "one").await?;
    cx.expect_eq("images after the patch", vec![IMAGE], image(&stored))?;

    let text = cli.ok(&["get", "pod", "one", "-o", "json"], None).await?;
    let mut changed = text.replace(IMAGE, OTHER);
    cx.expect("kubectl get to print the image", changed != text, || text)?;
    // Whoever else writes to the pod in between, such as a scheduler, must not make this a conflict.
    if let Ok(mut object) = serde_json::from_str::<Value>(&changed) {
        let about = object["metadata"].as_object_mut();
        about.map(|fields| fields.remove("resourceVersion"));
        changed = object.to_string();
    }
    let args = ["replace", "-f", "-", "--dry-run=server"];
    cli.ok(&args, Some(&changed)).await?;
    let stored = read(cx, &pods, "one").await?;
    cx.expect_eq("images after the replace", vec![IMAGE], image(&stored))?;
    cli.ok(&["delete", "pods", "one", "--now"], None)
        .await
        .map(drop)
}

async fn diff(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Everything).await?;
    let all = cx.collection(DEPLOYMENTS).await?;
    let mut object = all.labelled(json!({
        "metadata": {"name": "one"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": template("a")},
    }));
    let mut text = |image: &str| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        object.to_string()
    };
    let (live, wanted) = (text(IMAGE), text(OTHER));
    cli.ok(&["create", "-f", "-"], Some(&live)).await?;
    let output = cli.run(&["diff", "-f", "-"], Some(&wanted)).await?;
    if output.stderr.contains("executable file not found") {
        let reason = "kubectl diff needs the program diff, which is not on the path".to_owned();
        return Err(CheckFault::Skipped(reason));
    }
    cx.expect(
        "kubectl diff to end with exit code 1, which says that there is a difference",
        output.code == Some(1),
        || format!("{:?}: {}", output.code, output.stderr),
    )?;
    for (sign, image) in [('-', IMAGE), ('+', OTHER)] {
        let found = output
            .stdout
            .lines()
            .any(|line| line.starts_with(sign) && line.contains(image));
        cx.expect(
            &format!("kubectl diff to show {sign} {image}"),
            found,
            || output.stdout.clone(),
        )?;
    }
    let stored = read(cx, &all, "one").await?;
    cx.expect_eq("image after the diff", vec![IMAGE], image(&stored))?;
    cli.ok(&["delete", "-f", "-"], Some(&wanted)).await?;
    cx.gone(&all, "one").await
}

/// Through kubectl's own server: at least one version, and v1 among them.
fn versions(cx: &CheckContext, (status, body): (u16, String)) -> CheckResult {
    cx.expect_eq("status of /api through kubectl proxy", 200, status)?;
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    let listed = told["versions"].as_array().into_iter().flatten();
    cx.expect(
        "/api through kubectl proxy to list v1",
        told["kind"] == "APIVersions" && listed.clone().any(|version| version == "v1"),
        || body,
    )
}

async fn proxy_port(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Versions).await?;
    let running = cli.start(&["proxy", "--port=0"]).await?;
    let address = running.first_line.rsplit(' ').next().unwrap_or_default();
    let stream = TcpStream::connect(address.trim())
        .await
        .map_err(|error| CheckFault::Failed(format!("connect to {address}: {error}")))?;
    let answer = fetch(stream, "/api/").await;
    versions(cx, answer.map_err(unread)?)
}

async fn proxy_socket(cx: &CheckContext) -> CheckResult {
    let cli = Cli::open(cx, Reach::Versions).await?;
    let folder = SocketFolder::make()
        .map_err(|error| CheckFault::Errored(format!("failed to make a folder: {error}")))?;
    let socket = folder.0.join("proxy");
    let argument = format!("--unix-socket={}", socket.display());
    let _running = cli.start(&["proxy", &argument]).await?;
    let stream = UnixStream::connect(&socket)
        .await
        .map_err(|error| CheckFault::Failed(format!("connect to the socket: {error}")))?;
    let answer = fetch(stream, "/api").await;
    versions(cx, answer.map_err(unread)?)
}

fn unread(error: std::io::Error) -> CheckFault {
    CheckFault::Failed(format!("GET of /api through kubectl proxy: {error}"))
}

/// A folder for one socket, which only its owner may enter.
struct SocketFolder(std::path::PathBuf);

impl SocketFolder {
    fn make() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(unique("proxy"));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
