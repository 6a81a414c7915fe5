//! Defects of lists.

use super::super::model::{Made, Plan};
use super::super::rng::Rng;
use super::{Mutation, pick, versions};

pub static MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "item_missing",
        defect: "a list leaves out a key",
        judge: "listing",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (list, item) = pick(rng, items(made))?;
            made.history.listings[list].items.remove(item);
            Some(())
        },
    },
    Mutation {
        name: "item_repeated",
        defect: "a page begins with the last item of the page before it",
        judge: "listing",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (list, item) = pick(rng, items(made))?;
            let items = &mut made.history.listings[list].items;
            items.insert(item, items[item]);
            Some(())
        },
    },
    Mutation {
        name: "items_out_of_order",
        defect: "a list is not sorted",
        judge: "listing",
        plan: Plan::rich,
        mutate: |made, rng| {
            let fits = items(made).into_iter().filter(|(_, item)| *item > 0);
            let (list, item) = pick(rng, fits.collect())?;
            made.history.listings[list].items.swap(item - 1, item);
            Some(())
        },
    },
    Mutation {
        name: "item_outdated",
        defect: "a list shows a key at an older version than its revision has",
        judge: "listing",
        plan: Plan::rich,
        mutate: outdated,
    },
    Mutation {
        name: "stale_list",
        defect: "a list of the newest state shows an old one",
        judge: "order",
        plan: Plan::rich,
        mutate: stale,
    },
    Mutation {
        name: "list_shows_what_was_deleted",
        defect: "a list shows a key that had been deleted before its revision",
        judge: "resurrection",
        plan: Plan::rich,
        mutate: deleted,
    },
    Mutation {
        name: "stranger",
        defect: "a list shows a key that nobody wrote",
        judge: "phantom",
        plan: Plan::rich,
        mutate: |made, rng| {
            let lists = 0..made.history.listings.len();
            let list = pick(rng, lists.collect())?;
            let strangers = &mut made.history.listings[list].strangers;
            strangers.push("/registry/configmaps/a/x".into());
            Some(())
        },
    },
];

/// List and item of every list but the final one.
fn items(made: &Made) -> Vec<(usize, usize)> {
    let lists = made.history.listings.iter().enumerate();
    lists
        .filter(|(_, list)| !list.is_final)
        .flat_map(|(index, list)| {
            let items = list.items.iter().enumerate();
            // A key that was there before the history began has no writer, so nothing is known of its absence.
            items
                .filter(|(_, (_, version))| version.revision > 10)
                .map(move |(item, _)| (index, item))
        })
        .collect()
}

fn outdated(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let fits = items(made).into_iter().filter_map(|(list, item)| {
        let (key, version) = made.history.listings[list].items[item];
        let versions = versions(made, key);
        let at = versions
            .iter()
            .position(|(revision, _)| *revision == version.revision)?;
        let older = versions[at.checked_sub(1)?].1?;
        Some((list, item, older))
    });
    let (list, item, older) = pick(rng, fits.collect())?;
    made.history.listings[list].items[item].1 = older;
    Some(())
}

fn stale(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = super::acknowledged(&made.history);
    let lists = made.history.listings.iter().enumerate();
    let fits = lists.filter_map(|(index, list)| {
        if list.is_final || list.asked.is_some() {
            return None;
        }
        // The state before the last write that was acknowledged before the list was asked for.
        let before = all.iter().filter(|known| known.end < list.call);
        Some((index, before.map(|known| known.version.revision).max()?))
    });
    let (index, newest) = pick(rng, fits.collect())?;
    let list = &mut made.history.listings[index];
    list.revision = newest - 1;
    list.items = made.log.state_before(newest).into_iter().collect();
    Some(())
}

fn deleted(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let mut fits = Vec::new();
    for (index, list) in made.history.listings.iter().enumerate() {
        if list.is_final {
            continue;
        }
        for key in 0..made.history.header.keys.len() as u32 {
            let versions = versions(made, key);
            let until = versions.partition_point(|(revision, _)| *revision <= list.revision);
            if until >= 2
                && versions[until - 1].1.is_none()
                && let Some(before) = versions[until - 2].1
            {
                fits.push((index, (key, before)));
            }
        }
    }
    let (index, item) = pick(rng, fits)?;
    let items = &mut made.history.listings[index].items;
    items.push(item);
    items.sort_by_key(|(key, _)| *key);
    Some(())
}
