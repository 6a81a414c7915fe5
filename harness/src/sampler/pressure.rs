//! Pressure of the whole host, for cgroup v1, which has none of its own.

use std::io;
use std::path::Path;

use reports::metric::Metric;

use super::Sampler;
use super::file::{Buffer, Source, pressure_some};

/// Reads `/proc/pressure`.
pub struct HostPressure {
    buffer: Buffer,
    sources: Vec<(Metric, Source)>,
}

impl HostPressure {
    /// Opens the files; `None` where the kernel has no pressure accounting, or it is switched off.
    #[must_use]
    pub fn open() -> Option<Self> {
        let mut buffer = Buffer::new();
        let files = [
            (Metric::MemoryPressure, "memory"),
            (Metric::CpuPressure, "cpu"),
            (Metric::IoPressure, "io"),
        ];
        let sources: Vec<_> = files
            .into_iter()
            .filter_map(|(metric, name)| {
                Some((
                    metric,
                    Source::optional(&Path::new("/proc/pressure").join(name))?,
                ))
            })
            .filter(|(_, source)| source.read(&mut buffer).is_ok())
            .collect();
        (!sources.is_empty()).then_some(Self { buffer, sources })
    }
}

impl Sampler for HostPressure {
    fn name(&self) -> &str {
        "host-pressure"
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        for (metric, source) in &self.sources {
            if let Some(total) = pressure_some(source.read(&mut self.buffer)?) {
                into.push((*metric, total as f64));
            }
        }
        Ok(())
    }
}
