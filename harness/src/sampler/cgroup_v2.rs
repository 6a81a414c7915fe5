//! A cell's cgroup on the unified hierarchy.

use std::io;
use std::path::Path;

use reports::metric::Metric;

use super::Sampler;
use super::file::{Buffer, Source, keyed, number, pressure_some};

/// Reads memory, CPU, IO and pressure of one v2 cgroup.
pub struct CgroupV2 {
    buffer: Buffer,
    usage: Source,
    /// Since Linux 5.19.
    peak: Option<Source>,
    stat: Source,
    events: Source,
    cpu: Source,
    /// Needs the controller `io`.
    io: Option<Source>,
    pressure: Vec<(Metric, Source)>,
}

impl CgroupV2 {
    /// Opens the files of a cgroup.
    ///
    /// # Errors
    /// When a file that each kernel has cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let needed = |name: &str| Source::open(&folder.join(name));
        let optional = |name: &str| Source::optional(&folder.join(name));
        let pressure = [
            (Metric::MemoryPressure, "memory.pressure"),
            (Metric::CpuPressure, "cpu.pressure"),
            (Metric::IoPressure, "io.pressure"),
        ];
        Ok(Self {
            buffer: Buffer::new(),
            usage: needed("memory.current")?,
            peak: optional("memory.peak"),
            stat: needed("memory.stat")?,
            events: needed("memory.events")?,
            cpu: needed("cpu.stat")?,
            io: optional("io.stat"),
            pressure: pressure
                .into_iter()
                .filter_map(|(metric, name)| Some((metric, optional(name)?)))
                .collect(),
        })
    }
}

impl Sampler for CgroupV2 {
    fn name(&self) -> &str {
        "cgroup-v2"
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let buffer = &mut self.buffer;
        let mut put = |metric, value: u64| into.push((metric, value as f64));
        let usage = self.usage.number(buffer)?;
        put(Metric::Usage, usage);
        if let Some(peak) = &self.peak {
            put(Metric::Peak, peak.number(buffer)?);
        }
        let mut inactive_file = 0;
        keyed(self.stat.read(buffer)?, |key, value| match key {
            b"anon" => put(Metric::Anon, value),
            b"file" => put(Metric::File, value),
            b"kernel" => put(Metric::Kernel, value), // since Linux 5.18
            b"inactive_file" => inactive_file = value,
            _ => {}
        });
        put(Metric::WorkingSet, usage.saturating_sub(inactive_file));
        keyed(self.events.read(buffer)?, |key, value| match key {
            b"max" => put(Metric::LimitHits, value),
            b"oom_kill" => put(Metric::OomKills, value),
            _ => {}
        });
        keyed(self.cpu.read(buffer)?, |key, value| match key {
            b"usage_usec" => put(Metric::CpuUsed, value),
            b"nr_periods" => put(Metric::CpuPeriods, value),
            b"nr_throttled" => put(Metric::CpuThrottledPeriods, value),
            b"throttled_usec" => put(Metric::CpuThrottled, value),
            _ => {}
        });
        if let Some(io) = &self.io {
            let (read, written) = io_stat(io.read(buffer)?);
            put(Metric::IoRead, read);
            put(Metric::IoWritten, written);
        }
        for (metric, source) in &self.pressure {
            // Opening succeeds but reading fails where PSI was switched off at boot (psi=0).
            if let Some(total) = source.read(buffer).ok().and_then(pressure_some) {
                put(*metric, total);
            }
        }
        Ok(())
    }
}

/// Lines `8:0 rbytes=4096 wbytes=8192 rios=…`, one a device.
fn io_stat(text: &[u8]) -> (u64, u64) {
    let (mut read, mut written) = (0, 0);
    for field in text.split(|byte| matches!(byte, b' ' | b'\n')) {
        if let Some(value) = field.strip_prefix(b"rbytes=") {
            read += number(value).unwrap_or(0);
        } else if let Some(value) = field.strip_prefix(b"wbytes=") {
            written += number(value).unwrap_or(0);
        }
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_cgroup_gives_these_values_in_these_units() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroup-v2");
        let mut readings = Vec::new();
        let mut sampler = CgroupV2::open(&folder).unwrap();
        sampler.sample(&mut readings).unwrap();
        let value = |metric| readings.iter().find(|(m, _)| *m == metric).map(|(_, v)| *v);
        assert_eq!(value(Metric::Usage), Some(400_000_000.0));
        assert_eq!(value(Metric::Peak), Some(419_430_400.0));
        assert_eq!(value(Metric::WorkingSet), Some(370_000_000.0));
        assert_eq!(value(Metric::Anon), Some(350_000_000.0));
        assert_eq!(value(Metric::File), Some(40_000_000.0));
        assert_eq!(value(Metric::Kernel), Some(10_000_000.0));
        assert_eq!(value(Metric::CpuUsed), Some(5_200_000.0));
        assert_eq!(value(Metric::CpuThrottled), Some(1_234_567.0));
        assert_eq!(value(Metric::IoRead), Some(4096.0 + 512.0));
        assert_eq!(value(Metric::IoWritten), Some(8192.0));
        assert_eq!(value(Metric::OomKills), Some(2.0));
        assert_eq!(value(Metric::LimitHits), Some(86_835.0));
        assert_eq!(value(Metric::MemoryPressure), Some(77.0));
        assert_eq!(
            value(Metric::IoPressure),
            None,
            "the fixture has no such file"
        );
    }
}
