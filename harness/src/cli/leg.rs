//! The legs of a run: each target with what is planned on it.

use std::sync::Arc;

use reports::budget::Budget;

use super::resolve::{self, Chosen};
use super::suite::Args;
use super::{CommandError, known_bug};
use crate::cell::Shape;
use crate::distribution::{Datastore, Distribution};
use crate::doctor;
use crate::plan::{self, Common, PlannedCell};
use crate::profile::{Profile, Repeats};
use crate::suite::{Selection, Suite, select, served, slice, without_the_longest};
use crate::target::{TARGETS, Target, TargetKind};

/// A target with what is planned on it.
pub(super) struct Leg {
    pub(super) target: Arc<dyn Target>,
    pub(super) chosen: Chosen,
    pub(super) selections: Vec<Selection>,
    pub(super) planned: Vec<PlannedCell>,
}

/// Plans every leg. What was not asked for by name and cannot run is left out, with a sentence each.
pub(super) async fn plan(
    args: &Args,
    suites: &'static [Suite],
) -> Result<(Vec<Leg>, Vec<String>), CommandError> {
    let mut selections =
        select(suites, &args.suite, args.filter.as_deref()).map_err(CommandError::Usage)?;
    let mut left_out = Vec::new();
    if args.profile == Profile::Quick {
        let all = selections.clone();
        selections = slice(selections);
        left_out.push(sliced(&all, &selections));
    }
    if args.profile == Profile::Default && args.filter.is_none() {
        let (rest, long) = without_the_longest(selections);
        selections = rest;
        left_out.extend(long.iter().map(|id| {
            format!("{id} may wait for ten minutes and was left out; give --profile full, or --filter {id}")
        }));
    }
    let datastores = wanted_datastores(&args.datastore)?;
    let mut legs = Vec::new();
    if !args.target.is_empty() {
        for (nth, name) in args.target.iter().enumerate() {
            if args.target[..nth].contains(name) {
                continue;
            }
            let leg = one(args, kind(name)?, args.shape, &selections, &datastores);
            legs.push(leg.await?);
        }
        return Ok((legs, left_out));
    }
    for (kind, shape) in by_itself(args) {
        if let Err(why) = offered(kind).await {
            left_out.push(why);
            continue;
        }
        match one(args, kind, shape, &selections, &datastores).await {
            Ok(leg) => legs.push(leg),
            // What this host itself refuses is wrong with the request, not with the place.
            Err(error) if kind.found_by.is_none() => return Err(error),
            Err(error) => left_out.push(format!("{} was left out: {error}", kind.name)),
        }
    }
    Ok((legs, left_out))
}

/// Says what a quick run does not look at, so that its report is not read as a whole one.
fn sliced(all: &[Selection], slice: &[Selection]) -> String {
    let count = |selections: &[Selection]| {
        let checks: usize = selections.iter().map(|s| s.checks.len()).sum();
        let scenarios: usize = selections.iter().map(|s| s.scenarios.len()).sum();
        (checks, scenarios)
    };
    let (all, ran) = (count(all), count(slice));
    format!(
        "the profile quick runs {} of {} checks and {} of {} scenarios; give --profile default for all",
        ran.0, all.0, ran.1, all.1
    )
}

/// The targets and shapes that a run covers where none is named. Clusters that were there are never taken unasked.
fn by_itself(args: &Args) -> Vec<(&'static TargetKind, Shape)> {
    let every = args.suite == "all" && args.profile != Profile::Quick;
    let mut places: Vec<_> = TARGETS
        .iter()
        .filter(|kind| kind.name == "native" || (every && kind.found_by.is_some()))
        .map(|kind| (kind, args.shape))
        .collect();
    if every && args.profile == Profile::Full && args.shape != Shape::Node {
        let with_nodes = TARGETS.iter().filter(|kind| kind.found_by.is_some());
        places.extend(with_nodes.map(|kind| (kind, Shape::Node)));
    }
    places
}

/// Whether this host has what a kind of target needs, or what enables it.
async fn offered(kind: &TargetKind) -> Result<(), String> {
    let Some(finding) = doctor::of_a_place(kind.found_by).await else {
        return Ok(());
    };
    if finding.state == doctor::State::Ok {
        return Ok(());
    }
    let fix = match &finding.fix {
        Some(_) => format!("`assay doctor --fix --only {}` enables it", finding.id),
        None => format!("`assay doctor --only {}` says more", finding.id),
    };
    Err(format!(
        "{} was left out ({}: {}); {fix}",
        kind.name, finding.what, finding.detail
    ))
}

async fn one(
    args: &Args,
    kind: &TargetKind,
    shape: Shape,
    selections: &[Selection],
    datastores: &[Datastore],
) -> Result<Leg, CommandError> {
    let target = (kind.open)(&args.places).map_err(CommandError::Usage)?;
    let budget: Budget = args
        .budget
        .as_deref()
        .unwrap_or(target.default_budget())
        .parse()
        .map_err(|error| CommandError::Usage(format!("{error}")))?;
    let mut chosen = resolve::distribution(
        &args.distribution,
        &args.k3s,
        &args.etcd,
        args.dry_run,
        target.as_ref(),
    )
    .await?;
    let served = served(selections.to_vec(), &args.suite, chosen.distribution);
    let (selections, left_out) = served.map_err(CommandError::Usage)?;
    offers_shape(shape, target.as_ref(), chosen.distribution)?;
    offers_agents(args.agents, shape, target.as_ref(), chosen.distribution)?;
    let datastores = intersect(datastores, &chosen, args)?;
    let common = Common {
        target: target.name(),
        distribution: chosen.distribution,
        shape,
        env: &args.server_env,
        agents: args.agents,
        budget: &budget,
        faults: false,
    };
    let repeats = most_repeats(&selections, args.repeats());
    let mut planned: Vec<PlannedCell> = kinds(&selections, target.as_ref())
        .into_iter()
        .flat_map(|faults| {
            let common = Common { faults, ..common };
            let cells = plan::cells(&common, &datastores, &chosen.binaries, &chosen.missing);
            // A fault is no figure that people compare.
            plan::repeated(cells, if faults { 1 } else { repeats })
        })
        .collect();
    chosen.warnings.extend(left_out);
    if let Some(bug) = known_bug::asked(&args.server_env, chosen.distribution)? {
        known_bug::tell(bug, &mut chosen.warnings, &mut planned);
    }
    Ok(Leg {
        target,
        chosen,
        selections,
        planned,
    })
}

/// The kinds of cells that the selections need: ordinary ones, then those for faults. Where there are no faults, their
/// scenarios say so in an ordinary one.
fn kinds(selections: &[Selection], target: &dyn Target) -> Vec<bool> {
    let scenarios = || selections.iter().flat_map(|selection| &selection.scenarios);
    let faults = target.has_faults() && scenarios().any(|scenario| scenario.injects_faults());
    let checks = selections
        .iter()
        .any(|selection| !selection.checks.is_empty());
    let ordinary = checks || scenarios().any(|scenario| !scenario.injects_faults());
    let kinds = [(false, ordinary || !faults), (true, faults)];
    kinds
        .into_iter()
        .filter(|(_, needed)| *needed)
        .map(|(kind, _)| kind)
        .collect()
}

/// How often the scenario runs that runs most often.
fn most_repeats(selections: &[Selection], repeats: Repeats) -> u32 {
    let scenarios = selections.iter().flat_map(|s| &s.scenarios);
    scenarios.map(|s| repeats.of(*s)).max().unwrap_or(1)
}

pub(super) fn kind(name: &str) -> Result<&'static TargetKind, CommandError> {
    TARGETS
        .iter()
        .find(|kind| kind.name == name)
        .ok_or_else(|| {
            let known: Vec<_> = TARGETS.iter().map(|kind| kind.name).collect();
            CommandError::Usage(format!(
                "there is no target {name:?}; choose from {}",
                known.join(", ")
            ))
        })
}

fn offers_shape(
    shape: Shape,
    target: &dyn Target,
    distribution: &dyn Distribution,
) -> Result<(), CommandError> {
    let refuse = |who: &str, shapes: &[Shape]| {
        let shapes: Vec<_> = shapes.iter().map(ToString::to_string).collect();
        Err(CommandError::Usage(format!(
            "{who} does not run the shape {shape}; it runs {}",
            shapes.join(", ")
        )))
    };
    if !distribution.shapes().contains(&shape) {
        return refuse(distribution.name(), distribution.shapes());
    }
    if !target.shapes().contains(&shape) {
        return refuse(&format!("the target {}", target.name()), target.shapes());
    }
    Ok(())
}

/// An agent that nobody starts must not be in a cell's name.
fn offers_agents(
    agents: u8,
    shape: Shape,
    target: &dyn Target,
    distribution: &dyn Distribution,
) -> Result<(), CommandError> {
    let refusal = if agents == 0 {
        None
    } else if shape != Shape::Node {
        Some("agents are nodes; give --shape node as well".to_owned())
    } else if !distribution.has_agents() {
        Some(format!("{} has no agents", distribution.name()))
    } else if !target.has_agents() {
        Some(format!(
            "the target {} makes no agents; choose --target docker, or --target qemu --time free",
            target.name()
        ))
    } else {
        None
    };
    refusal.map_or(Ok(()), |words| Err(CommandError::Usage(words)))
}

fn wanted_datastores(names: &[String]) -> Result<Vec<Datastore>, CommandError> {
    names
        .iter()
        .map(|name| {
            let named = Datastore::NAMED.into_iter();
            let found = named
                .clone()
                .find(|datastore| datastore.to_string() == *name);
            found.ok_or_else(|| {
                let known: Vec<_> = named.map(|datastore| datastore.to_string()).collect();
                CommandError::Usage(format!(
                    "there is no datastore {name:?}; choose from {}",
                    known.join(", ")
                ))
            })
        })
        .collect()
}

/// The datastores that were asked for; where none was, those that the distribution has. SQLite's durable setting is a
/// third leg only where datastores are compared at length.
fn intersect(
    wanted: &[Datastore],
    chosen: &Chosen,
    args: &Args,
) -> Result<Vec<Datastore>, CommandError> {
    let at_length = args.suite == "datastore" && args.profile == Profile::Full;
    let unasked = |datastore: Datastore| datastore != Datastore::SqliteFull || at_length;
    let has = chosen.distribution.datastores();
    if let Some(lacking) = wanted.iter().find(|datastore| !has.contains(datastore)) {
        let name = chosen.distribution.name();
        let has: Vec<_> = has.iter().map(ToString::to_string).collect();
        return Err(CommandError::Usage(format!(
            "{name} does not run on {lacking}; it runs on {}",
            has.join(", ")
        )));
    }
    Ok(has
        .iter()
        .copied()
        .filter(|datastore| match wanted {
            [] => unasked(*datastore),
            _ => wanted.contains(datastore),
        })
        .collect())
}
