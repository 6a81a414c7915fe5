//! What was made for one cell, and its removal in reverse order.

use anyhow::Result;

use crate::scope::{Resource, Scope};

/// The resources of one cell, oldest first.
#[derive(Debug)]
pub(in crate::target) struct Holdings {
    scope: Scope,
    resources: Vec<Resource>,
}

impl Holdings {
    pub fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            resources: Vec::new(),
        }
    }

    /// Enters a resource into the ledger; only then may it be made.
    pub fn enter(&mut self, resource: Resource) -> Result<()> {
        self.scope.enter(resource.clone())?;
        self.resources.push(resource);
        Ok(())
    }

    /// Removes those cgroups that were entered so far, after the kernel refused to make all of them.
    pub fn release_cgroups(&mut self) {
        let scope = &self.scope;
        self.resources.retain(|resource| {
            !matches!(resource, Resource::Cgroup { .. }) || scope.release(resource).is_err()
        });
    }

    /// Removes everything, newest first. Returns what stayed, one line each. Blocks.
    pub fn release(mut self) -> Vec<String> {
        self.release_all()
    }

    /// Removes everything but this folder, which is the user's from now on: no sweep will find it.
    pub fn release_but(mut self, kept: &std::path::Path) -> Vec<String> {
        let scope = &self.scope;
        self.resources.retain(|resource| {
            let keep = matches!(resource, Resource::Folder { path } if path == kept);
            if keep {
                scope.left(resource);
            }
            !keep
        });
        self.release_all()
    }

    fn release_all(&mut self) -> Vec<String> {
        let mut stayed = Vec::new();
        while let Some(resource) = self.resources.pop() {
            if let Err(reason) = self.scope.release(&resource) {
                stayed.push(format!("{}: {reason}", resource.describe()));
            }
        }
        stayed
    }
}

/// A provisioning that was cancelled half-way, or a cluster that was dropped without being destroyed.
impl Drop for Holdings {
    fn drop(&mut self) {
        // What stays is in the ledger, so that `sweep` finds and names it.
        let _ = self.release_all();
    }
}
