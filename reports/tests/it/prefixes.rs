//! A journal may end anywhere: `kill -9` asks nobody. Whatever there is folds, is judged and renders.

use proptest::prelude::*;
use reports::REPORTS;
use reports::record::{JournalError, RunRecord};

use crate::support;

fn render_all(text: &str, skip: &str) {
    let mut run = match RunRecord::from_journal(text) {
        Ok(run) => run,
        Err(error) => return assert_eq!(error, JournalError::NotAJournal),
    };
    reports::judge(&mut run);
    assert_ne!(reports::exit_code(&run).code(), 0, "a cut run never passes");
    for report in REPORTS.iter().filter(|r| r.name() != skip) {
        let files = report.render(&run).unwrap();
        assert!(
            files.iter().all(|f| !f.bytes.is_empty()),
            "{}",
            report.name()
        );
    }
}

#[test]
fn every_line_of_an_oom_may_be_the_last() {
    let text = support::oom().text();
    let lines: Vec<&str> = text.lines().collect();
    for n in 0..lines.len() {
        render_all(&lines[..n].join("\n"), "plots");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_byte_of_a_run_may_be_the_last(share in 0.0..1.0f64) {
        let text = support::specimen().text();
        let mut cut = (text.len() as f64 * share) as usize;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        render_all(&text[..cut], "plots");
    }

    #[test]
    fn any_cut_of_an_oom_has_its_plots(cut in 0usize..9000) {
        let text = support::oom().text();
        render_all(&text[..cut.min(text.len() - 2)], "none");
    }
}
