//! What the instrument itself uses: read from `/proc/self`, printed in every report.

use std::time::Duration;

use reports::event::Observer;

use crate::sampler::DriverReport;

/// Clock ticks a second that `/proc/<pid>/stat` counts in: fixed at 100 in Linux's user interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the samplers of all cells cost together.
#[derive(Debug, Default, Clone)]
pub struct SamplerCost(DriverReport);

impl SamplerCost {
    /// Adds one cell's.
    pub fn add(&mut self, cell: &DriverReport) {
        let sum = &mut self.0;
        sum.cpu += cell.cpu;
        sum.wall += cell.wall;
        sum.settled_cpu += cell.settled_cpu;
        sum.settled_wall += cell.settled_wall;
        sum.samples += cell.samples;
        sum.missed += cell.missed;
        sum.worst_lateness = sum.worst_lateness.max(cell.worst_lateness);
    }
}

/// Reads assay's own CPU time and highest resident set size, beside what its samplers cost.
#[must_use]
pub fn observe(samplers: &SamplerCost) -> Observer {
    let millis = |span: Duration| span.as_secs_f64() * 1e3;
    let SamplerCost(sum) = samplers;
    Observer {
        cpu_ms: fs_err::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| cpu_ms(&text))
            .unwrap_or(0.0),
        max_rss_bytes: fs_err::read_to_string("/proc/self/status")
            .ok()
            .and_then(|text| high_water(&text))
            .unwrap_or(0),
        sampler_cpu_ms: millis(sum.cpu),
        sampler_wall_ms: millis(sum.wall),
        settled_cpu_ms: millis(sum.settled_cpu),
        settled_wall_ms: millis(sum.settled_wall),
        samples: sum.samples,
        worst_lateness_ms: millis(sum.worst_lateness),
    }
}

/// utime and stime, fields 14 and 15; `comm` before them may hold spaces and parentheses.
fn cpu_ms(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND * 1e3)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_figures_are_read() {
        assert_eq!(
            cpu_ms("12 (a) b) R 1 2 3 4 5 6 7 8 9 10 150 50 0"),
            Some(2000.0)
        );
        assert_eq!(
            high_water("Name:\tx\nVmHWM:\t   2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
        assert!(observe(&SamplerCost::default()).max_rss_bytes > 0);
    }
}
