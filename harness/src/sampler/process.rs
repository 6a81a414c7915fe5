//! Processes without a cgroup: the sum over everything that descends from one process.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use reports::metric::Metric;

use super::Sampler;
use super::file::{Buffer, Source, keyed, number};
use crate::target::native::descendants;

/// How often `/proc` is searched for new processes: it costs as much as a hundred readings.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// Reads resident memory, CPU time and IO of a process tree.
///
/// These are sums of resident sets: pages that processes share count for each of them.
pub struct ProcessTree {
    ancestor: i32,
    buffer: Buffer,
    members: Vec<Member>,
    searched: Option<Instant>,
    /// What members had used when they ended, so that cumulative values do not fall: CPU microseconds, bytes
    /// read, bytes written.
    ended: [u64; 3],
    microseconds_per_tick: u64,
}

struct Member {
    pid: i32,
    stat: Source,
    statm: Source,
    /// Readable only with the right to trace the process.
    io: Option<Source>,
    used: [u64; 3],
}

impl ProcessTree {
    /// Samples everything that descends from `ancestor`, itself left out.
    #[must_use]
    pub fn new(ancestor: i32) -> Self {
        Self {
            ancestor,
            buffer: Buffer::new(),
            members: Vec::new(),
            searched: None,
            ended: [0; 3],
            microseconds_per_tick: 1_000_000 / rustix::param::clock_ticks_per_second().max(1),
        }
    }

    fn search(&mut self) {
        let now = Instant::now();
        if self.searched.is_some_and(|at| now - at < SEARCH_EVERY) {
            return;
        }
        self.searched = Some(now);
        for pid in descendants(self.ancestor) {
            if self.members.iter().all(|member| member.pid != pid)
                && let Some(member) = Member::open(pid)
            {
                self.members.push(member);
            }
        }
    }
}

impl Member {
    fn open(pid: i32) -> Option<Self> {
        let folder = Path::new("/proc").join(pid.to_string());
        Some(Self {
            pid,
            stat: Source::optional(&folder.join("stat"))?,
            statm: Source::optional(&folder.join("statm"))?,
            io: Source::optional(&folder.join("io")),
            used: [0; 3],
        })
    }

    /// Resident bytes, and those of them that belong to no file and no shared memory. Descriptors of a process that ended fail, also when its pid is used again.
    fn read(&mut self, buffer: &mut Buffer, tick: u64) -> io::Result<(u64, u64)> {
        self.used[0] = cpu_ticks(self.stat.read(buffer)?) * tick;
        if let Some(io) = &self.io
            && let Ok(text) = io.read(buffer)
        {
            keyed(text, |key, value| match key {
                b"read_bytes:" => self.used[1] = value,
                b"write_bytes:" => self.used[2] = value,
                _ => {}
            });
        }
        let statm = self.statm.read(buffer)?;
        let (resident, anonymous) = pages(statm);
        let page = rustix::param::page_size() as u64;
        Ok((resident * page, anonymous * page))
    }
}

impl Sampler for ProcessTree {
    fn name(&self) -> &str {
        "process-tree"
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        self.search();
        let (mut resident, mut anonymous, mut used) = (0, 0, self.ended);
        let (buffer, tick, ended) = (
            &mut self.buffer,
            self.microseconds_per_tick,
            &mut self.ended,
        );
        self.members.retain_mut(|member| {
            let alive = member
                .read(buffer, tick)
                .map(|(all, anon)| {
                    resident += all;
                    anonymous += anon;
                })
                .is_ok();
            for (nth, value) in member.used.iter().enumerate() {
                used[nth] += value;
                if !alive {
                    ended[nth] += value;
                }
            }
            alive
        });
        into.push((Metric::Rss, resident as f64));
        into.push((Metric::Anon, anonymous as f64));
        into.push((Metric::Processes, self.members.len() as f64));
        into.push((Metric::CpuUsed, used[0] as f64));
        into.push((Metric::IoRead, used[1] as f64));
        into.push((Metric::IoWritten, used[2] as f64));
        Ok(())
    }
}

/// Resident pages, and those of them that are anonymous: field 2 of proc_pid_statm(5), and what field 3
/// (file-backed or shared) leaves of it. The kernel counts both in batches, so the difference may lag.
pub(super) fn pages(statm: &[u8]) -> (u64, u64) {
    let mut fields = statm.split(|byte| *byte == b' ').skip(1);
    let mut next = || fields.next().and_then(number).unwrap_or(0);
    let (resident, shared) = (next(), next());
    (resident, resident.saturating_sub(shared))
}

/// utime and stime, fields 14 and 15 of proc_pid_stat(5), counted from the last `)`.
pub(super) fn cpu_ticks(stat: &[u8]) -> u64 {
    let after = stat
        .iter()
        .rposition(|byte| *byte == b')')
        .map_or(&[][..], |at| stat.get(at + 2..).unwrap_or_default());
    after
        .split(|byte| *byte == b' ')
        .skip(11)
        .take(2)
        .filter_map(number)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_summed_and_its_cpu_time_never_falls() {
        assert_eq!(cpu_ticks(b"7 (a) b) ) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0"), 42);
        assert_eq!(cpu_ticks(b"cut"), 0);
        assert_eq!(pages(b"900 40 30 1 0 9 0\n"), (40, 10));
        assert_eq!(pages(b"900 40 50 1 0 9 0\n"), (40, 0));
        assert_eq!(pages(b""), (0, 0));
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let mut tree = ProcessTree::new(std::process::id().cast_signed());
        let mut readings = Vec::new();
        tree.sample(&mut readings).unwrap();
        // Before anything is asserted, so that a failing test leaves no process behind.
        child.kill().unwrap();
        child.wait().unwrap();
        let value = |readings: &[(Metric, f64)], wanted| {
            let mut found = readings.iter().filter(|(metric, _)| *metric == wanted);
            found.next().unwrap().1
        };
        let (resident, anon) = (
            value(&readings, Metric::Rss),
            value(&readings, Metric::Anon),
        );
        assert!(resident > 0.0 && resident >= anon, "{readings:?}");
        assert!(value(&readings, Metric::Processes) >= 1.0, "{readings:?}");
        let used = value(&readings, Metric::CpuUsed);
        readings.clear();
        tree.sample(&mut readings).unwrap();
        assert!(value(&readings, Metric::CpuUsed) >= used);
    }
}
