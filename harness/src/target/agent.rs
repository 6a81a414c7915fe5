//! Agents: further nodes that joined a cluster's server.

use std::net::IpAddr;
use std::path::PathBuf;

use reports::event::AgentEvidence;

use super::Exit;

/// An agent as its place sees it, asked of no API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The name under which it joins.
    pub name: String,
    /// Its address, as its place gave it.
    pub address: IpAddr,
    /// Its log file.
    pub log: PathBuf,
    /// How it ended, if it did; nobody had asked it to.
    pub ended: Option<Exit>,
    /// What the kernel holds it to, bytes; `None` is no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Whether it is a machine of its own, so that its peak is the most that was seen in use of the whole machine.
    pub machine: bool,
    /// The high-water mark of its cgroup or machine, bytes; `None` where nobody tells.
    pub peak_bytes: Option<u64>,
    /// Its processes that were killed for exceeding the limit; `None` where nobody counted.
    pub oom_kills: Option<u64>,
}

/// An agent's link to the rest of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Cut: neither side hears of the other, and nothing is refused.
    Down,
    /// As at the start.
    Up,
}

impl Agent {
    /// What the cell's evidence says of it.
    #[must_use]
    pub fn evidence(&self) -> AgentEvidence {
        AgentEvidence {
            name: self.name.clone(),
            machine: self.machine,
            memory_limit_bytes: self.memory_limit_bytes,
            peak_bytes: self.peak_bytes,
            oom_kills: self.oom_kills,
            lost: self.lost(),
        }
    }

    /// Its end in words, with where to look; `None` while it runs.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let exit = self.ended.as_ref()?;
        let how = match (exit.oom_killed, exit.signal, exit.code) {
            (true, ..) => "was killed for exceeding its memory budget".to_owned(),
            (_, Some(signal), _) => format!("was ended by signal {signal}"),
            (_, _, Some(code)) => format!("exited with code {code}"),
            _ => "ended in an unknown way".to_owned(),
        };
        let log = self.log.display();
        Some(format!("the agent {} {how}; its log: {log}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_ended_is_lost_and_says_how() {
        let exit = |code, signal, oom_killed| Exit {
            code,
            signal,
            oom_killed,
        };
        let mut agent = Agent {
            name: "agent-1".into(),
            address: "198.18.0.3".parse().unwrap(),
            log: "/logs/agent-1.log".into(),
            ended: None,
            memory_limit_bytes: None,
            machine: false,
            peak_bytes: None,
            oom_kills: Some(0),
        };
        assert_eq!(agent.lost(), None);
        for (ended, word) in [
            (exit(None, Some(9), true), "budget"),
            (exit(None, Some(9), false), "signal 9"),
            (exit(Some(1), None, false), "code 1"),
            (exit(None, None, false), "unknown"),
        ] {
            agent.ended = Some(ended);
            let words = agent.lost().unwrap();
            assert!(words.contains(word) && words.contains("agent-1.log"));
        }
    }
}
