//! Whether the load that a history tells of is enough for its judges' passes to mean something.

use super::case::Case;
use super::claim::content;
use crate::history::{Answer, MarkKind, Nanos};

/// A write this long before a fault was at stake: clients at a modest rate have none under way at most moments.
const AT_STAKE: Nanos = 1_000_000_000;

/// Why the history says too little, if it does.
///
/// With a fault, the floor holds for the writes acknowledged before it and for those sent after its end. While it lasts
/// nothing can be asked of a server that was killed; but somebody must have been writing when it struck, or in the second
/// before, or nothing was at stake. And a fault that nothing witnesses, or that never ended, is none.
pub(super) fn too_little(case: &Case<'_>) -> Option<String> {
    let floor = case.history.header.floor.max(1);
    let faults = match faults(case) {
        Ok(faults) => faults,
        Err(why) => return Some(why),
    };
    if faults.is_empty() {
        let all = acknowledged(case, 0, Nanos::MAX);
        return below(all, floor, "in all");
    }
    let mut from = 0;
    for (index, (began, ended)) in faults.iter().enumerate() {
        let next = faults.get(index + 1).map_or(Nanos::MAX, |next| next.0);
        let before = below(acknowledged(case, from, *began), floor, "before the fault");
        let after = below(acknowledged(case, *ended, next), floor, "after the fault");
        if before.is_some() || after.is_some() {
            return before.or(after);
        }
        let struck = (0..case.requests()).any(|index| {
            let operation = case.request(index);
            let writes = content(operation.request).is_some();
            writes && operation.call <= *ended && operation.end.saturating_add(AT_STAKE) >= *began
        });
        if !struck {
            return Some("nobody was writing when the fault struck".to_owned());
        }
        from = *ended;
    }
    None
}

fn below(count: u64, floor: u64, when: &str) -> Option<String> {
    (count < floor).then(|| {
        format!("{count} acknowledged writes {when} are fewer than the {floor} that it takes")
    })
}

/// Writes sent from `from` on and acknowledged by `to`.
fn acknowledged(case: &Case<'_>, from: Nanos, to: Nanos) -> u64 {
    let operations = case.history.operations.iter();
    let written = operations.filter(|operation| {
        matches!(operation.answer, Answer::Written { .. })
            && operation.call >= from
            && operation.end <= to
    });
    written.count() as u64
}

/// Beginning and end of each fault.
fn faults(case: &Case<'_>) -> Result<Vec<(Nanos, Nanos)>, String> {
    let mut faults = Vec::new();
    let mut open: Option<(Nanos, &str)> = None;
    for mark in &case.history.marks {
        match &mark.kind {
            MarkKind::FaultBegan(name) => {
                if mark.witness.trim().is_empty() {
                    return Err(format!("nothing witnesses the fault {name}"));
                }
                open = Some((mark.at, name));
            }
            MarkKind::FaultEnded(_) => {
                if let Some((began, _)) = open.take() {
                    faults.push((began, mark.at));
                }
            }
            MarkKind::Recovered | MarkKind::Compacted(_) => {}
        }
    }
    match open {
        Some((_, name)) => Err(format!("the fault {name} never ended")),
        None => Ok(faults),
    }
}
