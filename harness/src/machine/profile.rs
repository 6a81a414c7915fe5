//! Machine profiles: which core, how many, how much memory. Data; a profile is one TOML file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use reports::budget::Budget;
use serde::{Deserialize, Serialize};

use super::kvm::Accelerator;

const MIB: u64 = 1 << 20;

/// What the emulator is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name: that of its file.
    #[serde(skip)]
    pub name: String,
    /// A few words for lists.
    pub title: String,
    /// QEMU's `-M`.
    pub machine: String,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// Cores, where the budget names none.
    pub cpus: u32,
    /// Memory as a Kubernetes quantity, where the budget names none.
    pub memory: String,
    /// How its instructions are executed: no data of the profile but what this host can.
    #[serde(skip)]
    pub accelerator: Accelerator,
}

/// How large the machine of one cell is: its budget's size, or where that is open, the profile's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Cores.
    pub cpus: u32,
}

impl Profile {
    /// Finds a profile: a name of the table, or a path of a TOML file.
    ///
    /// # Errors
    /// When there is none, or its text is malformed; the message lists the names.
    pub fn find(name: &str) -> Result<Self> {
        if let Some((name, text)) = fixtures::machines::MACHINES
            .iter()
            .find(|(known, _)| *known == name)
        {
            return Self::parse(name, text);
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e == "toml") {
            let text =
                fs_err::read_to_string(path).context("failed to read the machine profile")?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '.';
            let known = fixtures::machines::MACHINES
                .iter()
                .any(|(known, _)| *known == stem);
            // It becomes part of the cells' names: no figure of one machine may stand under another's.
            ensure!(
                !stem.is_empty() && stem.chars().all(plain) && !known && stem != "counted",
                "failed to use the machine profile {name}: call the file by letters, digits and dots, and not by a name \
                 that is taken"
            );
            return Self::parse(&stem, &text);
        }
        let known: Vec<_> = fixtures::machines::MACHINES
            .iter()
            .map(|(n, _)| *n)
            .collect();
        anyhow::bail!(
            "there is no machine {name:?}; choose one of {}, or give a TOML file",
            known.join(", ")
        )
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut profile: Self = toml::from_str(text)
            .with_context(|| format!("failed to read the machine profile {name}"))?;
        profile.name = name.to_owned();
        // They become words of QEMU's option syntax, in which commas separate.
        for word in [&profile.machine, &profile.cpu] {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            ensure!(
                !word.is_empty() && word.chars().all(plain),
                "failed to read the machine profile {name}: {word:?} is no plain word"
            );
        }
        ensure!(
            (1..=64).contains(&profile.cpus),
            "failed to read the machine profile {name}: {} CPUs are not between 1 and 64",
            profile.cpus
        );
        profile.memory_bytes()?;
        Ok(profile)
    }

    fn memory_bytes(&self) -> Result<u64> {
        let budget: Budget = self
            .memory
            .parse()
            .with_context(|| format!("failed to read the memory of the machine {}", self.name))?;
        budget.memory_bytes.with_context(|| {
            format!(
                "failed to read the memory of the machine {}: it is no amount",
                self.name
            )
        })
    }

    /// The machine for a budget: the budget *is* the machine, so that no limit inside it is needed. A part of
    /// a CPU cannot be emulated: the machine then has the next whole number, and a cgroup in the guest the limit.
    ///
    /// # Errors
    /// When the memory is no whole number of MiB, or below what the kernel needs to boot.
    pub fn size(&self, budget: &Budget) -> Result<Size> {
        let bytes = match budget.memory_bytes {
            Some(bytes) => bytes,
            None => self.memory_bytes()?,
        };
        ensure!(
            bytes.is_multiple_of(MIB) && bytes >= 96 * MIB,
            "a machine of {bytes} bytes cannot be made: give a whole number of MiB, at least 96Mi"
        );
        let cpus = match budget.cpu_milli {
            Some(milli) => u32::try_from(milli.div_ceil(1000))?,
            None => self.cpus,
        };
        Ok(Size {
            memory_mib: bytes / MIB,
            cpus,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_the_table_is_sound_and_named() {
        for (name, _) in fixtures::machines::MACHINES {
            let profile = Profile::find(name).unwrap();
            assert_eq!(profile.name, *name);
            assert!(profile.size(&Budget::unlimited()).unwrap().memory_mib >= 512);
        }
        let words = Profile::find("pi9").unwrap_err().to_string();
        assert!(words.contains("aarch64-virt, pi3, pi4"), "{words}");
    }

    #[test]
    fn the_budget_is_the_machine_and_an_open_one_is_the_profiles() {
        let pi3 = Profile::find("pi3").unwrap();
        let size = |text: &str| pi3.size(&text.parse().unwrap()).unwrap();
        let is = |memory_mib, cpus| Size { memory_mib, cpus };
        assert_eq!(size("edge"), is(512, 1));
        assert_eq!(size("768Mi/1.5"), is(768, 2));
        assert_eq!(size("1Gi"), is(1024, 4));
        assert_eq!(size("unlimited"), is(1024, 4));
        pi3.size(&"16Mi/1".parse().unwrap()).unwrap_err();
    }

    #[test]
    fn one_file_adds_a_machine_and_hostile_words_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiny.toml");
        let text =
            |cpu: &str| format!("title='t'\nmachine='virt'\ncpu='{cpu}'\ncpus=1\nmemory='256Mi'\n");
        std::fs::write(&file, text("cortex-a35")).unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(Profile::find(path).unwrap().name, "tiny");
        std::fs::write(&file, text("a,b=c")).unwrap();
        Profile::find(path).unwrap_err();
    }
}
