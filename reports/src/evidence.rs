//! What the kernel says of a cell's budget: of its server, and of the agents that joined it.

use serde::{Deserialize, Serialize};

/// How a budget was enforced, and what the kernel says of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetEvidence {
    /// Whether a cgroup, or the size of the machine, enforced it; otherwise it was only observed.
    pub enforced: bool,
    /// Why it was not enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_enforced_because: Option<String>,
    /// The limit as read back from the kernel, bytes; of a machine, what its own kernel has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// The limit as read back from the kernel, thousandths of a CPU; of a machine, what its own kernel tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_milli: Option<u64>,
    /// The kernel's high-water mark of the cgroup, bytes; of a machine, the most that was seen in use; with neither, the
    /// high-water marks of the resident sets of the processes that are still there, added up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// OOM kills in the cgroup, or in the whole machine; `None`: nobody counted.
    #[serde(default)]
    pub oom_kills: Option<u64>,
    /// Times the memory limit was hit.
    pub limit_hits: u64,
    /// Throttled periods over all periods, while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled_share: Option<f64>,
    /// Whether the server was still in its cgroup when last seen.
    pub stayed_in_cgroup: bool,
    /// Unasked ends of the server.
    pub restarts: u64,
    /// Whether it answered at the end of the hold period; `None`: there was no hold period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_after_hold: Option<bool>,
    /// Length of the hold period, milliseconds.
    pub hold_ms: f64,
    /// Whether the budget is a machine's own size instead of a limit inside one: its peak is then sampled, of the whole
    /// machine.
    #[serde(default)]
    pub machine: bool,
    /// How it thrashed, if it was given up for that: silent, with reclaim and major faults high and no OOM kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thrashed: Option<String>,
    /// What became of the agents that joined the server; the figures above are the server's alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentEvidence>,
}

/// What became of one agent, as its place saw it at the end of the cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEvidence {
    /// Its name.
    pub name: String,
    /// Whether it had a machine of its own instead of a limit inside one.
    #[serde(default)]
    pub machine: bool,
    /// The limit as read back, bytes.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// The high-water mark of its cgroup, or the most that was seen in use of its machine, bytes.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// OOM kills in its cgroup or machine; `None`: nobody counted.
    #[serde(default)]
    pub oom_kills: Option<u64>,
    /// How it ended, if it did and nobody had asked it to.
    #[serde(default)]
    pub lost: Option<String>,
}

impl AgentEvidence {
    fn worst_with(self, other: &Self) -> Self {
        Self {
            machine: self.machine || other.machine,
            memory_limit_bytes: self
                .memory_limit_bytes
                .zip(other.memory_limit_bytes)
                .map(|(a, b)| a.max(b)),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
            oom_kills: most_kills(self.oom_kills, other.oom_kills),
            lost: self.lost.or_else(|| other.lost.clone()),
            name: self.name,
        }
    }
}

/// The greater number of OOM kills. What one of them did not count is not zero.
fn most_kills(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b).filter(|kills| *kills > 0),
    }
}

/// Each agent once, with the worst of what is known of it.
fn worst_agents(agents: Vec<AgentEvidence>, others: &[AgentEvidence]) -> Vec<AgentEvidence> {
    let named = |name: &str| others.iter().find(|other| other.name == name);
    let mut all: Vec<AgentEvidence> = agents
        .into_iter()
        .map(|agent| match named(&agent.name) {
            Some(other) => agent.worst_with(other),
            None => agent,
        })
        .collect();
    for other in others {
        if all.iter().all(|agent| agent.name != other.name) {
            all.push(other.clone());
        }
    }
    all
}

impl BudgetEvidence {
    /// Whether there was no moment at which the server was ready.
    #[must_use]
    pub fn never_served(&self) -> bool {
        self.hold_ms == 0.0 && self.serving_after_hold.is_none()
    }

    /// Whether its figures are those of a cgroup in which the server was: without one, a peak is the sum of what each
    /// process tells of itself.
    #[must_use]
    pub fn of_a_cgroup(&self) -> bool {
        !self.machine && (self.enforced || self.stayed_in_cgroup)
    }

    /// The worst of two pieces of evidence on one cell, each field for itself: enforced only if both were,
    /// the greater peak, the greater counts, a limit only where both read one back.
    #[must_use]
    pub fn worst_with(self, other: &Self) -> Self {
        Self {
            enforced: self.enforced && other.enforced,
            not_enforced_because: self
                .not_enforced_because
                .or_else(|| other.not_enforced_because.clone()),
            memory_limit_bytes: self
                .memory_limit_bytes
                .zip(other.memory_limit_bytes)
                .map(|(a, b)| a.max(b)),
            cpu_limit_milli: self
                .cpu_limit_milli
                .zip(other.cpu_limit_milli)
                .map(|(a, b)| a.max(b)),
            peak_bytes: self.peak_bytes.max(other.peak_bytes),
            oom_kills: most_kills(self.oom_kills, other.oom_kills),
            limit_hits: self.limit_hits.max(other.limit_hits),
            throttled_share: match (self.throttled_share, other.throttled_share) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            },
            stayed_in_cgroup: self.stayed_in_cgroup && other.stayed_in_cgroup,
            restarts: self.restarts.max(other.restarts),
            serving_after_hold: match (self.serving_after_hold, other.serving_after_hold) {
                (Some(a), Some(b)) => Some(a && b),
                (a, b) => a.or(b),
            },
            hold_ms: self.hold_ms.max(other.hold_ms),
            machine: self.machine || other.machine,
            thrashed: self.thrashed.or_else(|| other.thrashed.clone()),
            agents: worst_agents(self.agents, &other.agents),
        }
    }
}
