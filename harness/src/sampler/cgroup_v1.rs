//! A cell's cgroup on version 1 hierarchies.

use std::io;
use std::path::Path;

use reports::metric::Metric;

use super::Sampler;
use super::file::{Buffer, Source, keyed};
use super::process_io::ProcessIo;
use crate::cgroup::V1Mounts;

/// Reads memory, CPU and IO of one v1 cgroup; IO by its processes' own accounts.
pub struct CgroupV1 {
    buffer: Buffer,
    usage: Source,
    peak: Source,
    stat: Source,
    kernel: Option<Source>,
    oom: Source,
    failures: Source,
    /// Where memory+swap has the same limit, hits are counted here, for the kernel asks it first.
    swap_failures: Option<Source>,
    cpu: Source,
    cpu_used: Option<Source>,
    io: ProcessIo,
}

impl CgroupV1 {
    /// Opens the files of a cgroup, given its folder in each hierarchy.
    ///
    /// # Errors
    /// When a file that each kernel has cannot be opened.
    pub fn open(folders: &V1Mounts) -> io::Result<Self> {
        let memory = |name: &str| Source::open(&folders.memory.join(name));
        let beneath = |folder: Option<&Path>, name: &str| Source::optional(&folder?.join(name));
        Ok(Self {
            buffer: Buffer::new(),
            usage: memory("memory.usage_in_bytes")?,
            peak: memory("memory.max_usage_in_bytes")?,
            stat: memory("memory.stat")?,
            kernel: Source::optional(&folders.memory.join("memory.kmem.usage_in_bytes")),
            oom: memory("memory.oom_control")?,
            failures: memory("memory.failcnt")?,
            swap_failures: Source::optional(&folders.memory.join("memory.memsw.failcnt")),
            cpu: Source::open(&folders.cpu.join("cpu.stat"))?,
            cpu_used: beneath(folders.cpuacct.as_deref(), "cpuacct.usage"),
            io: ProcessIo::of(&folders.memory),
        })
    }
}

impl Sampler for CgroupV1 {
    fn name(&self) -> &str {
        "cgroup-v1"
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let buffer = &mut self.buffer;
        let mut put = |metric, value: u64| into.push((metric, value as f64));
        let usage = self.usage.number(buffer)?;
        put(Metric::Usage, usage);
        put(Metric::Peak, self.peak.number(buffer)?);
        let memory = memory_stat(self.stat.read(buffer)?);
        put(
            Metric::WorkingSet,
            usage.saturating_sub(memory.inactive_file),
        );
        put(Metric::Anon, memory.anon);
        put(Metric::File, memory.file);
        if let Some(kernel) = &self.kernel {
            put(Metric::Kernel, kernel.number(buffer)?);
        }
        let mut oom_kills = None; // since Linux 4.13
        keyed(self.oom.read(buffer)?, |key, value| {
            if key == b"oom_kill" {
                oom_kills = Some(value);
            }
        });
        if let Some(kills) = oom_kills {
            put(Metric::OomKills, kills);
        }
        let mut hits = self.failures.number(buffer)?;
        if let Some(failures) = &self.swap_failures {
            hits += failures.number(buffer)?;
        }
        // These counters stay 0 on recent kernels (seen on 6.18); who was killed at the limit has hit it.
        put(Metric::LimitHits, hits.max(oom_kills.unwrap_or(0)));
        if let Some(used) = &self.cpu_used {
            put(Metric::CpuUsed, used.number(buffer)? / 1000); // nanoseconds
        }
        keyed(self.cpu.read(buffer)?, |key, value| match key {
            b"nr_periods" => put(Metric::CpuPeriods, value),
            b"nr_throttled" => put(Metric::CpuThrottledPeriods, value),
            b"throttled_time" => put(Metric::CpuThrottled, value / 1000), // nanoseconds
            _ => {}
        });
        let [read, written] = self.io.read(buffer);
        put(Metric::IoRead, read);
        put(Metric::IoWritten, written);
        Ok(())
    }
}

struct Memory {
    anon: u64,
    file: u64,
    inactive_file: u64,
}

/// The `total_` fields include cgroups beneath; those without the prefix do not
/// (Documentation/admin-guide/cgroup-v1/memory.rst, 5.2).
fn memory_stat(text: &[u8]) -> Memory {
    let mut memory = Memory {
        anon: 0,
        file: 0,
        inactive_file: 0,
    };
    keyed(text, |key, value| match key {
        b"total_rss" => memory.anon = value,
        b"total_cache" => memory.file = value,
        b"total_inactive_file" => memory.inactive_file = value,
        _ => {}
    });
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> V1Mounts {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroup-v1");
        V1Mounts {
            memory: root.clone(),
            cpu: root.clone(),
            cpuacct: Some(root),
            pids: None,
            freezer: None,
        }
    }

    #[test]
    fn a_recorded_cgroup_gives_these_values_in_these_units() {
        let mut readings = Vec::new();
        let mut sampler = CgroupV1::open(&fixture()).unwrap();
        sampler.sample(&mut readings).unwrap();
        let value = |metric| readings.iter().find(|(m, _)| *m == metric).map(|(_, v)| *v);
        assert_eq!(value(Metric::Usage), Some(400_000_000.0));
        assert_eq!(value(Metric::Peak), Some(419_430_400.0));
        assert_eq!(
            value(Metric::WorkingSet),
            Some(400_000_000.0 - 30_000_000.0)
        );
        assert_eq!(value(Metric::Anon), Some(350_000_000.0));
        assert_eq!(value(Metric::File), Some(40_000_000.0));
        assert_eq!(value(Metric::Kernel), Some(10_000_000.0));
        assert_eq!(value(Metric::CpuUsed), Some(5_200_000.0));
        assert_eq!(value(Metric::CpuPeriods), Some(120.0));
        assert_eq!(value(Metric::CpuThrottledPeriods), Some(31.0));
        assert_eq!(value(Metric::CpuThrottled), Some(1_234_567.0));
        assert_eq!(value(Metric::IoWritten), Some(0.0));
        assert_eq!(value(Metric::OomKills), Some(2.0));
        assert_eq!(value(Metric::LimitHits), Some(86_835.0));
        assert_eq!(readings.len(), 14);
    }
}
