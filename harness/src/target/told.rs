//! What a cluster tells of itself besides its samples.

use std::time::Duration;

/// Cost on a machine that counts its instructions, one a nanosecond of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Time on the machine's clock since the server was executed.
    pub clock: Duration,
    /// Instructions that the server has executed, its kernel work included.
    pub instructions: u64,
    /// Draws of prime candidates that were fixed so far, so that each start does the same work.
    pub fixed_draws: u64,
}

/// The same quantity by two instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvailableTwice {
    /// `MemAvailable` as the sampler in the guest read it, bytes.
    pub sampler: u64,
    /// `MemAvailable` as the guest's balloon driver told the emulator, bytes.
    pub emulator: u64,
}

/// How a machine came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot {
    /// From the emulator's execution to the agent's first answer, by this host's clock.
    pub wall: Duration,
    /// CPU time of the emulator until then: a busy host hardly changes it.
    pub cpu: Option<Duration>,
    /// Whether its memory was restored, so that nothing booted.
    pub restored: bool,
}

/// What a program that was run in a cluster's place left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code; 128 and the signal's number, where one ended it.
    pub code: i32,
    /// Its standard output, capped.
    pub stdout: Vec<u8>,
    /// Its standard error, capped.
    pub stderr: Vec<u8>,
}

/// The memory of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Its `comm`.
    pub name: String,
    /// Its pid, as seen from here.
    pub pid: i32,
    /// Resident set size, bytes.
    pub rss_bytes: u64,
    /// Proportional set size, bytes; `None` where the kernel does not tell.
    pub pss_bytes: Option<u64>,
}
