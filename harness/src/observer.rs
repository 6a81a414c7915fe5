//! What the instrument itself uses: read from `/proc/self`, printed in every report.

use reports::event::Observer;

/// Clock ticks a second that `/proc/<pid>/stat` counts in: fixed at 100 in Linux's user interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads assay's own CPU time and highest resident set size; the sampler's figures are its driver's to add.
#[must_use]
pub fn observe() -> Observer {
    Observer {
        cpu_ms: fs_err::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| cpu_ms(&text))
            .unwrap_or(0.0),
        max_rss_bytes: fs_err::read_to_string("/proc/self/status")
            .ok()
            .and_then(|text| high_water(&text))
            .unwrap_or(0),
        ..Observer::default()
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
        assert!(observe().max_rss_bytes > 0);
    }
}
