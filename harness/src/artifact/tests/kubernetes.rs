//! The servers of Kubernetes come from one folder, whole and of this machine.

use std::time::Duration;

use super::{Bench, host};
use crate::artifact::{
    ArtifactError, KubernetesBinaries, KubernetesRequest, Origin, Patience, resolve_kubernetes,
};

fn request(bench: &Bench, assets: Option<&str>) -> KubernetesRequest {
    KubernetesRequest {
        assets: assets.map(|folder| bench.path(folder)),
        default: bench.path("default"),
        arch: host(),
        patience: Patience {
            version: Duration::from_secs(60),
            ..Patience::default()
        },
    }
}

async fn resolve(bench: &Bench, assets: Option<&str>) -> Result<KubernetesBinaries, ArtifactError> {
    resolve_kubernetes(&request(bench, assets), &bench.progress).await
}

const SAYS: &str = "echo Kubernetes v1.36.2";

#[tokio::test]
async fn the_variable_names_the_folder_and_the_convention_is_next() {
    let bench = Bench::new();
    bench.script("default/kube-apiserver", SAYS);
    bench.script("default/kube-controller-manager", SAYS);
    let found = resolve(&bench, None).await.expect("by convention");
    assert_eq!(found.apiserver.origin, Origin::Convention);
    assert_eq!(found.apiserver.version, "v1.36.2");
    assert!(found.controller_manager.is_ok());
    bench.script("assets/kube-apiserver", SAYS);
    let found = resolve(&bench, Some("assets")).await.expect("by variable");
    assert_eq!(found.folder, bench.path("assets"));
    // envtest's own releases have no controller manager: said, and not taken from elsewhere.
    let why = found.controller_manager.expect_err("not there");
    assert!(why.contains("--shape api-server"), "{why}");
}

#[tokio::test]
async fn a_folder_without_the_servers_says_what_to_set() {
    let bench = Bench::new();
    let unset = resolve(&bench, None).await.expect_err("nothing there");
    assert!(
        unset.to_string().contains("KUBEBUILDER_ASSETS is not set"),
        "{unset}"
    );
    let error = resolve(&bench, Some("assets"))
        .await
        .expect_err("nothing there");
    assert!(
        error.to_string().contains("set KUBEBUILDER_ASSETS to"),
        "{error}"
    );
    // Whoever asked for no Kubernetes is not stopped by its absence.
    assert_eq!(error.exit_code(), 6);
    bench.script("assets/kube-apiserver", "echo something else");
    let error = resolve(&bench, Some("assets")).await.expect_err("unfit");
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn servers_of_two_versions_are_pointed_out() {
    let bench = Bench::new();
    bench.script("assets/kube-apiserver", SAYS);
    bench.script("assets/kube-controller-manager", "echo Kubernetes v1.35.0");
    resolve(&bench, Some("assets"))
        .await
        .expect("taken all the same");
    let warnings = bench.progress.warnings();
    assert!(warnings[0].contains("v1.35.0"), "{warnings:?}");
}
