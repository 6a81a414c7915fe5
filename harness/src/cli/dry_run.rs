//! `--dry-run`: the plan, printed; nothing runs.

use serde_json::{Value, json};

use super::leg::Leg;
use crate::plan::PlannedCell;
use crate::suite::Selection;

/// The plan for people.
pub(super) fn text(legs: &[Leg], left_out: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let warnings = legs.iter().flat_map(|leg| &leg.chosen.warnings);
    lines.extend(
        left_out
            .iter()
            .chain(warnings)
            .map(|warning| format!("warning: {warning}")),
    );
    for leg in legs {
        let chosen = &leg.chosen;
        for cell in &leg.planned {
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
    }
    for selection in suites(legs) {
        lines.push(format!(
            "{}: {} checks, {} scenarios",
            selection.suite,
            selection.checks.len(),
            selection.scenarios.len()
        ));
        let checks = selection.checks.iter();
        lines.extend(checks.map(|check| format!("  {}", check.id)));
        lines.extend(scenarios(selection).map(|id| format!("  {id}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The plan for programs.
pub(super) fn json(legs: &[Leg], left_out: &[String]) -> Value {
    let cell = |leg: &Leg, cell: &PlannedCell| {
        json!({
            "id": cell.id,
            "distribution": leg.chosen.distribution.name(),
            "version": leg.chosen.version,
            "datastore": cell.datastore.to_string(),
            "shape": cell.shape.to_string(),
            "agents": cell.agents,
            "repeat": cell.repeat,
            "budget": cell.budget,
            "skip": cell.skip,
        })
    };
    let cells: Vec<Value> = legs
        .iter()
        .flat_map(|leg| leg.planned.iter().map(move |planned| cell(leg, planned)))
        .collect();
    let suites: Vec<Value> = suites(legs)
        .into_iter()
        .map(|selection| {
            json!({
                "suite": selection.suite,
                "checks": selection.checks.iter().map(|check| check.id).collect::<Vec<_>>(),
                "scenarios": scenarios(selection).collect::<Vec<_>>(),
            })
        })
        .collect();
    let warnings: Vec<&String> = legs.iter().flat_map(|leg| &leg.chosen.warnings).collect();
    json!({"warnings": warnings, "left_out": left_out, "cells": cells, "suites": suites})
}

/// Every suite of any leg, once: the same checks and scenarios are chosen for all.
fn suites(legs: &[Leg]) -> Vec<&Selection> {
    let mut suites: Vec<&Selection> = Vec::new();
    for selection in legs.iter().flat_map(|leg| &leg.selections) {
        if !suites.iter().any(|known| known.suite == selection.suite) {
            suites.push(selection);
        }
    }
    suites
}

fn scenarios(selection: &Selection) -> impl Iterator<Item = String> {
    selection
        .scenarios
        .iter()
        .map(|scenario| format!("{}/{}", selection.suite, scenario.name()))
}
