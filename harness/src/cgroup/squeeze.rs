//! Changing the memory limit of a cgroup that runs.

use super::{Cgroup, Hierarchy, Refused};

impl Cgroup {
    /// Sets another memory limit, bytes; `None`: no limit. Version 2 then kills what does not fit; version 1 refuses a
    /// limit that it cannot reach by reclaiming (`EBUSY`) and kills at the next allocation beyond it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_memory_limit(&self, bytes: Option<u64>) -> Result<(), Refused> {
        let folder = self.memory();
        match &self.hierarchy {
            Hierarchy::V2 { .. } => {
                let value = bytes.map_or_else(|| "max".to_owned(), |bytes| bytes.to_string());
                super::write(&folder.join("memory.max"), &value)
            }
            Hierarchy::V1(_) => {
                let value = bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
                let alone = folder.join("memory.limit_in_bytes");
                let with_swap = folder.join("memory.memsw.limit_in_bytes");
                if !with_swap.exists() {
                    return super::write(&alone, &value);
                }
                // The kernel keeps memory <= memory+swap at any moment: the one that gives way goes first, and
                // which one that is depends on the direction.
                match super::write(&with_swap, &value) {
                    Ok(()) => super::write(&alone, &value),
                    Err(_) => {
                        super::write(&alone, &value)?;
                        super::write(&with_swap, &value)
                    }
                }
            }
        }
    }

    /// What is charged to it now, bytes.
    #[must_use]
    pub fn usage(&self) -> Option<u64> {
        let file = match &self.hierarchy {
            Hierarchy::V1(_) => "memory.usage_in_bytes",
            Hierarchy::V2 { .. } => "memory.current",
        };
        std::fs::read_to_string(self.memory().join(file))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}
