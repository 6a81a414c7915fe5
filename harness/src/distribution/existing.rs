//! What a cluster that was there already runs, as far as its version tells. assay never starts these.

use crate::cell::Shape;
use crate::distribution::{
    Access, ArtifactNeed, CommandLine, Datastore, Distribution, ReadyWhen, ServerSpec, Surface,
};

/// A K3s that was there.
pub static OF_K3S: Existing = Existing("k3s");
/// Any other Kubernetes that was there.
pub static KUBERNETES_THERE: Existing = Existing("kubernetes");

/// See the module.
pub struct Existing(&'static str);

impl Distribution for Existing {
    fn name(&self) -> &'static str {
        self.0
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi]
    }

    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Unknown]
    }

    fn artifacts(&self) -> &'static [ArtifactNeed] {
        &[]
    }

    fn is_made(&self) -> bool {
        false
    }

    /// Empty: it runs already.
    fn server(&self, _: &ServerSpec<'_>) -> CommandLine {
        CommandLine {
            program: Default::default(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Kubeconfig {
            path: spec.data_dir.join("kubeconfig"),
            context: None,
            url: None,
        }
    }

    fn ready_when(&self, _: Shape) -> &'static [ReadyWhen] {
        &[
            ReadyWhen::Listening,
            ReadyWhen::Http200("/readyz"),
            ReadyWhen::FirstWrite,
        ]
    }

    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &[]
    }

    fn etcd_metrics(&self, _: &ServerSpec<'_>) -> Option<String> {
        None
    }
}
