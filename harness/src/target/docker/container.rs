//! A cell's container, in the words of testcontainers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use reports::budget::Budget;
use testcontainers::bollard::models::{
    HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, ResourcesUlimits,
};
use testcontainers::core::{ContainerPort, IntoContainerPort, Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, Image, ImageExt, TestcontainersError};

use super::{node, reach};
use crate::cell::Shape;
use crate::distribution::CommandLine;
use crate::engine::{Held, LABEL, Privilege};

/// How long the engine may take from making the container to running it.
const START_WITHIN: Duration = Duration::from_secs(120);

/// An image that is in the engine already. It says nothing of readiness: that is the runner's business.
#[derive(Debug, Clone)]
pub(super) struct ServerImage {
    name: String,
    tag: String,
    program: String,
    exposed: Vec<ContainerPort>,
}

impl Image for ServerImage {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn ready_conditions(&self) -> Vec<WaitFor> {
        Vec::new()
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        &self.exposed
    }

    fn entrypoint(&self) -> Option<&str> {
        Some(&self.program)
    }
}

/// What a container is made of.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub held: Held,
    pub image: String,
    pub network: String,
    pub hostname: String,
    pub command: CommandLine,
    pub data_dir: PathBuf,
    pub budget: Budget,
    /// `uid:gid`; `None` is root.
    pub user: Option<String>,
    /// Besides the data folder: a folder here, and where it is in the container.
    pub volumes: Vec<(PathBuf, String)>,
    pub shape: Shape,
    /// Ports to publish on loopback.
    pub published: Vec<u16>,
    /// Limits of its processes; `None`: the engine's.
    pub ulimits: Option<Vec<ResourcesUlimits>>,
    /// Whether the engine can give it a cgroup namespace of its own.
    pub private_cgroups: bool,
}

/// Makes and starts the container; it must stand in the ledger already. What is left after an error is removed
/// through the ledger.
pub(super) async fn start(
    plan: &Plan,
    privilege: &Privilege,
) -> Result<ContainerAsync<ServerImage>, TestcontainersError> {
    request(plan, privilege).start().await
}

fn request(plan: &Plan, privilege: &Privilege) -> ContainerRequest<ServerImage> {
    let (name, tag) = plan
        .image
        .rsplit_once(':')
        .unwrap_or((&plan.image, "latest"));
    let program = plan.command.program.display().to_string();
    let (program, first) = match plan.shape {
        Shape::ControlPlane | Shape::ApiServer => (program, None),
        Shape::Node => (node::ENTRY.to_owned(), Some(program)),
    };
    let image = ServerImage {
        name: name.to_owned(),
        tag: tag.to_owned(),
        program,
        exposed: plan.published.iter().map(|port| port.tcp()).collect(),
    };
    let data = plan.data_dir.display().to_string();
    let budget = plan.budget.clone();
    let rights = privilege.clone();
    let ulimits = plan.ulimits.clone();
    let private_cgroups = plan.private_cgroups;
    let (shape, published) = (plan.shape, plan.published.clone());
    let mut request = image
        .with_cmd(first.into_iter().chain(plan.command.args.iter().cloned()))
        .with_container_name(plan.held.name.clone())
        // Not the container's id, which would be the node's name and change with every container.
        .with_hostname(plan.hostname.clone())
        .with_label(LABEL, plan.held.run.clone())
        .with_network(plan.network.clone())
        .with_mount(Mount::bind_mount(data.clone(), data))
        .with_startup_timeout(START_WITHIN)
        .with_host_config_modifier(move |host| {
            limit(host, &budget);
            host.ulimits.clone_from(&ulimits);
            host.publish_all_ports = Some(false);
            reach::publish(host, &published);
            host.tmpfs = Some(HashMap::from([("/run".to_owned(), "mode=1777".to_owned())]));
            host.cgroupns_mode = private_cgroups.then_some(HostConfigCgroupnsModeEnum::PRIVATE);
            // The one driver whose log every engine can read back.
            host.log_config = Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: None,
            });
            rights.apply(host);
            if shape == Shape::Node {
                node::equip(host, &rights);
            }
        });
    for (outside, inside) in &plan.volumes {
        let outside = outside.display().to_string();
        request = request.with_mount(Mount::bind_mount(outside, inside.clone()));
    }
    for (name, value) in &plan.command.env {
        request = request.with_env_var(name.clone(), value.clone());
    }
    match &plan.user {
        // A home that it may write to.
        Some(user) => request.with_user(user.clone()).with_env_var("HOME", "/tmp"),
        None => request.with_env_var("HOME", "/root"),
    }
}

/// The budget, in the engine's words. The engine sets it before the first instruction.
fn limit(host: &mut HostConfig, budget: &Budget) {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    host.memory = budget.memory_bytes.map(number);
    // With swap beneath it, a budget would be fiction: memory and swap together get no more.
    host.memory_swap = host.memory;
    host.nano_cpus = budget.cpu_milli.map(|milli| number(milli * 1_000_000));
    // Podman's own default is 2048, which is no part of the budget.
    host.pids_limit = Some(-1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_leaves_no_swap_and_an_unlimited_one_no_limit() {
        let mut host = HostConfig::default();
        limit(&mut host, &Budget::edge());
        assert_eq!(host.memory, Some(512 << 20));
        assert_eq!(host.memory_swap, Some(512 << 20));
        assert_eq!(host.nano_cpus, Some(1_000_000_000));
        let mut host = HostConfig::default();
        limit(&mut host, &"unlimited".parse().unwrap());
        assert_eq!(
            (host.memory, host.memory_swap, host.nano_cpus),
            (None, None, None)
        );
    }
}
