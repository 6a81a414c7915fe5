//! What must be alike before figures are compared. Each refusal is one sentence.

use crate::event::{CellSpec, Host};
use crate::format;
use crate::outcome::Outcome;
use crate::record::RunRecord;
use crate::repeats::Repeated;
use crate::stats;

/// Disks whose probes differ by more than this are different disks to a datastore.
pub const TWOFOLD: f64 = 2.0;

/// What must be alike: its name in the plural, and how it is read.
type Fact<T> = (&'static str, fn(&T) -> String);

/// What the hosts of two runs differ in so that nothing of them can be compared.
#[must_use]
pub fn hosts(a: &RunRecord, b: &RunRecord) -> Vec<String> {
    let (a, b) = (&a.started.host, &b.started.host);
    let facts: [Fact<Host>; 4] = [
        ("processors", |h| h.cpu.clone()),
        ("machines", |h| h.arch.clone()),
        ("numbers of CPUs", |h| h.cpus.to_string()),
        ("kernels", |h| h.kernel.clone()),
    ];
    differing("the hosts have different", &facts, a, b)
}

/// What two cells differ in so that no figure of them can be compared.
#[must_use]
pub fn cells(a: &Repeated<'_>, b: &Repeated<'_>) -> Vec<String> {
    let spec = |cell: &Repeated<'_>| cell.first().spec.clone();
    let (left, right) = (spec(a), spec(b));
    let facts: [Fact<CellSpec>; 3] = [
        ("targets", |s| s.target.clone()),
        ("machines", |s| {
            s.arch.clone().unwrap_or_else(|| "unknown".into())
        }),
        ("budgets", |s| s.budget.to_string()),
    ];
    let mut reasons = differing("they have different", &facts, &left, &right);
    if left.emulated != right.emulated {
        reasons.push("one of them is emulated and the other is not".to_owned());
    }
    if left.specimen != right.specimen {
        reasons.push(
            "one of them is the specimen, whose figures say nothing about the other".to_owned(),
        );
    }
    for (side, cell) in [("A", a), ("B", b)] {
        if cell
            .all
            .iter()
            .all(|record| record.outcome == Some(Outcome::Skipped))
        {
            let why = cell
                .first()
                .reason
                .as_deref()
                .unwrap_or("no reason was recorded");
            reasons.push(format!("it was skipped in {side}: {why}"));
        }
    }
    reasons.extend(disks(a, b));
    reasons
}

fn differing<T>(what: &str, facts: &[Fact<T>], a: &T, b: &T) -> Vec<String> {
    let of = |(name, read): &Fact<T>| {
        let (a, b) = (read(a), read(b));
        (a != b).then(|| format!("{what} {name}: {a} in A, {b} in B"))
    };
    facts.iter().filter_map(of).collect()
}

/// The median over repeats of a quantile of the disk's probe, milliseconds.
#[must_use]
pub fn probed(cell: &Repeated<'_>, quantile: f64) -> Option<f64> {
    let probes = cell
        .all
        .iter()
        .filter_map(|record| record.disk_probe.as_ref()?.latency.as_ref());
    let values: Vec<f64> = probes.filter_map(|l| l.quantile_ms(quantile)).collect();
    stats::median(&values)
}

/// Why the disks of two cells are not alike, if they are not.
#[must_use]
pub fn disks(a: &Repeated<'_>, b: &Repeated<'_>) -> Option<String> {
    [("p50", 0.5), ("p99", 0.99)]
        .into_iter()
        .find_map(|(name, quantile)| {
            let (a, b) = (probed(a, quantile)?, probed(b, quantile)?);
            (a.max(b) > TWOFOLD * a.min(b)).then(|| {
                format!(
                    "their disks differ more than twofold: fdatasync {name} of {} and of {}",
                    format::millis(a),
                    format::millis(b)
                )
            })
        })
}

/// What a reader should know of cells that are compared nevertheless.
#[must_use]
pub fn notes(a: &Repeated<'_>, b: &Repeated<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let has = |cell: &Repeated<'_>, suite: &str| {
        let scenarios = cell.all.iter().flat_map(|record| &record.scenarios);
        scenarios.into_iter().any(|s| s.suite == suite)
    };
    if has(a, "datastore") && has(b, "datastore") {
        let missing: Vec<&str> = [("A", a), ("B", b)]
            .into_iter()
            .filter(|(_, cell)| probed(cell, 0.5).is_none())
            .map(|(side, _)| side)
            .collect();
        if !missing.is_empty() {
            notes.push(format!(
                "the disk was not probed in {}: what differs may be the disk",
                missing.join(" and ")
            ));
        }
    }
    notes
}
