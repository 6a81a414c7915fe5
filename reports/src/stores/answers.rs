//! Where the answers are read from. Every function gives the values of the repeats, or the reason why there are none.

use crate::event::{Latency, Measurement};
use crate::format;
use crate::metric::{Metric, Unit};
use crate::outcome::Outcome;
use crate::record::{CellRecord, Phase};
use crate::repeats::Repeated;

/// Values, or the reason why there are none.
pub type Values = Result<Vec<f64>, String>;

/// The scenario that finds out how much can be written.
pub const LADDER: &str = "write_ladder";

/// The scenarios that break something, and what they do to the server, in words.
pub const FAULTS: [(&str, &str); 7] = [
    ("fault_kill", "SIGKILL"),
    ("fault_oom", "an OOM kill at the budget"),
    ("fault_disk_full", "a full disk"),
    ("fault_slow_fsync", "a slow disk"),
    ("fault_freeze", "a freeze"),
    ("fault_read_only", "a read-only file system"),
    (
        "fault_restart_during_compaction",
        "a restart during compaction",
    ),
];

/// Operations that change nothing.
const READS: [&str; 8] = [
    "get",
    "list",
    "range",
    "read",
    "watch",
    "delivery",
    "count",
    "delivered",
];
/// A rung of the ladder is held when so much of the offered rate was achieved, without errors.
const HELD: f64 = 0.95;
/// An idle server that was watched for less says nothing of a day.
const LEAST_IDLE_MS: f64 = 5000.0;

/// What is there, else why the scenario has nothing.
fn or_why(values: Vec<f64>, cell: &Repeated<'_>, scenario: &str) -> Values {
    if !values.is_empty() {
        return Ok(values);
    }
    Err(cell
        .why_not(scenario)
        .unwrap_or_else(|| format!("{scenario} did not record it")))
}

fn label<'a>(labels: &'a std::collections::BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    labels.get(key).map(String::as_str)
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_')
}

/// Whether a distribution is one of writes at a level of the ladder.
pub fn written(l: &Latency, level: Option<&str>) -> bool {
    l.scenario == LADDER
        && label(&l.labels, "level") == level
        && !READS.contains(&l.operation.as_str())
}

/// The offered rate of an open loop, a second.
pub fn offered(l: &Latency) -> Option<f64> {
    let rate = label(&l.labels, "rate")?.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then_some(rate)
}

/// Whether a distribution is a rung of the ladder's open loop.
pub fn is_rung(l: &Latency) -> bool {
    written(l, label(&l.labels, "level")) && offered(l).is_some()
}

/// A figure of one record: the sum over operations that ran side by side.
fn each(cell: &Repeated<'_>, mut of: impl FnMut(&CellRecord) -> Option<f64>) -> Vec<f64> {
    cell.all
        .iter()
        .filter_map(|record| of(record))
        .filter(|v| v.is_finite())
        .collect()
}

/// Writes a second of one client that waits for each answer.
pub fn one_client(cell: &Repeated<'_>, level: Option<&str>) -> Values {
    let values = each(cell, |record| {
        let rates: Vec<f64> = record
            .latencies
            .iter()
            .filter(|l| written(l, level) && l.clients() == Some(1) && offered(l).is_none())
            .filter_map(Latency::per_second)
            .collect();
        (!rates.is_empty()).then(|| rates.iter().sum())
    });
    or_why(values, cell, LADDER)
}

/// The rungs of an open loop in one record: the offered rate, and everything that was written at it, merged.
pub fn rungs(record: &CellRecord, level: Option<&str>) -> Vec<(f64, Latency)> {
    let mut rungs: Vec<(f64, Latency)> = Vec::new();
    for l in record.latencies.iter().filter(|l| written(l, level)) {
        let Some(rate) = offered(l) else { continue };
        match rungs.iter_mut().find(|(known, _)| *known == rate) {
            Some((_, known)) => {
                let interval = known.interval_ms.max(l.interval_ms);
                known.merge(l);
                // They ran side by side, not one after the other.
                known.interval_ms = interval;
            }
            None => rungs.push((rate, l.clone())),
        }
    }
    rungs.sort_by(|a, b| a.0.total_cmp(&b.0));
    rungs
}

/// The knee of one record: as its scenario tells it, else the greatest offered rate that was held.
fn knee_of(record: &CellRecord, level: Option<&str>) -> Option<f64> {
    let told = record.measurements.iter().rev().find(|m| {
        m.scenario == LADDER
            && m.unit == Unit::PerSecond
            && words(&m.name).any(|word| word == "knee")
            && label(&m.labels, "level") == level
    });
    if let Some(told) = told {
        return Some(told.value);
    }
    let held = rungs(record, level).into_iter().filter_map(|(rate, l)| {
        let achieved = l.per_second()?;
        (l.errors == 0 && achieved >= rate * HELD).then_some(achieved)
    });
    crate::stats::greatest(held)
}

/// Writes a second at the knee.
pub fn knee(cell: &Repeated<'_>, level: Option<&str>) -> Values {
    or_why(each(cell, |record| knee_of(record, level)), cell, LADDER)
}

/// p99 at half the knee: of the rung whose offered rate is nearest to it, and not a quarter away.
pub fn half_knee_p99(cell: &Repeated<'_>, level: Option<&str>) -> Values {
    let values = each(cell, |record| {
        let half = knee_of(record, level)? / 2.0;
        let rungs = rungs(record, level);
        let near = rungs
            .iter()
            .min_by(|a, b| (a.0 - half).abs().total_cmp(&(b.0 - half).abs()))?;
        ((near.0 - half).abs() <= half / 4.0)
            .then(|| near.1.quantile_ms(0.99))
            .flatten()
    });
    if values.is_empty() && cell.why_not(LADDER).is_none() {
        return Err("no rate near half the knee was offered often enough for a p99".to_owned());
    }
    or_why(values, cell, LADDER)
}

/// A quantile of a distribution of one scenario, at one value of one label.
pub fn quantile(
    cell: &Repeated<'_>,
    scenario: &str,
    of: impl Fn(&Latency) -> bool,
    q: f64,
) -> Values {
    let values = cell.values_of_latency(|l| l.scenario == scenario && of(l), |l| l.quantile_ms(q));
    or_why(values, cell, scenario)
}

fn idle(phase: &Phase) -> bool {
    phase.name == "idle/watch"
        || phase
            .name
            .split('/')
            .nth(1)
            .is_some_and(|step| step.starts_with("idle"))
}

/// Memory while nothing is asked of it.
pub fn idle_memory(cell: &Repeated<'_>) -> Values {
    let told = cell.values(|m| m.scenario == "idle" && m.name == "working_set");
    if !told.is_empty() {
        return Ok(told);
    }
    let found = each(cell, |record| {
        super::phases::level(record, Metric::WorkingSet, idle)
    });
    if found.is_empty() {
        return Err("no idle server was watched; the suite footprint does".to_owned());
    }
    Ok(found)
}

/// Memory while it is written to.
pub fn loaded_memory(cell: &Repeated<'_>) -> Values {
    for scenario in [LADDER, "mixed_soak", "mix"] {
        let of = |phase: &Phase| phase.name.split('/').next() == Some(scenario);
        let found = each(cell, |record| {
            super::phases::level(record, Metric::WorkingSet, of)
        });
        if !found.is_empty() {
            return Ok(found);
        }
    }
    or_why(Vec::new(), cell, LADDER)
}

/// A figure a write, such as `fsyncs_per_write`: of the ladder where it has it, else of the mix; at one client where
/// clients are told apart, for many share a flush.
pub fn per_write(cell: &Repeated<'_>, name: &str) -> Values {
    let of = |scenario: Option<&str>, clients: bool| {
        cell.values(|m| {
            m.name == name
                && scenario.is_none_or(|wanted| m.scenario == wanted)
                && (!clients || label(&m.labels, "clients") == Some("1"))
        })
    };
    for scenario in [Some(LADDER), Some("mix"), None] {
        for clients in [true, false] {
            let values = of(scenario, clients);
            if !values.is_empty() {
                return Ok(values);
            }
        }
    }
    Err(cell
        .why_not(LADDER)
        .unwrap_or_else(|| format!("no scenario recorded {}", name.replace('_', " "))))
}

/// Bytes or fsyncs a day: as a scenario tells it, else for bytes of an idle server by its samples.
pub fn a_day(cell: &Repeated<'_>, unit: Unit, state: &str) -> Values {
    let told = |m: &Measurement| {
        let says =
            |word: &str| words(&m.name).any(|w| w == word) || m.labels.values().any(|v| v == word);
        m.unit == unit && m.name.contains("per_day") && says(state)
    };
    let values = cell.values(told);
    if !values.is_empty() {
        return Ok(values);
    }
    if unit != Unit::Bytes || state != "idle" {
        return Err(format!(
            "no scenario recorded it {}",
            if state == "idle" {
                "while idle"
            } else {
                "under load"
            }
        ));
    }
    let mut watched = 0.0;
    let values = each(cell, |record| {
        let (bytes, ms) = super::phases::a_day(record, Metric::IoWritten, idle)?;
        watched = ms;
        (ms >= LEAST_IDLE_MS).then_some(bytes)
    });
    if values.is_empty() {
        return Err(if watched > 0.0 {
            format!(
                "an idle server was watched for {} only",
                format::millis(watched)
            )
        } else {
            "no idle server's writes were sampled; the suite footprint does".to_owned()
        });
    }
    Ok(values)
}

/// Acknowledged writes lost in a fault: as counted by a scenario, else as judged over its history.
pub fn lost(cell: &Repeated<'_>, fault: &str) -> Values {
    let told = |m: &Measurement| {
        m.scenario == fault && m.unit == Unit::Count && words(&m.name).any(|word| word == "lost")
    };
    let values = cell.values(told);
    if !values.is_empty() {
        return Ok(values);
    }
    let mut why = None;
    let values = each(cell, |record| {
        let verdict = record.verdicts.iter().find(|v| {
            let about = |word: &str| v.what.contains(word) || v.gate.contains(word);
            about(fault) && about("acknowledged")
        })?;
        match verdict.outcome {
            Outcome::Passed => Some(0.0),
            // The judge's sentence begins with their number.
            Outcome::Failed => verdict.because.split(' ').next()?.parse().ok(),
            Outcome::Skipped | Outcome::Errored => {
                why = Some(verdict.because.clone());
                None
            }
        }
    });
    match why {
        Some(why) if values.is_empty() => Err(format!("it could not be judged: {why}")),
        _ => or_why(values, cell, fault),
    }
}

/// Milliseconds from the end of a fault to what `name` names, such as `recovery_first_write`.
pub fn recovery(cell: &Repeated<'_>, fault: &str, name: &str) -> Values {
    or_why(
        cell.values(|m| m.scenario == fault && m.name == name && m.unit == Unit::Milliseconds),
        cell,
        fault,
    )
}
