//! Leases: keys that must go with theirs, neither late nor early, at the datastore; and the heartbeats of nodes through
//! the API, which must be renewed in time while others write.

mod heartbeats;
mod keys;

use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::scenario::{Access, Scenario, ScenarioContext};
use reports::history::Level;

use super::common::bench::Bench;

/// See the module.
pub struct LeaseChurn;

impl Scenario for LeaseChurn {
    fn name(&self) -> &'static str {
        "lease_churn"
    }

    fn title(&self) -> &'static str {
        "keys that go with their leases, and heartbeats of nodes renewed under writes"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let plan = keys::plan(cx.profile);
            let mut ran = false;
            let mut outcome = Ok(());
            let direct = Bench::open(cx, Level::Datastore, plan.keys(), plan.floor()).await?;
            if let Some(bench) = direct {
                let found = keys::at_datastore(cx, &bench, plan).await;
                outcome = bench.end(found).await;
                ran = true;
            }
            if let Access::Kubernetes(api) = cx.access {
                outcome = outcome.and(heartbeats::through_api(cx, api).await);
                ran = true;
            }
            anyhow::ensure!(
                ran,
                "failed to reach the datastore at any level; the warnings say why"
            );
            outcome
        }
        .boxed()
    }
}
