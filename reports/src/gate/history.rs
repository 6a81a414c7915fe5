//! The gate of histories: what the judges found in each.

use super::{Gate, Verdict, verdict};
use crate::format;
use crate::histories::HistoryRecord;
use crate::judge::Finding;
use crate::outcome::Outcome::{self, Errored, Passed, Skipped};
use crate::record::CellRecord;

/// One verdict for each judge that found something or could not tell, and one for all that found nothing.
pub struct Histories;

impl Gate for Histories {
    fn name(&self) -> &'static str {
        "history"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        let histories = cell.histories.iter();
        histories.flat_map(|history| self.of(history)).collect()
    }
}

impl Histories {
    fn of(&self, history: &HistoryRecord) -> Vec<Verdict> {
        let title = history.title();
        let named = |outcome: Outcome| {
            let findings = history.findings.iter();
            let names = findings.filter(move |finding| finding.outcome == outcome);
            names
                .map(|finding| finding.judge.as_str())
                .collect::<Vec<_>>()
        };
        // One reason for all, such as a file that is missing, is said once.
        if let Some(why) = same_reason(&history.findings) {
            return vec![verdict(self, title, Errored, why)];
        }
        let mut verdicts: Vec<Verdict> = history
            .findings
            .iter()
            .filter(|finding| finding.outcome >= Errored)
            .map(|finding| {
                let what = format!("{title}: {}", finding.judge);
                verdict(self, what, finding.outcome, because(finding))
            })
            .collect();
        let (passed, skipped) = (named(Passed), named(Skipped));
        let operations = usize::try_from(history.operations).unwrap_or(usize::MAX);
        let operations = format::count(operations, "operation");
        if !passed.is_empty() {
            let because = format!("{} found nothing in {operations}", passed.join(", "));
            verdicts.push(verdict(self, title, Passed, because));
        } else if !skipped.is_empty() {
            let because = format!("{operations} had nothing for {}", skipped.join(", "));
            verdicts.push(verdict(self, title, Skipped, because));
        }
        verdicts
    }
}

fn because(finding: &Finding) -> String {
    match finding.evidence.first() {
        Some(first) => format!("{}; the first: {first}", finding.because),
        None => finding.because.clone(),
    }
}

fn same_reason(findings: &[Finding]) -> Option<&str> {
    let Some(first) = findings.first() else {
        return Some("nobody judged it");
    };
    let same = |finding: &Finding| finding.outcome == Errored && finding.because == first.because;
    findings.iter().all(same).then_some(&first.because)
}
