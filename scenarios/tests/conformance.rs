//! The checks as tests: `KUBECONFIG=… cargo test -p scenarios --test conformance`, or the same by `cargo nextest run`.
//!
//! Without KUBECONFIG each is ignored and says why. With it, a check of something that the server does not serve is
//! ignored, unless an official test of the server's own version requires it: that one fails. `ASSAY_SERVER` replaces
//! the kubeconfig's server address.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::api::{Api, client};
use harness::callback::toward_server;
use harness::check::{Check, CheckFault, Limits, Offer, run_check};
use libtest_mimic::{Arguments, Failed, Trial};
use reports::outcome::Outcome;
use tokio::runtime::Runtime;

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let checks = scenarios::conformance::checks();
    let kubeconfig = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    let trials = match kubeconfig.map(PathBuf::from) {
        None => {
            eprintln!("conformance: ignored, since KUBECONFIG is not set");
            checks.into_iter().map(without_a_server).collect()
        }
        Some(kubeconfig) => match Server::connect(&kubeconfig, &checks) {
            Ok(server) => {
                let server = Arc::new(server);
                let trial = |check| on_a_server(check, Arc::clone(&server));
                checks.into_iter().map(trial).collect()
            }
            // A server that is not there shows nothing: every test fails with the reason.
            Err(why) => {
                let trial = |check: &Check| {
                    Trial::test(check.id, {
                        let why = why.clone();
                        move || Err(Failed::from(why))
                    })
                };
                checks.into_iter().map(trial).collect::<Vec<_>>()
            }
        },
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn without_a_server(check: &'static Check) -> Trial {
    const WHY: &str = "KUBECONFIG is not set";
    // Asked for by `--ignored`, it fails: a test that could not run never passes.
    Trial::test(check.id, || Err(WHY.into()))
        .with_ignored_flag(true)
        .with_kind(WHY)
}

fn on_a_server(check: &'static Check, server: Arc<Server>) -> Trial {
    let ignored = match check.lacking(&server.offer) {
        Some(CheckFault::Skipped(why)) => Some(why),
        _ => None,
    };
    Trial::test(check.id, move || server.run(check))
        .with_ignored_flag(ignored.is_some())
        .with_kind(ignored.unwrap_or_default())
}

/// What the tests share.
struct Server {
    kubeconfig: PathBuf,
    runtime: Runtime,
    api: Api,
    offer: Arc<Offer>,
}

impl Server {
    fn connect(kubeconfig: &Path, checks: &[&'static Check]) -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let address = std::env::var("ASSAY_SERVER").ok();
        let (api, offer) = runtime.block_on(async {
            let client = client(kubeconfig, None, address.as_deref()).await;
            let client = client.map_err(|error| error.to_string())?;
            let api = Api::new(client, &harness::api::namespace::unique("test"));
            let offer = Offer::discover(&api, &[]).await;
            let offer = offer.map_err(|error| error.to_string())?;
            let place = toward_server(kubeconfig, None, address.as_deref()).await;
            let place = place.map_err(|error| format!("{error:#}"));
            let offer = offer.with_callback(&api, place, checks, 1).await;
            Ok::<_, String>((api, offer))
        })?;
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            runtime,
            api,
            offer: Arc::new(offer),
        })
    }

    fn run(&self, check: &Check) -> Result<(), Failed> {
        let _turn = self.turn(check)?;
        let api = self.api.apart(None);
        let examined = run_check(check, &api, &self.offer, Limits::default());
        let finding = self.runtime.block_on(examined);
        match finding.outcome {
            Outcome::Passed => Ok(()),
            outcome => Err(Failed::from(format!(
                "{}: {}\n{}",
                outcome.word(),
                finding.reason.unwrap_or_default(),
                finding.evidence.join("\n")
            ))),
        }
    }

    /// Lets a serial check run alone and the others together. A lock on the kubeconfig holds for threads, as `cargo
    /// test` makes them, and for processes, as nextest does.
    fn turn(&self, check: &Check) -> Result<File, String> {
        let file = File::open(&self.kubeconfig);
        let locked = file.and_then(|file| {
            match check.serial {
                Some(_) => file.lock()?,
                None => file.lock_shared()?,
            }
            Ok(file)
        });
        locked.map_err(|error| format!("failed to lock {}: {error}", self.kubeconfig.display()))
    }
}
