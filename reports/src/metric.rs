//! Metrics: a name and a unit. A figure without a unit does not exist.

use serde::{Deserialize, Serialize};

/// The unit of a value. Values are `f64` in exactly this unit; conversion is a renderer's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Thousandths of one CPU (CPU time per wall time).
    MilliCpu,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// A number of things.
    Count,
    /// Operations per second.
    PerSecond,
    /// A share between 0 and 1.
    Ratio,
}

/// What is sampled over time. Cumulative metrics only grow while their cgroup or process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// cgroup usage minus inactive file pages, floor 0: the kubelet's definition.
    WorkingSet,
    /// Anonymous memory of the cgroup.
    Anon,
    /// File-backed memory of the cgroup.
    File,
    /// Kernel memory of the cgroup.
    Kernel,
    /// What the kernel compares with the limit (`memory.current`, `memory.usage_in_bytes`).
    Usage,
    /// The kernel's own high-water mark of [`Metric::Usage`].
    Peak,
    /// CPU time used, cumulative, microseconds.
    CpuUsed,
    /// Enforcement periods of the CPU quota, cumulative.
    CpuPeriods,
    /// Enforcement periods in which the quota was exhausted, cumulative.
    CpuThrottledPeriods,
    /// Time throttled, cumulative, microseconds.
    CpuThrottled,
    /// Bytes read from block devices, cumulative.
    IoRead,
    /// Bytes written to block devices, cumulative.
    IoWritten,
    /// Processes killed by the OOM killer in the cgroup, cumulative.
    OomKills,
    /// Times the limit was hit (`memory.events` max, `memory.failcnt`), cumulative.
    LimitHits,
    /// Memory pressure, some, cumulative microseconds (of the cgroup, or the host on cgroup v1: see the source).
    MemoryPressure,
    /// CPU pressure, some, cumulative microseconds.
    CpuPressure,
    /// IO pressure, some, cumulative microseconds.
    IoPressure,
    /// Resident set size of one process.
    Rss,
    /// Proportional set size of one process.
    Pss,
    /// Number of processes seen.
    Processes,
    /// Memory of a whole emulated machine that is not available (`MemTotal` minus `MemAvailable`), the kernel's own
    /// included.
    MachineUsed,
    /// Memory that a whole emulated machine has left without swapping (`MemAvailable`).
    MachineAvailable,
    /// Swap used by a whole emulated machine.
    MachineSwapUsed,
    /// Memory that the store of zram takes in a whole emulated machine (`mem_used_total`).
    MachineZramUsed,
    /// CPU time used by a whole emulated machine, cumulative, microseconds (idle and waiting for IO left out).
    MachineCpuUsed,
    /// Page faults of a whole emulated machine that read from a disk, cumulative: many of them are thrashing.
    MachineMajorFaults,
    /// Pages that the kernel of a whole emulated machine looked at in search of free memory, cumulative.
    MachinePagesScanned,
    /// Processes killed by the OOM killer anywhere in an emulated machine, cumulative.
    MachineOomKills,
    /// The clock of an emulated machine that counts its instructions, cumulative, microseconds: thousands of
    /// instructions. Rates of its other metrics are per this clock.
    CountedClock,
}

impl Metric {
    /// The unit of this metric's values.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::CpuUsed
            | Self::CpuThrottled
            | Self::MemoryPressure
            | Self::CpuPressure
            | Self::IoPressure
            | Self::MachineCpuUsed
            | Self::CountedClock => Unit::Microseconds,
            Self::CpuPeriods
            | Self::CpuThrottledPeriods
            | Self::OomKills
            | Self::LimitHits
            | Self::Processes
            | Self::MachineMajorFaults
            | Self::MachinePagesScanned
            | Self::MachineOomKills => Unit::Count,
            Self::WorkingSet
            | Self::Anon
            | Self::File
            | Self::Kernel
            | Self::Usage
            | Self::Peak
            | Self::IoRead
            | Self::IoWritten
            | Self::Rss
            | Self::Pss
            | Self::MachineUsed
            | Self::MachineAvailable
            | Self::MachineSwapUsed
            | Self::MachineZramUsed => Unit::Bytes,
        }
    }

    /// Whether values only grow, so that averages are exact at any interval.
    #[must_use]
    pub fn is_cumulative(self) -> bool {
        !matches!(
            self,
            Self::WorkingSet
                | Self::Anon
                | Self::File
                | Self::Kernel
                | Self::Usage
                | Self::Peak
                | Self::Rss
                | Self::Pss
                | Self::Processes
                | Self::MachineUsed
                | Self::MachineAvailable
                | Self::MachineSwapUsed
                | Self::MachineZramUsed
        )
    }
}
