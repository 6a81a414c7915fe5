//! The mutant matrix against a real server: `KUBECONFIG=… cargo test -p scenarios --test mutants [-- FILTER]`.
//!
//! Fails unless every check that is not skipped passes on the healthy server and kills each mutant that it declares.
//! `ASSAY_SERVER` replaces the kubeconfig's server address, `ASSAY_JOBS` the number of checks at a time.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use harness::api::{Api, client};
use harness::check::mutants::run_mutants;
use harness::check::{Limits, Offer, RunOptions};

#[tokio::main]
async fn main() -> ExitCode {
    let Some(kubeconfig) = std::env::var_os("KUBECONFIG").map(PathBuf::from) else {
        eprintln!("mutants: ignored, since KUBECONFIG is not set");
        return ExitCode::SUCCESS;
    };
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let server = std::env::var("ASSAY_SERVER").ok();
    let jobs = std::env::var("ASSAY_JOBS")
        .ok()
        .and_then(|jobs| jobs.parse().ok())
        .unwrap_or(4);
    let client = client(&kubeconfig, None, server.as_deref())
        .await
        .expect("a client from KUBECONFIG");
    let api = Api::new(client, &harness::api::namespace::unique("mutants"));
    let offer = Arc::new(
        Offer::discover(&api, &[])
            .await
            .expect("a server that answers discovery"),
    );
    let (_stop, cancel) = tokio::sync::watch::channel(false);
    let limits = Limits {
        patience: Duration::from_secs(6),
        ..Limits::default()
    };
    let checks = scenarios::conformance::checks()
        .into_iter()
        .filter(|check| check.id.contains(&filter))
        .collect::<Vec<_>>();
    let matrix = run_mutants(
        &checks,
        &api,
        &RunOptions {
            jobs,
            limits,
            offer,
            cancel,
        },
    )
    .await;
    print!("{}", matrix.render());
    if matrix.proven() && matrix.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
