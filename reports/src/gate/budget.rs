//! The budget's gate: was it enforced as asked, did the peak stay within it, did anything die of it?

use super::{Gate, Verdict, agents, verdict};
use crate::event::BudgetEvidence;
use crate::figures::{Peak, PeakSource};
use crate::format;
use crate::metric::Metric;
use crate::outcome::Outcome::{self, Errored, Failed, Passed};
use crate::record::CellRecord;

/// Judges memory and CPU against the cell's budget. Silent where the budget is unlimited or the cell was skipped.
pub struct Budget;

/// The kernel keeps limits in whole pages; the largest page of a supported board is 64 KiB.
const PAGE_ROUNDING: u64 = 64 * 1024;

impl Gate for Budget {
    fn name(&self) -> &'static str {
        "budget"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        let budget = &cell.spec.budget;
        if cell.skipped() || (budget.memory_bytes.is_none() && budget.cpu_milli.is_none()) {
            return Vec::new();
        }
        let mut verdicts = Vec::new();
        let mut say = |what: String, (outcome, because): (Outcome, String)| {
            verdicts.push(verdict(self, what, outcome, because));
        };
        let evidence = cell.budget.as_ref();
        if let Some(limit) = budget.memory_bytes {
            let what = format!("peak within {}", format::bytes(limit as f64));
            say(what, peak(cell.peak().as_ref(), limit, evidence));
            say("no OOM kill".into(), oom(cell, evidence));
            if let Some(how) = evidence.and_then(|e| e.thrashed.as_ref()) {
                say("no thrashing".into(), (Failed, how.clone()));
            } else if starved(cell, limit, evidence) {
                let limit = format::bytes(limit as f64);
                let because = format!(
                    "it never became ready, with its memory at the limit of {limit}: the kernel took away pages that \
                     it needed as fast as it read them"
                );
                say("ready within its memory".into(), (Failed, because));
            }
        }
        say("budget in force".into(), in_force(cell, evidence));
        if let (Some(limit), Some(evidence)) = (budget.memory_bytes, evidence) {
            for agent in &evidence.agents {
                let (what, found) = agents::within(agent, limit);
                say(what, found);
            }
        }
        if evidence.is_some_and(|e| e.enforced && !e.machine) {
            say("stayed in its cgroup".into(), stayed(evidence));
        }
        verdicts
    }
}

fn peak(peak: Option<&Peak>, limit: u64, evidence: Option<&BudgetEvidence>) -> (Outcome, String) {
    let Some(peak) = peak else {
        return (Errored, "no peak, usage or RSS was recorded".into());
    };
    let share = format::percent(peak.bytes / limit as f64);
    let mut because = format!(
        "{} {}, {share} of {}",
        peak.source.words(),
        format::bytes(peak.bytes),
        format::bytes(limit as f64)
    );
    // The kernel charges in batches a CPU, so its own mark may stand a few pages above a limit that it kept.
    let slack = if evidence.is_some_and(|e| e.enforced) {
        PAGE_ROUNDING
    } else {
        0
    };
    if peak.bytes > (limit + slack) as f64 {
        because.push_str(&observed_only(evidence));
        return (Failed, because);
    }
    let Some(evidence) = evidence else {
        because.push_str(", but there is no evidence on how the budget was kept");
        return (Errored, because);
    };
    because.push_str(&observed_only(Some(evidence)));
    if evidence.enforced
        && evidence.limit_hits == 0
        && peak.bytes >= limit.saturating_sub(PAGE_ROUNDING) as f64
    {
        // Some kernels (v1 on Linux 6.18) no longer count hits.
        because.push_str("; it stood at the limit and the kernel reclaimed");
    }
    if evidence.limit_hits > 0 {
        because.push_str(&format!(
            "; the limit was reached {} and the kernel reclaimed",
            format::count(evidence.limit_hits as usize, "time")
        ));
    }
    if peak.source == PeakSource::SampledRss && evidence.enforced {
        because.push_str("; an enforced budget without the cgroup's own figures cannot be judged");
        return (Errored, because);
    }
    (Passed, because)
}

fn observed_only(evidence: Option<&BudgetEvidence>) -> String {
    match evidence {
        Some(evidence) if !evidence.enforced => "; observed, not enforced".into(),
        _ => String::new(),
    }
}

/// A server need not be killed to fail in too little memory: as long as the kernel finds file pages (the program's
/// own code, say) to take away, it goes on for ever, reading them again and again.
fn starved(cell: &CellRecord, limit: u64, evidence: Option<&BudgetEvidence>) -> bool {
    let at_limit = cell
        .peak()
        .is_some_and(|peak| peak.bytes >= limit.saturating_sub(PAGE_ROUNDING) as f64);
    evidence.is_some_and(|e| e.enforced && e.never_served())
        && cell.unasked_ends() == 0
        && !cell.was_oom_killed()
        && at_limit
}

/// What the figures are of.
fn place(evidence: &BudgetEvidence) -> &'static str {
    if evidence.machine {
        "machine"
    } else {
        "cgroup"
    }
}

fn oom(cell: &CellRecord, evidence: Option<&BudgetEvidence>) -> (Outcome, String) {
    match (cell.oom_kills(), evidence) {
        (None | Some(0), None) => (Errored, "no evidence was recorded".into()),
        (None | Some(0), Some(evidence))
            if !evidence.enforced && cell.own_series(Metric::OomKills).next().is_none() =>
        {
            let why = "nobody counted OOM kills: there is no cgroup of its own to ask";
            (Outcome::Skipped, why.to_owned())
        }
        (None, Some(_)) => {
            let why = "nobody counted OOM kills to the end, so that there may have been some";
            (Errored, why.to_owned())
        }
        (Some(0), Some(evidence)) => {
            let observed = observed_only(Some(evidence));
            (
                Passed,
                format!("0 OOM kills in the {}{observed}", place(evidence)),
            )
        }
        (Some(kills), evidence) => {
            let kills = format::count(kills as usize, "OOM kill");
            let place = evidence.map_or("cgroup", place);
            (Failed, format!("{kills} in the {place}"))
        }
    }
}

/// Whether the limits that the kernel read back, or the size that the machine's own kernel tells of, are those that were
/// asked for. Where the budget was only
/// observed that is said and is no failure: the peak was judged all the same.
fn in_force(cell: &CellRecord, evidence: Option<&BudgetEvidence>) -> (Outcome, String) {
    let Some(evidence) = evidence else {
        return (Errored, "no evidence was recorded".into());
    };
    if !evidence.enforced {
        let why = evidence.not_enforced_because.as_deref();
        let why = why.unwrap_or("no reason was recorded");
        return (Outcome::Skipped, format!("observed, not enforced: {why}"));
    }
    let asked = &cell.spec.budget;
    let who = if evidence.machine {
        "the machine's own kernel found"
    } else {
        "the kernel read back"
    };
    let memory = match (asked.memory_bytes, evidence.memory_limit_bytes) {
        (None, _) => "unlimited memory".to_owned(),
        (Some(asked), Some(read))
            if read <= asked && asked - read < missing(asked, evidence.machine) =>
        {
            format!("{} memory", format::bytes(read as f64))
        }
        (Some(asked), read) => {
            let read = read.map_or("nothing".into(), |b| format::bytes(b as f64));
            let asked = format::bytes(asked as f64);
            return (
                Errored,
                format!("{asked} of memory were asked for; {who} {read}"),
            );
        }
    };
    let cpu = match (asked.cpu_milli, evidence.cpu_limit_milli) {
        (None, _) => "unlimited CPU".to_owned(),
        (Some(asked), Some(read)) if asked.abs_diff(read) <= 1 => format!("{read} mCPU"),
        (Some(asked), read) => {
            let read = read.map_or("nothing".into(), |c| format!("{c} mCPU"));
            return (
                Errored,
                format!("{asked} mCPU were asked for; {who} {read}"),
            );
        }
    };
    let throttled = evidence.throttled_share.map_or(String::new(), |share| {
        format!("; throttled in {} of periods", format::percent(share))
    });
    (Passed, format!("{who} {memory} and {cpu}{throttled}"))
}

/// By how much less than was asked for may be read back. What a machine's kernel took at boot is not in its `MemTotal`:
/// 33 MiB of 512 on arm64, and a larger share of a smaller machine.
pub(super) fn missing(asked: u64, machine: bool) -> u64 {
    if machine { asked / 4 } else { PAGE_ROUNDING }
}

fn stayed(evidence: Option<&BudgetEvidence>) -> (Outcome, String) {
    if evidence.is_some_and(|e| e.stayed_in_cgroup) {
        (Passed, "the server was in its cgroup when last seen".into())
    } else {
        // It ran outside its limits, so its figures are not figures under the budget.
        (Errored, "the server had left its cgroup".into())
    }
}
