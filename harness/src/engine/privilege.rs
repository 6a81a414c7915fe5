//! What a container may do: as little as its shape needs, and never more than this machine can give.

use std::fmt;

use crate::cell::Shape;
use crate::host::bounding_capabilities;
use testcontainers::bollard::models::HostConfig;

/// A container's rights, from few to many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privilege {
    /// What the engine gives every container.
    Default,
    /// Every right, and the host's devices.
    Privileged,
    /// These capabilities, with the paths opened that engines mask or make read-only.
    Capabilities(Vec<String>),
}

impl Privilege {
    /// The rights to try for a shape, in order: an engine refuses `privileged` where it lacks a capability itself
    /// ("unable to apply caps"), as in a virtual machine or container without CAP_SYS_RESOURCE.
    #[must_use]
    pub fn choices(shape: Shape) -> Vec<Self> {
        choices(shape, &bounding_capabilities())
    }

    /// Asks for them.
    pub fn apply(&self, host: &mut HostConfig) {
        match self {
            Self::Default => {}
            Self::Privileged => host.privileged = Some(true),
            Self::Capabilities(names) => {
                host.cap_drop = Some(vec!["ALL".to_owned()]);
                host.cap_add = Some(names.clone());
                host.masked_paths = Some(Vec::new());
                host.readonly_paths = Some(Vec::new());
                host.security_opt = Some(
                    ["seccomp=unconfined", "apparmor=unconfined"]
                        .map(str::to_owned)
                        .to_vec(),
                );
            }
        }
    }

    /// Whether an engine's refusal to start a container is for the rights that it asked for.
    #[must_use]
    pub fn was_refused(&self, error: &str) -> bool {
        *self != Self::Default
            && [
                "apply caps",
                "capabilit",
                "operation not permitted",
                "privileged",
            ]
            .iter()
            .any(|words| error.to_ascii_lowercase().contains(words))
    }
}

fn choices(shape: Shape, bounding: &Bounding) -> Vec<Privilege> {
    match shape {
        Shape::ControlPlane | Shape::ApiServer => vec![Privilege::Default],
        // The engine's set may be larger than this process's, hence privileged first even so.
        Shape::Node => vec![
            Privilege::Privileged,
            Privilege::Capabilities(
                bounding
                    .iter()
                    .filter(|name| !UNKNOWN_TO_SOME.contains(name))
                    .map(ToString::to_string)
                    .collect(),
            ),
        ],
    }
}

/// Capabilities that Docker 20.10 refuses by name, and that no node needs.
const UNKNOWN_TO_SOME: &[&str] = &["PERFMON", "BPF", "CHECKPOINT_RESTORE"];

type Bounding = Vec<&'static str>;

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the engine's default rights"),
            Self::Privileged => f.write_str("privileged"),
            Self::Capabilities(names) => write!(
                f,
                "not privileged, but with {} capabilities and no masked paths",
                names.len()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_plane_gets_nothing_and_a_node_what_there_is() {
        assert_eq!(
            choices(Shape::ControlPlane, &vec!["SYS_ADMIN"]),
            [Privilege::Default]
        );
        let node = choices(Shape::Node, &vec!["SYS_ADMIN", "NET_ADMIN", "BPF"]);
        assert_eq!(node[0], Privilege::Privileged);
        let mut host = HostConfig::default();
        node[1].apply(&mut host);
        assert_eq!(host.cap_add.as_ref().unwrap().len(), 2);
        assert_eq!(host.masked_paths, Some(Vec::new()));
        assert_eq!(host.privileged, None);
    }

    #[test]
    fn only_a_refusal_of_rights_leads_to_fewer_rights() {
        let runc = "runc create failed: unable to apply caps: operation not permitted";
        assert!(Privilege::Privileged.was_refused(runc));
        assert!(!Privilege::Privileged.was_refused("no such image"));
        assert!(!Privilege::Default.was_refused(runc));
    }
}
