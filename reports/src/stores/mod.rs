//! What you get and what you pay: the datastores beside each other, in the questions of whoever must choose one.
//!
//! Every number is read from measured events. What was not measured has the reason instead.

mod answers;
mod phases;
mod questions;

use serde::Serialize;

use crate::compare::{self, Change, LEAST_VALUES, Spread, comparable};
use crate::format;
use crate::record::RunRecord;
use crate::repeats::{self, Repeated};
use crate::tables::{NONE, Table};

pub use answers::{FAULTS, LADDER, a_day, is_rung, per_write, recovery, rungs};
pub use questions::{Question, Show};

/// The datastores of one distribution under one budget, beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bargain {
    /// What they have in common.
    pub title: String,
    /// The datastores, in order of appearance.
    pub stores: Vec<String>,
    /// The questions with their answers, by section.
    pub sections: Vec<(&'static str, Vec<Line>)>,
    /// Why figures are missing; answers point at them, counted from 1.
    pub reasons: Vec<String>,
}

/// A question with its answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The question.
    pub question: String,
    /// How its values are shown.
    pub show: Show,
    /// One for each datastore.
    pub answers: Vec<Answer>,
    /// How the second datastore compares with the first, where there are two with values.
    pub difference: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The values of the repeats.
    Measured(Spread),
    /// There is none: the number of the reason.
    Missing(usize),
}

/// Cells with their repeats that differ in nothing but the datastore, in order of appearance.
#[must_use]
pub fn groups(run: &RunRecord) -> Vec<Vec<Repeated<'_>>> {
    let mut groups: Vec<Vec<Repeated<'_>>> = Vec::new();
    for cell in repeats::cells(run) {
        let spec = &cell.first().spec;
        let alike = |other: &Repeated<'_>| {
            let other = &other.first().spec;
            other.target == spec.target
                && other.distribution == spec.distribution
                && other.version == spec.version
                && other.budget == spec.budget
                && other.shape == spec.shape
                && other.env == spec.env
                && other.datastore != spec.datastore
        };
        match groups.iter_mut().find(|group| group.iter().all(alike)) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// One for each group in which anything that people ask of a datastore was measured.
#[must_use]
pub fn bargains(run: &RunRecord) -> Vec<Bargain> {
    let worked = |group: &&Vec<Repeated<'_>>| group.iter().any(worked);
    groups(run)
        .iter()
        .filter(worked)
        .map(|group| bargain(group))
        .collect()
}

/// Whether anything of the suite `datastore` ran on a cell.
#[must_use]
pub fn worked(cell: &Repeated<'_>) -> bool {
    let scenarios = cell.all.iter().flat_map(|record| &record.scenarios);
    scenarios.into_iter().any(|s| s.suite == "datastore")
}

fn bargain(group: &[Repeated<'_>]) -> Bargain {
    let mut reasons: Vec<String> = Vec::new();
    let mut note = |reason: String| -> usize {
        let known = reasons.iter().position(|known| *known == reason);
        known.unwrap_or_else(|| {
            reasons.push(reason);
            reasons.len() - 1
        }) + 1
    };
    let mut sections: Vec<(&'static str, Vec<Line>)> = Vec::new();
    for question in questions::all(group) {
        let values: Vec<Result<Vec<f64>, String>> =
            group.iter().map(|cell| (question.of)(cell)).collect();
        let answers = values.iter().map(|values| match values {
            Ok(values) => Spread::of(values).map_or_else(
                || Answer::Missing(note("it was not recorded".to_owned())),
                Answer::Measured,
            ),
            Err(reason) => Answer::Missing(note(reason.clone())),
        });
        let answers = answers.collect();
        let difference = match (group, values.as_slice()) {
            ([a, b], [Ok(from), Ok(to)]) => match comparable::disks(a, b) {
                Some(why) => Some(format!("not compared [{}]", note(why))),
                None => difference(&question, (a, from), (b, to)),
            },
            _ => None,
        };
        let line = Line {
            question: question.words,
            show: question.show,
            answers,
            difference,
        };
        match sections
            .last_mut()
            .filter(|(section, _)| *section == question.section)
        {
            Some((_, lines)) => lines.push(line),
            None => sections.push((question.section, vec![line])),
        }
    }
    let spec = &group[0].first().spec;
    Bargain {
        title: format!(
            "{} {}, {}, {}",
            spec.distribution, spec.version, spec.budget, spec.target
        ),
        stores: group
            .iter()
            .map(|cell| cell.first().spec.datastore.clone())
            .collect(),
        sections,
        reasons,
    }
}

/// In words: which of two is better by how much, or that nobody can tell.
fn difference(
    question: &Question<'_>,
    a: (&Repeated<'_>, &[f64]),
    b: (&Repeated<'_>, &[f64]),
) -> Option<String> {
    let found = compare::difference(a.1, b.1, question.good, |median| question.smallest(median))?;
    let better = match found.change {
        Change::TooFew => return Some("not enough repeats".to_owned()),
        Change::WithinNoise => return Some("within noise".to_owned()),
        Change::Differs => return Some("differs".to_owned()),
        Change::Better => b.0,
        Change::Worse => a.0,
    };
    let store = &better.first().spec.datastore;
    let times = found
        .ratio
        .filter(|ratio| *ratio > 0.0 && ratio.is_finite())
        .map(|ratio| ratio.max(1.0 / ratio));
    Some(match times {
        Some(times) => format!("{store} better, {} times", format::number(times)),
        None => format!("{store} better"),
    })
}

impl Answer {
    /// The figure alone, and what stands behind it: the range of the repeats and their number.
    #[must_use]
    pub fn parts(&self, show: Show) -> (String, String) {
        match self {
            Self::Missing(reason) => (format!("{NONE} [{reason}]"), String::new()),
            Self::Measured(spread) if spread.n == 1 => {
                (show.value(spread.median), "n=1".to_owned())
            }
            Self::Measured(spread) => (
                show.value(spread.median),
                format!(
                    "{} to {}, n={}",
                    show.value(spread.least),
                    show.value(spread.greatest),
                    spread.n
                ),
            ),
        }
    }
}

impl Bargain {
    /// As a table of text: a section's name has a row of its own.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut head = vec!["question".to_owned()];
        head.extend(self.stores.iter().cloned());
        let compared = self.compared();
        if compared {
            head.push("difference".to_owned());
        }
        let mut rows = Vec::new();
        for (section, lines) in &self.sections {
            let mut row = vec![section.to_uppercase()];
            row.resize(head.len(), String::new());
            rows.push(row);
            for line in lines {
                let answer = |answer: &Answer| match answer.parts(line.show) {
                    (figure, behind) if behind.is_empty() => figure,
                    (figure, behind) => format!("{figure} ({behind})"),
                };
                let mut row = vec![line.question.clone()];
                row.extend(line.answers.iter().map(answer));
                if compared {
                    row.push(line.difference.clone().unwrap_or(NONE.to_owned()));
                }
                rows.push(row);
            }
        }
        Table {
            title: self.title.clone(),
            head,
            rows,
        }
    }

    /// Whether there are two to compare.
    #[must_use]
    pub fn compared(&self) -> bool {
        self.stores.len() == 2
    }

    /// What stands below the table: reasons, and how to read it.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .reasons
            .iter()
            .enumerate()
            .map(|(nth, reason)| format!("[{}] {reason}", nth + 1))
            .collect();
        lines.push(format!(
            "The median of the repeats, each on a fresh server, then the least and the greatest of them and how many \
             there were. \u{201c}Within noise\u{201d}: no difference that stands out of the spread; with fewer than \
             {LEAST_VALUES} repeats on either side nobody can tell."
        ));
        lines
    }
}
