//! The agents of a cell: each has a budget of its own, as large as the server's, and nobody may have asked it to end.

use super::budget::missing;
use crate::event::AgentEvidence;
use crate::format;
use crate::outcome::Outcome::{self, Errored, Failed, Passed};

/// A question and its answer.
type Finding = (String, (Outcome, String));

/// Whether an agent stayed within `limit` bytes, and was held to them.
pub(super) fn within(agent: &AgentEvidence, limit: u64) -> Finding {
    let size = |bytes: u64| format::bytes(bytes as f64);
    let what = format!("agent {} within {}", agent.name, size(limit));
    let found = match (agent.oom_kills, agent.memory_limit_bytes, agent.peak_bytes) {
        (Some(kills), ..) if kills > 0 => {
            let kills = format::count(kills as usize, "OOM kill");
            (Failed, format!("{kills} on it"))
        }
        (None, ..) => (Errored, "nobody counted OOM kills on it to the end".into()),
        (_, Some(read), _) if read > limit || limit - read >= missing(limit, agent.machine) => {
            let because = format!("it was held to {} and not to that", size(read));
            (Errored, because)
        }
        (_, None, _) => (Errored, "nobody read back what it was held to".into()),
        (.., None) => (Errored, "its peak is not known".into()),
        (.., Some(peak)) => {
            let whose = if agent.machine {
                "greatest sampled use of its machine"
            } else {
                "kernel peak of its cgroup"
            };
            // Its own kernel, or its cgroup, held it to the limit just read back.
            (Passed, format!("0 OOM kills; {whose} {}", size(peak)))
        }
    };
    (what, found)
}

/// Whether an agent ran until it was told to stop.
pub(super) fn lived(agent: &AgentEvidence) -> Finding {
    let what = format!("no unasked end of the agent {}", agent.name);
    match &agent.lost {
        None => (what, (Passed, "it ran until it was told to stop".into())),
        Some(how) => (what, (Failed, how.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 512 << 20;

    fn agent(change: impl FnOnce(&mut AgentEvidence)) -> Outcome {
        let mut agent = AgentEvidence {
            name: "a-1".into(),
            machine: false,
            memory_limit_bytes: Some(LIMIT),
            peak_bytes: Some(300 << 20),
            oom_kills: Some(0),
            lost: None,
        };
        change(&mut agent);
        within(&agent, LIMIT).1.0.max(lived(&agent).1.0)
    }

    #[test]
    fn each_bad_fact_of_an_agent_flips_its_verdict() {
        assert_eq!(agent(|_| {}), Passed);
        assert_eq!(agent(|a| a.oom_kills = Some(1)), Failed);
        assert_eq!(agent(|a| a.lost = Some("it was killed".into())), Failed);
        for unknown in [
            |a: &mut AgentEvidence| a.oom_kills = None,
            |a: &mut AgentEvidence| a.memory_limit_bytes = None,
            |a: &mut AgentEvidence| a.memory_limit_bytes = Some(LIMIT * 2),
            |a: &mut AgentEvidence| a.memory_limit_bytes = Some(480 << 20),
            |a: &mut AgentEvidence| a.peak_bytes = None,
        ] {
            assert_eq!(agent(unknown), Errored);
        }
        let machine = |a: &mut AgentEvidence| {
            a.machine = true;
            a.memory_limit_bytes = Some(480 << 20);
        };
        assert_eq!(agent(machine), Passed, "its kernel keeps some");
    }
}
