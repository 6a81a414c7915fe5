//! The checks as tests: `KUBECONFIG=… cargo test -p scenarios --test conformance`.
//!
//! Without KUBECONFIG each is ignored and says why. `ASSAY_SERVER` replaces the kubeconfig's server address.

use std::path::PathBuf;
use std::sync::Arc;

use harness::api::{Api, client};
use harness::callback::toward_server;
use harness::check::{Limits, Offer, run_check};
use libtest_mimic::{Arguments, Failed, Trial};
use reports::outcome::Outcome;
use tokio::runtime::Runtime;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let checks = scenarios::conformance::checks();
    let Some(kubeconfig) = std::env::var_os("KUBECONFIG").map(PathBuf::from) else {
        eprintln!("conformance: ignored, since KUBECONFIG is not set");
        let trials = checks.iter().map(|check| {
            Trial::test(check.id, || Err("KUBECONFIG is not set".into()))
                .with_ignored_flag(true)
                .with_kind("KUBECONFIG is not set")
        });
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    };
    let runtime = Arc::new(Runtime::new().expect("a tokio runtime"));
    let server = std::env::var("ASSAY_SERVER").ok();
    let (api, offer) = runtime.block_on(async {
        let client = client(&kubeconfig, None, server.as_deref())
            .await
            .expect("a client from KUBECONFIG");
        let api = Api::new(client, &harness::api::namespace::unique("test"));
        let offer = Offer::discover(&api, &[])
            .await
            .expect("a server that answers discovery");
        let place = toward_server(&kubeconfig, None, server.as_deref()).await;
        let place = place.map_err(|error| format!("{error:#}"));
        let offer = offer.with_callback(&api, place, &checks, 1).await;
        (api, Arc::new(offer))
    });
    let trials = checks.into_iter().map(|check| {
        let (runtime, api, offer) = (Arc::clone(&runtime), api.apart(None), Arc::clone(&offer));
        let ignored = offer.missing(check.requires);
        let trial = Trial::test(check.id, move || {
            let finding = runtime.block_on(run_check(check, &api, &offer, Limits::default()));
            match finding.outcome {
                Outcome::Passed => Ok(()),
                outcome => Err(Failed::from(format!(
                    "{}: {}\n{}",
                    outcome.word(),
                    finding.reason.unwrap_or_default(),
                    finding.evidence.join("\n")
                ))),
            }
        });
        trial
            .with_kind(ignored.clone().unwrap_or_default())
            .with_ignored_flag(ignored.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
