//! How long each step about artifacts may take.

use std::time::Duration;

/// Deadlines and attempts. Tests shorten them; nobody else needs to.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To resolve a name and open a connection.
    pub connect: Duration,
    /// Without a single byte.
    pub stall: Duration,
    /// For another process that downloads the same file.
    pub lock: Duration,
    /// For a binary to answer `--version`.
    pub version: Duration,
    /// To decide whether the mirror can be reached at all (`--distribution auto`).
    pub reach: Duration,
    /// How often an interrupted transfer that made headway is taken up again within one call.
    pub resumes: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            lock: Duration::from_secs(30 * 60),
            version: Duration::from_secs(5),
            reach: Duration::from_millis(4500),
            resumes: 3,
        }
    }
}
