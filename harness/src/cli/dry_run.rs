//! `--dry-run`: the plan, printed; nothing runs.

use serde_json::{Value, json};

use super::resolve::Chosen;
use crate::plan::PlannedCell;
use crate::suite::Selection;

/// The plan for people.
pub(super) fn text(planned: &[PlannedCell], selections: &[Selection], chosen: &Chosen) -> String {
    let mut lines: Vec<String> = Vec::new();
    for warning in &chosen.warnings {
        lines.push(format!("warning: {warning}"));
    }
    for cell in planned {
        lines.push(match &cell.skip {
            Some(reason) => format!("{}: skipped, {reason}", cell.id),
            None => format!(
                "{}: {} {}",
                cell.id,
                chosen.distribution.name(),
                chosen.version
            ),
        });
    }
    for selection in selections {
        lines.push(format!(
            "{}: {} checks, {} scenarios",
            selection.suite,
            selection.checks.len(),
            selection.scenarios.len()
        ));
        lines.extend(
            selection
                .checks
                .iter()
                .map(|check| format!("  {}", check.id)),
        );
        lines.extend(scenarios(selection).map(|id| format!("  {id}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The plan for programs.
pub(super) fn json(planned: &[PlannedCell], selections: &[Selection], chosen: &Chosen) -> Value {
    let cells: Vec<Value> = planned
        .iter()
        .map(|cell| {
            json!({
                "id": cell.id,
                "distribution": chosen.distribution.name(),
                "version": chosen.version,
                "datastore": cell.datastore.to_string(),
                "budget": cell.budget,
                "skip": cell.skip,
            })
        })
        .collect();
    let suites: Vec<Value> = selections
        .iter()
        .map(|selection| {
            json!({
                "suite": selection.suite,
                "checks": selection.checks.iter().map(|check| check.id).collect::<Vec<_>>(),
                "scenarios": scenarios(selection).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"warnings": chosen.warnings, "cells": cells, "suites": suites})
}

fn scenarios(selection: &Selection) -> impl Iterator<Item = String> {
    selection
        .scenarios
        .iter()
        .map(|scenario| format!("{}/{}", selection.suite, scenario.name()))
}
