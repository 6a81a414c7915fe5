//! Budgets: what a cell may use, enforced while it runs and judged afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Memory and CPU that a cell may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Budget {
    /// `edge`, `server`, `unlimited`, or the text it was parsed from.
    pub name: String,
    /// Memory limit in bytes; `None` is unlimited.
    pub memory_bytes: Option<u64>,
    /// CPU limit in thousandths of one CPU; `None` is unlimited.
    pub cpu_milli: Option<u64>,
}

const MIB: u64 = 1024 * 1024;

impl Budget {
    /// 512 MiB and 1 CPU: the device that assay exists for.
    #[must_use]
    pub fn edge() -> Self {
        Self {
            name: "edge".into(),
            memory_bytes: Some(512 * MIB),
            cpu_milli: Some(1000),
        }
    }

    /// 2 GiB and 2 CPUs: what the K3s requirements page documents for a server.
    #[must_use]
    pub fn server() -> Self {
        Self {
            name: "server".into(),
            memory_bytes: Some(2048 * MIB),
            cpu_milli: Some(2000),
        }
    }

    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            name: "unlimited".into(),
            memory_bytes: None,
            cpu_milli: None,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A budget that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("budget {0:?} is not one of edge, server, unlimited, or MEMORY/CPU such as 768Mi/1.5")]
pub struct BudgetSyntax(pub String);

impl FromStr for Budget {
    type Err = BudgetSyntax;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "edge" => return Ok(Self::edge()),
            "server" => return Ok(Self::server()),
            "unlimited" => return Ok(Self::unlimited()),
            _ => {}
        }
        let bad = || BudgetSyntax(text.to_owned());
        let (memory, cpu) = match text.split_once('/') {
            Some((memory, cpu)) => (memory, Some(cpu)),
            None => (text, None),
        };
        let memory_bytes = parse_memory(memory).ok_or_else(bad)?;
        let cpu_milli = cpu.map(|c| parse_cpu(c).ok_or_else(bad)).transpose()?;
        Ok(Self {
            name: text.to_owned(),
            memory_bytes: Some(memory_bytes),
            cpu_milli,
        })
    }
}

/// Kubernetes quantity suffixes for memory; at least 1 MiB, so that `512` is not read as 512 bytes.
fn parse_memory(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor: u64 = match suffix {
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "" => 1,
        _ => return None,
    };
    let value: f64 = number.parse().ok()?;
    let bytes = value * factor as f64;
    (bytes.is_finite() && bytes >= MIB as f64 && bytes < 2f64.powi(60)).then_some(bytes as u64)
}

/// `1.5` or `1500m`; at least 10 milli-CPU, below which the kernel's quota period cannot express it.
fn parse_cpu(text: &str) -> Option<u64> {
    let milli = match text.strip_suffix('m') {
        Some(milli) => milli.parse::<u64>().ok()?,
        None => {
            let cpus: f64 = text.parse().ok()?;
            if !(0.0..=4096.0).contains(&cpus) {
                return None;
            }
            (cpus * 1000.0).round() as u64
        }
    };
    (10..=4_096_000).contains(&milli).then_some(milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_quantities_are_read() {
        assert_eq!("edge".parse(), Ok(Budget::edge()));
        let b: Budget = "768Mi/1.5".parse().unwrap();
        assert_eq!((b.memory_bytes, b.cpu_milli), (Some(768 * MIB), Some(1500)));
        let b: Budget = "1Gi/250m".parse().unwrap();
        assert_eq!((b.memory_bytes, b.cpu_milli), (Some(1024 * MIB), Some(250)));
        assert_eq!("128Mi".parse::<Budget>().unwrap().cpu_milli, None);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "/",
            "512",
            "512Mi/",
            "-1Mi/1",
            "1Xi/1",
            "512Mi/0",
            "512Mi/nan",
            "infMi/1",
            "9e99Gi/1",
            "huge",
        ] {
            assert_eq!(
                text.parse::<Budget>(),
                Err(BudgetSyntax(text.into())),
                "{text}"
            );
        }
    }
}
