//! The device itself, over ssh: its `/proc`, and the cgroup in which K3s runs, once a second.

use std::process::Stdio;
use std::time::Duration;

use reports::metric::Metric;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::{Remote, put};

const PERIOD: Duration = Duration::from_secs(1);
/// How long the first sample may take.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
/// Ends one sample.
const END: &str = "assay-end";

/// Run by the device's own shell: `cat`, `sleep` and `head` are all that it needs. A cgroup of K3s's own (such as
/// `system.slice/k3s.service`) is found once; where there is none, the whole device is what is sampled. Its high-water
/// mark is not read: it is that of the service's whole life, and this run's only where assay made the cgroup.
const SCRIPT: &str = r#"
own_cgroup() {
  for p in /proc/[0-9]*; do
    case "$(cat $p/comm 2>/dev/null)" in
      k3s|k3s-server)
        while IFS=: read -r _ names path; do
          case "$path" in *k3s*) ;; *) continue ;; esac
          case "$1,$names," in
            memory,,) [ -r "/sys/fs/cgroup$path/memory.current" ] && echo "/sys/fs/cgroup$path" && return ;;
            memory,*memory,*) echo "/sys/fs/cgroup/memory$path" && return ;;
            time,*cpuacct,*) echo "/sys/fs/cgroup/cpuacct$path/cpuacct.usage" && return ;;
          esac
        done < $p/cgroup ;;
    esac
  done
}
dir=$(own_cgroup memory)
time=$(own_cgroup time)
while :; do
  cat /proc/meminfo; head -n 1 /proc/stat
  if [ -n "$dir" ]; then
    for f in memory.current memory.usage_in_bytes; do
      [ -r "$dir/$f" ] && echo "cgroup:$f $(cat $dir/$f)"
    done
    while read -r key value; do echo "cgroup:$key $value"; done < "$dir/memory.stat"
    [ -r "$time" ] && echo "cgroup:cpuacct.usage $(cat $time)"
    [ -r "$dir/cpu.stat" ] && while read -r key value; do echo "cgroup:$key $value"; done < "$dir/cpu.stat"
  fi
  echo assay-end
  sleep 1
done
"#;

/// Starts the script on the device and waits for its first sample.
pub(super) async fn open(device: &str) -> Result<Remote, String> {
    if device.starts_with('-') {
        return Err(format!("{device:?} is no device; write it as USER@DEVICE"));
    }
    let mut child = Command::new("ssh")
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=5",
            "-o",
            "ServerAliveCountMax=3",
            "--",
            device,
            "sh",
            "-s",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("ssh cannot be started ({error}); install openssh-client"))?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("ssh has no pipes; report this as a bug".into());
    };
    stdin
        .write_all(SCRIPT.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    // The shell runs what it has read when its input ends.
    drop(stdin);
    let mut lines = BufReader::new(stdout).lines();
    let newest = super::Slot::default();
    let slot = newest.clone();
    let (tell, mut first) = tokio::sync::mpsc::channel(1);
    let task = tokio::spawn(async move {
        let mut sample = Sample::default();
        let mut of_cgroup = None;
        while let Ok(Some(line)) = lines.next_line().await {
            if line == END {
                let sample = std::mem::take(&mut sample);
                // What the first was of, all are: when K3s ends, the device's figures do not go on under its name.
                let kind = sample.usage.is_some();
                if *of_cgroup.get_or_insert(kind) == kind {
                    put(&slot, sample.readings());
                }
                // Only the first is awaited.
                let _ = tell.try_send(kind);
            } else {
                sample.take(&line);
            }
        }
        super::end(&slot);
        drop(tell);
    });
    match tokio::time::timeout(FIRST_WITHIN, first.recv()).await {
        Ok(Some(of_cgroup)) => {
            if let Some(mut stderr) = child.stderr.take() {
                // Unread, a full pipe would stop the script.
                tokio::spawn(
                    async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await },
                );
            }
            let keep = tokio::spawn(async move {
                // ssh lives as long as its reader.
                let _ = task.await;
                drop(child);
            });
            let (part, what) = sampled(of_cgroup);
            Ok(Remote {
                name: format!("ssh-{part}:{device}"),
                what,
                period: PERIOD,
                newest,
                task: keep,
            })
        }
        Ok(None) => Err(last_words(child).await),
        Err(_) => Err(format!("no sample came within {FIRST_WITHIN:?}")),
    }
}

/// What is sampled, for the source's name and for the record.
fn sampled(of_cgroup: bool) -> (&'static str, &'static str) {
    if of_cgroup {
        (
            "cgroup",
            "over ssh: the cgroup in which K3s runs on the device",
        )
    } else {
        (
            "device",
            "over ssh: the whole device with all that runs on it, for K3s has no cgroup of its own there",
        )
    }
}

async fn last_words(child: Child) -> String {
    let said = match tokio::time::timeout(FIRST_WITHIN, child.wait_with_output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        _ => String::new(),
    };
    let said = crate::text::tame(&said);
    format!("ssh ended at once ({said}); check that `ssh -o BatchMode=yes` reaches it with a key")
}

/// One sample as its lines come.
#[derive(Default)]
struct Sample {
    total: Option<f64>,
    available: Option<f64>,
    device: Vec<(Metric, f64)>,
    cgroup: Vec<(Metric, f64)>,
    usage: Option<f64>,
    inactive_file: Option<f64>,
}

impl Sample {
    fn take(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else {
            return;
        };
        if key == "cpu" {
            // user nice system idle iowait irq softirq steal, in hundredths of a second (proc_stat(5)).
            let ticks: Vec<f64> = std::iter::once(value)
                .chain(words)
                .filter_map(|word| word.parse().ok())
                .collect();
            if ticks.len() >= 7 {
                let busy: f64 = ticks[..3].iter().sum::<f64>() + ticks[5] + ticks[6];
                self.device.push((Metric::CpuUsed, busy * 1e4));
            }
            return;
        }
        let Ok(value) = value.parse::<f64>() else {
            return;
        };
        match key {
            "MemTotal:" => self.total = Some(value * 1024.0),
            "MemAvailable:" => self.available = Some(value * 1024.0),
            "AnonPages:" => self.device.push((Metric::Anon, value * 1024.0)),
            "Cached:" => self.device.push((Metric::File, value * 1024.0)),
            "cgroup:memory.current" | "cgroup:memory.usage_in_bytes" => self.usage = Some(value),
            "cgroup:anon" | "cgroup:total_rss" => self.cgroup.push((Metric::Anon, value)),
            "cgroup:file" | "cgroup:total_cache" => self.cgroup.push((Metric::File, value)),
            "cgroup:inactive_file" if self.inactive_file.is_none() => {
                self.inactive_file = Some(value);
            }
            "cgroup:total_inactive_file" => self.inactive_file = Some(value),
            "cgroup:cpuacct.usage" => self.cgroup.push((Metric::CpuUsed, value / 1e3)), // nanoseconds
            "cgroup:usage_usec" => self.cgroup.push((Metric::CpuUsed, value)),
            _ => {}
        }
    }

    /// K3s's cgroup where there is one, else the device: never a mixture.
    fn readings(self) -> Vec<(Metric, f64)> {
        let Some(usage) = self.usage else {
            let mut readings = self.device;
            if let (Some(total), Some(available)) = (self.total, self.available) {
                readings.push((Metric::Usage, total - available));
            }
            return readings;
        };
        let mut readings = self.cgroup;
        readings.push((Metric::Usage, usage));
        if let Some(inactive) = self.inactive_file {
            readings.push((Metric::WorkingSet, (usage - inactive).max(0.0)));
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<(Metric, f64)> {
        let mut sample = Sample::default();
        for line in lines {
            sample.take(line);
        }
        sample.readings()
    }

    const DEVICE: &[&str] = &[
        "MemTotal:  1000 kB",
        "MemAvailable: 400 kB",
        "AnonPages: 300 kB",
        "cpu  100 0 50 9999 5 1 2 0 0 0",
    ];

    #[test]
    fn a_device_without_a_cgroup_is_sampled_as_a_whole() {
        let readings = read(DEVICE);
        assert!(readings.contains(&(Metric::Usage, 600.0 * 1024.0)));
        assert!(readings.contains(&(Metric::CpuUsed, 153.0 * 1e4)));
        assert!(
            !readings
                .iter()
                .any(|(metric, _)| *metric == Metric::WorkingSet)
        );
    }

    #[test]
    fn a_cgroups_figures_are_not_mixed_with_the_devices() {
        let cgroup = [
            "cgroup:memory.current 500",
            // Of a time before this run.
            "cgroup:memory.peak 900",
            "cgroup:memory.max_usage_in_bytes 900",
            "cgroup:anon 300",
            "cgroup:inactive_file 100",
            "cgroup:usage_usec 7",
        ];
        let readings = read(&[DEVICE, &cgroup].concat());
        assert_eq!(
            readings,
            [
                (Metric::Anon, 300.0),
                (Metric::CpuUsed, 7.0),
                (Metric::Usage, 500.0),
                (Metric::WorkingSet, 400.0),
            ]
        );
    }

    #[test]
    fn hostile_lines_are_passed_over() {
        assert!(read(&["", "MemTotal: x", "cpu a b", "cgroup:memory.current -"]).is_empty());
    }
}
