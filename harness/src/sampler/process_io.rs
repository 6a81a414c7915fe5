//! What the processes of a cgroup read from and wrote to block devices, by their own accounts.
//!
//! cgroup v1 charges buffered writes that the kernel writes back later to the root, so its block IO figures say 0
//! for a database that seldom syncs. `write_bytes` of `/proc/<pid>/io` counts a page when it is dirtied
//! (proc(5)), by whoever dirtied it: it is the figure to trust there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::{Buffer, Source, keyed};
use crate::cgroup::processes_in;

/// How often the cgroup is searched for new processes.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// Sums over the processes of one cgroup; what ended processes had done stays in the sum.
pub struct ProcessIo {
    cgroup: PathBuf,
    members: Vec<Member>,
    searched: Option<Instant>,
    ended: [u64; 2],
}

struct Member {
    pid: i32,
    io: Source,
    seen: [u64; 2],
}

impl ProcessIo {
    /// Watches the processes of the cgroup at this folder.
    #[must_use]
    pub fn of(cgroup: &Path) -> Self {
        Self {
            cgroup: cgroup.to_owned(),
            members: Vec::new(),
            searched: None,
            ended: [0; 2],
        }
    }

    /// Bytes read and bytes written so far.
    pub fn read(&mut self, buffer: &mut Buffer) -> [u64; 2] {
        self.search();
        let (mut sum, ended) = (self.ended, &mut self.ended);
        self.members.retain_mut(|member| {
            // Descriptors of a process that ended fail, also when its pid is used again.
            let alive = match member.io.read(buffer) {
                Ok(text) => {
                    keyed(text, |key, value| match key {
                        b"read_bytes:" => member.seen[0] = value,
                        b"write_bytes:" => member.seen[1] = value,
                        _ => {}
                    });
                    true
                }
                Err(_) => false,
            };
            for (nth, bytes) in member.seen.iter().enumerate() {
                sum[nth] += bytes;
                if !alive {
                    ended[nth] += bytes;
                }
            }
            alive
        });
        sum
    }

    fn search(&mut self) {
        let now = Instant::now();
        if self.searched.is_some_and(|at| now - at < SEARCH_EVERY) {
            return;
        }
        self.searched = Some(now);
        for pid in processes_in(&self.cgroup) {
            if self.members.iter().all(|member| member.pid != pid)
                && let Some(io) =
                    Source::optional(&Path::new("/proc").join(pid.to_string()).join("io"))
            {
                self.members.push(Member {
                    pid,
                    io,
                    seen: [0; 2],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_writes_is_counted() {
        let folder = {
            // Beside the test's program: a temporary folder may be on a tmpfs, which has no device to write to.
            let program = std::env::current_exe().unwrap();
            tempfile::tempdir_in(program.parent().unwrap()).unwrap()
        };
        fs_err::write(
            folder.path().join("cgroup.procs"),
            std::process::id().to_string(),
        )
        .unwrap();
        let mut io = ProcessIo::of(folder.path());
        let mut buffer = Buffer::new();
        let before = io.read(&mut buffer)[1];
        fs_err::write(folder.path().join("written"), vec![1; 1 << 20]).unwrap();
        assert!(io.read(&mut buffer)[1] >= before + (1 << 20));
    }
}
