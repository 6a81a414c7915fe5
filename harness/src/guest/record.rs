//! One record of the sampler in the guest: the kernel's files as they were there, read here. Whatever is missing or
//! malformed makes the whole record an error: a half one would look like a whole one.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reports::metric::Metric;

use super::protocol::{Frame, Kind};
use crate::text;

/// What the guest's kernel told at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Counts up by one from record to record of one sampler.
    pub sequence: u32,
    /// The guest's monotonic clock.
    pub at: Duration,
    /// Records that the sampler could not send so far, since nobody took them.
    pub dropped: u64,
    /// CPU time that the sampler itself has used.
    pub sampler_cpu: Duration,
    /// Of the whole machine.
    pub machine: Vec<(Metric, f64)>,
    /// Of the server's cgroup, while there is one.
    pub server: Option<Vec<(Metric, f64)>>,
}

/// The kernel's `USER_HZ`, the unit of `/proc/stat`, is 100 for every program.
const TICK_US: u64 = 10_000;

struct Files<'a>(HashMap<&'a str, &'a str>);

impl<'a> Files<'a> {
    fn of(frame: &'a Frame) -> anyhow::Result<Self> {
        ensure!(frame.kind == Kind::Sample as u32, "it is no sample");
        ensure!(
            frame.fields.len().is_multiple_of(2),
            "a file has no content"
        );
        let mut files = HashMap::new();
        for pair in frame.fields.chunks_exact(2) {
            let name = std::str::from_utf8(&pair[0]).context("a name is no text")?;
            let content = std::str::from_utf8(&pair[1]).context("a file is no text")?;
            files.insert(name, content);
        }
        Ok(Self(files))
    }

    fn get(&self, name: &str) -> anyhow::Result<&'a str> {
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("it lacks {name}"))
    }

    /// The numbers of a file of lines `key value` or `key: value kB`.
    fn keyed(&self, name: &str) -> anyhow::Result<HashMap<&'a str, u64>> {
        let mut found = HashMap::new();
        for line in self.get(name)?.lines() {
            let mut words = line.split_ascii_whitespace();
            if let (Some(key), Some(value)) = (words.next(), words.next()) {
                found.insert(
                    key.trim_end_matches(':'),
                    number(value).with_context(|| format!("in {name}"))?,
                );
            }
        }
        Ok(found)
    }

    /// `total=` of the line `some`: cumulative microseconds.
    fn pressure(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let Some(content) = self.0.get(name) else {
            return Ok(None);
        };
        let some = content.lines().find(|line| line.starts_with("some "));
        let total = some.and_then(|line| {
            line.split_ascii_whitespace()
                .find_map(|word| word.strip_prefix("total="))
        });
        total
            .map(number)
            .transpose()
            .with_context(|| format!("in {name}"))
    }
}

fn number(word: &str) -> anyhow::Result<u64> {
    word.parse()
        .with_context(|| format!("{:?} is no number", text::tame(word)))
}

fn needed(from: &HashMap<&str, u64>, key: &str) -> anyhow::Result<u64> {
    from.get(key)
        .copied()
        .with_context(|| format!("{key} is missing"))
}

impl Record {
    /// Reads a frame.
    ///
    /// # Errors
    /// When anything that each kernel tells is missing or malformed.
    pub(super) fn read(frame: &Frame) -> anyhow::Result<Self> {
        Self::parse(frame).context("failed to read a record of the guest's sampler")
    }

    fn parse(frame: &Frame) -> anyhow::Result<Self> {
        let files = Files::of(frame)?;
        let at: f64 = files
            .get("time")?
            .parse()
            .context("its time is no number")?;
        let at = Duration::try_from_secs_f64(at).context("its time is none")?;
        // schedstat: time on the CPU in ns, time waiting for it, slices.
        let cpu = files
            .get("self")?
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default();
        let server = files
            .0
            .contains_key("server.memory.current")
            .then(|| server(&files))
            .transpose()?;
        Ok(Self {
            sequence: frame.id,
            at,
            dropped: number(files.get("dropped")?)?,
            sampler_cpu: Duration::from_nanos(number(cpu)?),
            machine: machine(&files)?,
            server,
        })
    }
}

fn machine(files: &Files<'_>) -> anyhow::Result<Vec<(Metric, f64)>> {
    let memory = files.keyed("meminfo")?;
    let bytes = |key: &str| needed(&memory, key).map(|kilobytes| kilobytes.saturating_mul(1024));
    let available = bytes("MemAvailable")?;
    let vm = files.keyed("vmstat")?;
    let mut readings: Vec<(Metric, u64)> = vec![
        (
            Metric::MachineUsed,
            bytes("MemTotal")?.saturating_sub(available),
        ),
        (Metric::MachineAvailable, available),
        (
            Metric::MachineSwapUsed,
            bytes("SwapTotal")?.saturating_sub(bytes("SwapFree")?),
        ),
        (Metric::MachineCpuUsed, busy(files.get("stat")?)?),
        (Metric::MachineMajorFaults, needed(&vm, "pgmajfault")?),
        (
            Metric::MachinePagesScanned,
            needed(&vm, "pgscan_kswapd")?.saturating_add(needed(&vm, "pgscan_direct")?),
        ),
        (Metric::MachineOomKills, needed(&vm, "oom_kill")?),
    ];
    if let Some(zram) = files.0.get("zram") {
        // mm_stat: original size, compressed size, memory used, and more.
        let used = zram.split_ascii_whitespace().nth(2);
        let used = used.context("zram tells no memory used")?;
        readings.push((Metric::MachineZramUsed, number(used)?));
    }
    for (metric, name) in [
        (Metric::MemoryPressure, "pressure.memory"),
        (Metric::CpuPressure, "pressure.cpu"),
        (Metric::IoPressure, "pressure.io"),
    ] {
        // Those of the server's cgroup have the same names and are better; a machine's stand in for none.
        if !files.0.contains_key("server.memory.pressure") {
            readings.extend(files.pressure(name)?.map(|total| (metric, total)));
        }
    }
    Ok(as_floats(readings))
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and guests' shares, which
/// are in the first two already.
fn busy(stat: &str) -> anyhow::Result<u64> {
    let line = stat.lines().next().unwrap_or_default();
    let Some(values) = line.strip_prefix("cpu ") else {
        bail!("stat begins otherwise")
    };
    let values: Vec<u64> = values
        .split_ascii_whitespace()
        .map(number)
        .collect::<Result<_, _>>()?;
    ensure!(values.len() >= 8, "stat is too short");
    let ticks = values[..8]
        .iter()
        .enumerate()
        .filter(|(index, _)| !matches!(index, 3 | 4));
    Ok(ticks
        .fold(0u64, |sum, (_, ticks)| sum.saturating_add(*ticks))
        .saturating_mul(TICK_US))
}

fn server(files: &Files<'_>) -> anyhow::Result<Vec<(Metric, f64)>> {
    let one = |name: &str| number(files.get(name)?.trim()).with_context(|| format!("in {name}"));
    let usage = one("server.memory.current")?;
    let memory = files.keyed("server.memory.stat")?;
    let events = files.keyed("server.memory.events")?;
    let cpu = files.keyed("server.cpu.stat")?;
    let mut readings = vec![
        (Metric::Usage, usage),
        (
            Metric::WorkingSet,
            usage.saturating_sub(needed(&memory, "inactive_file")?),
        ),
        (Metric::Anon, needed(&memory, "anon")?),
        (Metric::File, needed(&memory, "file")?),
        (Metric::LimitHits, needed(&events, "max")?),
        (Metric::OomKills, needed(&events, "oom_kill")?),
        (Metric::CpuUsed, needed(&cpu, "usage_usec")?),
    ];
    let optional = [
        (Metric::Kernel, memory.get("kernel")), // since Linux 5.18
        (Metric::CpuPeriods, cpu.get("nr_periods")),
        (Metric::CpuThrottledPeriods, cpu.get("nr_throttled")),
        (Metric::CpuThrottled, cpu.get("throttled_usec")),
    ];
    readings.extend(
        optional
            .into_iter()
            .filter_map(|(metric, value)| Some((metric, *value?))),
    );
    if files.0.contains_key("server.memory.peak") {
        readings.push((Metric::Peak, one("server.memory.peak")?)); // since Linux 5.19
    }
    if let Some(io) = files.0.get("server.io.stat") {
        let sum = |prefix: &str| {
            let fields = io
                .split_ascii_whitespace()
                .filter_map(|word| word.strip_prefix(prefix));
            fields.map(number).try_fold(0u64, |sum, value| {
                value.map(|value| sum.saturating_add(value))
            })
        };
        readings.push((Metric::IoRead, sum("rbytes=")?));
        readings.push((Metric::IoWritten, sum("wbytes=")?));
    }
    for (metric, name) in [
        (Metric::MemoryPressure, "server.memory.pressure"),
        (Metric::CpuPressure, "server.cpu.pressure"),
        (Metric::IoPressure, "server.io.pressure"),
    ] {
        readings.extend(files.pressure(name)?.map(|total| (metric, total)));
    }
    Ok(as_floats(readings))
}

fn as_floats(readings: Vec<(Metric, u64)>) -> Vec<(Metric, f64)> {
    readings
        .into_iter()
        .map(|(metric, value)| (metric, value as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &[(&str, &str)] = &[
        ("time", "12.500000"),
        ("dropped", "3"),
        ("self", "2500000 100 7\n"),
        (
            "meminfo",
            "MemTotal:  490364 kB\nMemFree: 1 kB\nMemAvailable: 400000 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n",
        ),
        ("stat", "cpu  10 1 20 1000 500 2 3 4 99 99\ncpu0 1 2\n"),
        (
            "vmstat",
            "nr_free_pages 5\npgmajfault 11\npgscan_kswapd 6\npgscan_direct 7\noom_kill 1\n",
        ),
        ("zram", "  4096000  1024000 1200000 0 1300000 5 6 7 8\n"),
        (
            "pressure.memory",
            "some avg10=0.00 total=77\nfull avg10=0.00 total=5\n",
        ),
    ];
    const SERVER: &[(&str, &str)] = &[
        ("server.memory.current", "1000\n"),
        (
            "server.memory.stat",
            "anon 600\nfile 300\nkernel 100\ninactive_file 200\n",
        ),
        ("server.memory.peak", "1500\n"),
        ("server.memory.events", "low 0\nmax 4\noom_kill 0\n"),
        ("server.cpu.stat", "usage_usec 123\nuser_usec 100\n"),
        (
            "server.io.stat",
            "254:0 rbytes=10 wbytes=20 rios=1\n254:16 rbytes=1 wbytes=2\n",
        ),
    ];

    fn frame(files: &[(&str, &str)]) -> Frame {
        let fields = files
            .iter()
            .flat_map(|(name, content)| [name.as_bytes().to_vec(), content.as_bytes().to_vec()]);
        Frame::new(Kind::Sample, 5, fields.collect())
    }

    fn value(readings: &[(Metric, f64)], metric: Metric) -> Option<f64> {
        readings.iter().find(|(m, _)| *m == metric).map(|(_, v)| *v)
    }

    #[test]
    fn a_machine_without_a_server() {
        let record = Record::read(&frame(MACHINE)).unwrap();
        assert_eq!(
            (record.sequence, record.dropped, record.server),
            (5, 3, None)
        );
        assert_eq!(record.at, Duration::from_millis(12_500));
        assert_eq!(record.sampler_cpu, Duration::from_micros(2500));
        let expected = [
            (Metric::MachineUsed, 90_364.0 * 1024.0),
            (Metric::MachineAvailable, 400_000.0 * 1024.0),
            (Metric::MachineSwapUsed, 60.0 * 1024.0),
            (Metric::MachineCpuUsed, 40.0 * 10_000.0),
            (Metric::MachineMajorFaults, 11.0),
            (Metric::MachinePagesScanned, 13.0),
            (Metric::MachineOomKills, 1.0),
            (Metric::MachineZramUsed, 1_200_000.0),
            (Metric::MemoryPressure, 77.0),
        ];
        assert_eq!(record.machine, expected);
    }

    #[test]
    fn a_server_in_its_cgroup() {
        let record = Record::read(&frame(&[MACHINE, SERVER].concat())).unwrap();
        let server = record.server.unwrap();
        for (metric, expected) in [
            (Metric::Usage, 1000.0),
            (Metric::WorkingSet, 800.0),
            (Metric::Anon, 600.0),
            (Metric::Kernel, 100.0),
            (Metric::Peak, 1500.0),
            (Metric::LimitHits, 4.0),
            (Metric::CpuUsed, 123.0),
            (Metric::IoRead, 11.0),
            (Metric::IoWritten, 22.0),
        ] {
            assert_eq!(value(&server, metric), Some(expected), "{metric:?}");
        }
        assert_eq!(
            value(&server, Metric::CpuPeriods),
            None,
            "no quota, no periods"
        );
    }

    #[test]
    fn whatever_is_missing_or_malformed_fails_the_record() {
        let all = [MACHINE, SERVER].concat();
        let needless = [
            "pressure.memory",
            "zram",
            "server.memory.peak",
            "server.io.stat",
        ];
        // Without this one there is no server.
        let marker = "server.memory.current";
        for (index, (name, content)) in all.iter().enumerate() {
            let mut less = all.clone();
            less.remove(index);
            let read = Record::read(&frame(&less));
            let fine = needless.contains(name) || *name == marker;
            assert_eq!(read.is_ok(), fine, "without {name}");
            let mut torn = all.clone();
            let cut = content.replace(|c: char| c.is_ascii_digit(), "x");
            torn[index].1 = &cut;
            assert!(Record::read(&frame(&torn)).is_err(), "with a torn {name}");
        }
        let mut odd = frame(&all);
        odd.fields.pop();
        assert!(Record::read(&odd).is_err());
        odd.kind = 128;
        assert!(Record::read(&odd).is_err());
    }
}
