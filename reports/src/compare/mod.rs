//! Comparison of two runs, or of two cells: what changed by more than noise, and what cannot be compared.

pub mod change;
pub mod comparable;
pub mod figure;
mod render;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use change::{Change, Difference, Good, LEAST_VALUES, Spread, difference};
pub use figure::Figure;
pub use render::{markdown, text};

use crate::format;
use crate::outcome::Outcome;
use crate::record::RunRecord;
use crate::repeats::{self, Repeated};

/// The comparison of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first run's id.
    pub a: String,
    /// The second run's id.
    pub b: String,
    /// The cells that were compared.
    pub pairs: Vec<Pair>,
    /// What was not compared, a sentence each.
    pub refused: Vec<String>,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// Two cells that were compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The cell of the first run.
    pub a: Side,
    /// The cell of the second run.
    pub b: Side,
    /// Findings that are there in both and ended otherwise.
    pub findings: Vec<Finding>,
    /// Figures that both have, the gravest changes first.
    pub rows: Vec<Row>,
}

/// A side of a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The cell's id.
    pub id: String,
    /// What it is, in words.
    pub title: String,
    /// How many repeats there are of it.
    pub repeats: usize,
}

/// A check, a verdict or a scenario that ended otherwise than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was judged.
    pub what: String,
    /// Its outcome in the first.
    pub a: Outcome,
    /// Its outcome in the second.
    pub b: Outcome,
    /// Better or worse.
    pub change: Change,
}

/// A figure that both have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The figure.
    pub figure: Figure,
    /// Its values in the first.
    pub a: Spread,
    /// Its values in the second.
    pub b: Spread,
    /// What became of it.
    pub difference: Difference,
}

impl Comparison {
    /// Whether anything got worse by more than noise.
    #[must_use]
    pub fn regressed(&self) -> bool {
        self.count(Change::Worse) > 0
    }

    /// How many figures and findings changed so.
    #[must_use]
    pub fn count(&self, change: Change) -> usize {
        let of = |pair: &Pair| {
            pair.rows
                .iter()
                .filter(|row| row.difference.change == change)
                .count()
                + pair
                    .findings
                    .iter()
                    .filter(|finding| finding.change == change)
                    .count()
        };
        self.pairs.iter().map(of).sum()
    }
}

/// Compares two judged runs. `cells` are ids that belong together although they are not alike, first run's first;
/// without any, cells of the same id are compared.
///
/// # Errors
/// A sentence for the user, when a cell that was named is not there.
pub fn compare(
    a: &RunRecord,
    b: &RunRecord,
    cells: &[(String, String)],
) -> Result<Comparison, String> {
    let mut comparison = Comparison {
        a: a.started.run.clone(),
        b: b.started.run.clone(),
        pairs: Vec::new(),
        refused: Vec::new(),
        notes: Vec::new(),
    };
    for (side, run) in [("A", a), ("B", b)] {
        if run.interrupted || !run.finished {
            comparison.notes.push(format!(
                "run {side} did not end in order: what there was until then is compared"
            ));
        }
    }
    let (left, right) = (repeats::cells(a), repeats::cells(b));
    let chosen = pairs(&left, &right, cells, &mut comparison.notes)?;
    if chosen.is_empty() {
        let ids =
            |cells: &[Repeated<'_>]| cells.iter().map(|c| c.id).collect::<Vec<_>>().join(", ");
        comparison.refused.push(format!(
            "no cell of A has the id of one of B; say with --cells A=B which belong together; A has {}; B has {}",
            ids(&left),
            ids(&right)
        ));
    }
    let hosts = comparable::hosts(a, b);
    if !hosts.is_empty() {
        comparison.refused.extend(hosts);
        return Ok(comparison);
    }
    for (a, b) in chosen {
        let name = if a.id == b.id {
            a.id.to_owned()
        } else {
            format!("{} against {}", a.id, b.id)
        };
        let reasons = comparable::cells(a, b);
        if reasons.is_empty() {
            let notes = comparable::notes(a, b);
            comparison
                .notes
                .extend(notes.into_iter().map(|note| format!("{name}: {note}")));
            let pair = pair(a, b, &name, &mut comparison.refused);
            if !pair.rows.is_empty() || !pair.findings.is_empty() {
                comparison.pairs.push(pair);
            } else {
                comparison
                    .refused
                    .push(format!("{name}: they have no figure in common"));
            }
        }
        let refused = reasons
            .into_iter()
            .map(|reason| format!("{name}: {reason}"));
        comparison.refused.extend(refused);
    }
    Ok(comparison)
}

type Chosen<'a, 'r> = Vec<(&'a Repeated<'r>, &'a Repeated<'r>)>;

fn pairs<'a, 'r>(
    a: &'a [Repeated<'r>],
    b: &'a [Repeated<'r>],
    cells: &[(String, String)],
    notes: &mut Vec<String>,
) -> Result<Chosen<'a, 'r>, String> {
    let find = |among: &'a [Repeated<'r>], id: &str, side: &str| {
        among.iter().find(|cell| cell.id == id).ok_or_else(|| {
            let known: Vec<&str> = among.iter().map(|cell| cell.id).collect();
            format!("run {side} has no cell {id:?}; it has {}", known.join(", "))
        })
    };
    if !cells.is_empty() {
        return cells
            .iter()
            .map(|(left, right)| Ok((find(a, left, "A")?, find(b, right, "B")?)))
            .collect();
    }
    for (side, these, others) in [("A", a, b), ("B", b, a)] {
        let alone: Vec<&str> = these
            .iter()
            .filter(|cell| others.iter().all(|other| other.id != cell.id))
            .map(|cell| cell.id)
            .collect();
        if !alone.is_empty() {
            notes.push(format!("only in {side}: {}", alone.join(", ")));
        }
    }
    Ok(a.iter()
        .filter_map(|cell| Some((cell, b.iter().find(|other| other.id == cell.id)?)))
        .collect())
}

fn pair(a: &Repeated<'_>, b: &Repeated<'_>, name: &str, refused: &mut Vec<String>) -> Pair {
    let (mut left, mut right) = (figure::of(a), figure::of(b));
    if a.first().spec.emulated {
        let before = left.len();
        left.retain(|figure, _| !figure.is_time());
        right.retain(|figure, _| !figure.is_time());
        let gone = format::count(before - left.len(), "figure");
        refused.push(format!(
            "{name}: times of emulated cells are the emulator's, so that {gone} were not compared"
        ));
    }
    refused.extend(
        workloads(a, b, &left, &right)
            .into_iter()
            .map(|why| format!("{name}: {why}")),
    );
    let mut rows: Vec<Row> = left
        .into_iter()
        .filter_map(|(figure, values)| {
            let others = right.get(&figure)?;
            let difference = difference(&values, others, figure.good(), |m| figure.smallest(m))?;
            let (a, b) = (Spread::of(&values)?, Spread::of(others)?);
            Some(Row {
                figure,
                a,
                b,
                difference,
            })
        })
        .collect();
    // Stable: within a kind of change the order of the figures stays.
    rows.sort_by_key(|row| row.difference.change);
    let side = |cell: &Repeated<'_>| Side {
        id: cell.id.to_owned(),
        title: cell.first().title(),
        repeats: cell.all.len(),
    };
    Pair {
        a: side(a),
        b: side(b),
        findings: findings(a, b),
        rows,
    }
}

/// Why figures of the same name were not compared: they are of another workload, or a side has not measured them.
fn workloads(
    a: &Repeated<'_>,
    b: &Repeated<'_>,
    left: &BTreeMap<Figure, Vec<f64>>,
    right: &BTreeMap<Figure, Vec<f64>>,
) -> Vec<String> {
    let alone = |these: &BTreeMap<Figure, Vec<f64>>, others: &BTreeMap<Figure, Vec<f64>>| {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for figure in these.keys().filter(|figure| !others.contains_key(figure)) {
            let labels = found.entry(figure.scenario.clone()).or_default();
            labels.insert(format::pairs(&figure.labels, " "));
        }
        found
    };
    let (only_a, only_b) = (alone(left, right), alone(right, left));
    let scenarios: BTreeSet<&String> = only_a.keys().chain(only_b.keys()).collect();
    let of = |scenario: &String| {
        let (la, lb) = (only_a.get(scenario), only_b.get(scenario));
        match (la, lb) {
            (Some(la), Some(lb)) if la != lb => format!(
                "{scenario} ran with another workload: {} in A, {} in B",
                few(la),
                few(lb)
            ),
            (Some(_), Some(_)) => format!("{scenario} measured other figures in A than in B"),
            (Some(la), None) => format!(
                "{scenario} has figures in A only ({}){}",
                few(la),
                because(b, scenario)
            ),
            (None, Some(lb)) => format!(
                "{scenario} has figures in B only ({}){}",
                few(lb),
                because(a, scenario)
            ),
            (None, None) => String::new(),
        }
    };
    scenarios
        .into_iter()
        .filter(|s| !s.is_empty())
        .map(of)
        .collect()
}

fn because(cell: &Repeated<'_>, scenario: &str) -> String {
    cell.why_not(scenario)
        .map_or(String::new(), |why| format!(": {why}"))
}

/// Some sets of labels, the rest counted.
fn few(labels: &BTreeSet<String>) -> String {
    const MOST: usize = 3;
    let named = |text: &String| {
        if text.is_empty() {
            "no labels".to_owned()
        } else {
            text.clone()
        }
    };
    let mut words: Vec<String> = labels.iter().take(MOST).map(named).collect();
    if labels.len() > MOST {
        words.push(format!("and {} more", labels.len() - MOST));
    }
    words.join("; ")
}

/// What was judged in both and ended otherwise. Of repeats the gravest outcome counts.
fn findings(a: &Repeated<'_>, b: &Repeated<'_>) -> Vec<Finding> {
    let (left, right) = (outcomes(a), outcomes(b));
    let of = |(what, a): (String, Outcome)| {
        let b = *right.get(&what)?;
        let change = match (a == b, b > a) {
            (true, _) => return None,
            // A skip is no finding: what is not looked at any more did not get better.
            _ if a == Outcome::Skipped || b == Outcome::Skipped => Change::Differs,
            (_, true) => Change::Worse,
            (_, false) => Change::Better,
        };
        Some(Finding { what, a, b, change })
    };
    let mut findings: Vec<Finding> = left.into_iter().filter_map(of).collect();
    findings.sort_by_key(|finding| finding.change);
    findings
}

fn outcomes(cell: &Repeated<'_>) -> BTreeMap<String, Outcome> {
    let mut found: BTreeMap<String, Outcome> = BTreeMap::new();
    for record in &cell.all {
        let checks = record
            .checks
            .iter()
            .map(|c| (format!("check {}", c.id), c.counted()));
        let scenarios = record.scenarios.iter();
        let scenarios =
            scenarios.map(|s| (format!("scenario {}/{}", s.suite, s.scenario), s.outcome));
        // The verdicts of the other two sum up what is listed one by one.
        let verdicts = record
            .verdicts
            .iter()
            .filter(|v| v.gate != "checks" && v.gate != "completeness");
        let verdicts = verdicts.map(|v| (format!("{}: {}", v.gate, v.what), v.outcome));
        for (what, outcome) in checks.chain(scenarios).chain(verdicts) {
            let worst = found.entry(what).or_insert(outcome);
            *worst = (*worst).max(outcome);
        }
    }
    found
}

/// The tally of a comparison in one sentence.
#[must_use]
pub fn headline(comparison: &Comparison) -> String {
    let count = |change| comparison.count(change);
    let mut words = format!(
        "{} worse, {} better, {} within noise, {} with not enough repeats",
        count(Change::Worse),
        count(Change::Better),
        count(Change::WithinNoise),
        count(Change::TooFew)
    );
    if count(Change::Differs) > 0 {
        words.push_str(&format!(", {} that differ", count(Change::Differs)));
    }
    words
}
