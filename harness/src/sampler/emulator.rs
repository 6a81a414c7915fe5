//! The host's view of an emulated machine: what its emulator costs here. Never a figure of the guest's.

use std::io;
use std::path::Path;

use reports::metric::Metric;

use super::Sampler;
use super::file::{Buffer, Source};
use super::process::{cpu_ticks, pages};

/// Reads the resident memory and CPU time of one emulator.
pub struct EmulatorProcess {
    buffer: Buffer,
    stat: Source,
    statm: Source,
    microseconds_per_tick: u64,
}

impl EmulatorProcess {
    /// Opens the files of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn open(pid: i32) -> io::Result<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        Ok(Self {
            buffer: Buffer::new(),
            stat: Source::open(&folder.join("stat"))?,
            statm: Source::open(&folder.join("statm"))?,
            microseconds_per_tick: 1_000_000 / rustix::param::clock_ticks_per_second().max(1),
        })
    }
}

impl Sampler for EmulatorProcess {
    fn name(&self) -> &str {
        "observer-emulator"
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let used = cpu_ticks(self.stat.read(&mut self.buffer)?) * self.microseconds_per_tick;
        let (resident, _) = pages(self.statm.read(&mut self.buffer)?);
        let bytes = resident * rustix::param::page_size() as u64;
        into.push((Metric::Rss, bytes as f64));
        into.push((Metric::CpuUsed, used as f64));
        Ok(())
    }
}

/// CPU time that a process has used so far, its ended threads included; to the hundredth of a second.
#[must_use]
pub fn cpu_used(pid: i32) -> Option<std::time::Duration> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let tick = 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Some(std::time::Duration::from_micros(cpu_ticks(&stat) * tick))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_and_its_name_keeps_it_apart() {
        let mut sampler = EmulatorProcess::open(std::process::id().cast_signed()).unwrap();
        let mut readings = Vec::new();
        sampler.sample(&mut readings).unwrap();
        assert!(readings[0].1 > 0.0, "{readings:?}");
        assert!(sampler.name().starts_with(reports::figures::OBSERVER));
        assert!(EmulatorProcess::open(i32::MAX).is_err());
    }
}
