//! The guest's stream of records as samplers; what they say of the whole machine is evidence on the budget, too.

use std::io;
use std::time::Instant;

use reports::metric::Metric;

use super::evidence::{Evidence, MachineReading};
use crate::guest::Samples;
use crate::sampler::Sampler;

/// The samplers of a guest, each of which adds what it hands on to the evidence.
pub(super) fn watched(samples: &Samples, evidence: &Evidence) -> Vec<Box<dyn Sampler>> {
    let watch = |inner| -> Box<dyn Sampler> {
        Box::new(Watched {
            inner,
            evidence: evidence.clone(),
        })
    };
    samples.samplers().into_iter().map(watch).collect()
}

struct Watched {
    inner: Box<dyn Sampler>,
    evidence: Evidence,
}

impl Sampler for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let before = into.len();
        self.inner.sample(into)?;
        let reading = reading(&into[before..]);
        if reading != MachineReading::default() {
            self.evidence.add(Instant::now(), &reading);
        }
        Ok(())
    }
}

fn reading(values: &[(Metric, f64)]) -> MachineReading {
    let value = |wanted| {
        let found = values.iter().find(|(metric, _)| *metric == wanted);
        found.map(|(_, value)| *value as u64)
    };
    MachineReading {
        available: value(Metric::MachineAvailable),
        oom_kills: value(Metric::MachineOomKills),
        major_faults: value(Metric::MachineMajorFaults),
        scanned: value(Metric::MachinePagesScanned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_machine_is_evidence_on_it() {
        let of = |values: &[(Metric, f64)]| reading(values);
        let server = [(Metric::Usage, 5.0), (Metric::OomKills, 3.0)];
        assert_eq!(of(&server), MachineReading::default());
        let machine = of(&[
            (Metric::MachineAvailable, 7.0),
            (Metric::MachineMajorFaults, 9.0),
        ]);
        assert_eq!(
            (machine.available, machine.major_faults),
            (Some(7), Some(9))
        );
        assert_eq!((machine.oom_kills, machine.scanned), (None, None));
    }
}
