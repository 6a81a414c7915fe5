//! Bars: what a write costs the disk, and how long it takes until a server serves again.

use super::compared::Compared;
use super::drawing::{Anchor, BLACK, Colour, Drawing};
use super::page::{EDGE, Page};
use super::paint::text_width;
use super::{Plot, Width};
use crate::compare::Spread;
use crate::format;
use crate::metric::Unit;
use crate::record::RunRecord;
use crate::repeats::Repeated;
use crate::stores::{self, FAULTS, Show};

/// What the recovery clock stops at, and what to call it.
const STOPS: [(&str, &str); 3] = [
    ("recovery_first_write", "first write"),
    ("recovery_ready", "ready"),
    ("recovery_watch", "watch resumed"),
];

/// A group of bars: its heading, how values are shown, and a spread for each compared cell.
struct Group {
    title: String,
    show: Show,
    bars: Vec<Option<Spread>>,
}

/// Bytes and fsyncs of a write, and gigabytes a day.
pub(super) fn wear(run: &RunRecord, width: Width) -> Vec<Plot> {
    type Reader = fn(&Repeated<'_>) -> Result<Vec<f64>, String>;
    let figures: [(&str, Show, Reader); 4] = [
        ("bytes written for a write", Show::In(Unit::Bytes), |c| {
            stores::per_write(c, "written_per_write")
        }),
        ("fsyncs for a write", Show::In(Unit::Count), |c| {
            stores::per_write(c, "fsyncs_per_write")
        }),
        ("written a day while idle", Show::Gigabytes, |c| {
            stores::a_day(c, Unit::Bytes, "idle")
        }),
        ("written a day under load", Show::Gigabytes, |c| {
            stores::a_day(c, Unit::Bytes, "load")
        }),
    ];
    let has = |cell: &Repeated<'_>| {
        stores::worked(cell) && figures.iter().any(|(.., read)| read(cell).is_ok())
    };
    let Some(compared) = Compared::of(run, has) else {
        return Vec::new();
    };
    let group = |(title, show, read): &(&str, Show, Reader)| Group {
        title: (*title).to_owned(),
        show: *show,
        bars: compared
            .cells
            .iter()
            .map(|(cell, ..)| read(cell).ok().and_then(|v| Spread::of(&v)))
            .collect(),
    };
    let groups: Vec<Group> = figures.iter().map(group).collect();
    let mut page = compared.page(width, "Wear: what a write and a day cost the disk");
    groups_of(&mut page, &compared, &groups);
    vec![compared.finish(
        page,
        "wear",
        "bars: medians of the repeats; thin lines: least to greatest; GB: 10^9 bytes",
    )]
}

/// Recovery after each fault.
pub(super) fn recovery(run: &RunRecord, width: Width) -> Vec<Plot> {
    let has = |cell: &Repeated<'_>| {
        FAULTS.iter().any(|(fault, _)| {
            STOPS
                .iter()
                .any(|(stop, _)| stores::recovery(cell, fault, stop).is_ok())
        })
    };
    let Some(compared) = Compared::of(run, has) else {
        return Vec::new();
    };
    let mut groups = Vec::new();
    for (fault, words) in FAULTS {
        for (stop, what) in STOPS {
            let bars: Vec<Option<Spread>> = compared
                .cells
                .iter()
                .map(|(cell, ..)| {
                    stores::recovery(cell, fault, stop)
                        .ok()
                        .and_then(|v| Spread::of(&v))
                })
                .collect();
            if bars.iter().any(Option::is_some) {
                groups.push(Group {
                    title: format!("{words}: {what}"),
                    show: Show::In(Unit::Milliseconds),
                    bars,
                });
            }
        }
    }
    let mut page = compared.page(
        width,
        "Recovery: time from the end of a fault until it serves again",
    );
    // One scale for all of them: they are the same kind of time.
    let greatest = groups.iter().map(greatest_of).fold(0.0, f64::max);
    for group in &groups {
        draw(&mut page, &compared, group, greatest);
    }
    vec![compared.finish(
        page,
        "recovery",
        "bars: medians of the repeats; thin lines: least to greatest; one scale for all",
    )]
}

fn groups_of(page: &mut Page, compared: &Compared<'_>, groups: &[Group]) {
    for group in groups
        .iter()
        .filter(|group| group.bars.iter().any(Option::is_some))
    {
        draw(page, compared, group, greatest_of(group));
    }
}

fn greatest_of(group: &Group) -> f64 {
    group
        .bars
        .iter()
        .flatten()
        .map(|spread| spread.greatest)
        .fold(0.0, f64::max)
}

fn draw(page: &mut Page, compared: &Compared<'_>, group: &Group, greatest: f64) {
    let font = page.font;
    page.words(&group.title, font, BLACK);
    let height = font * 1.3;
    for (bar, (_, _, colour)) in group.bars.iter().zip(&compared.cells) {
        page.y += font * 0.2;
        one(
            &mut page.drawing,
            bar.as_ref(),
            *colour,
            (page.y, height, greatest),
            (group.show, font),
        );
        page.y += height;
    }
    page.y += font * 0.5;
}

fn one(
    d: &mut Drawing,
    bar: Option<&Spread>,
    colour: Colour,
    place: (f64, f64, f64),
    (show, font): (Show, f64),
) {
    let (top, height, greatest) = place;
    let middle = top + height / 2.0;
    let Some(spread) = bar else {
        d.text(
            (EDGE, middle),
            Anchor::Start,
            font * 0.9,
            colour.ink(),
            "not measured",
        );
        return;
    };
    let words = match spread.n {
        1 => format!("{} (n=1)", show.value(spread.median)),
        n => format!(
            "{} (n={})",
            show.value(spread.median),
            format::number(n as f64)
        ),
    };
    // Room for the words at the right of the longest bar.
    let most = (d.width - 2.0 * EDGE - text_width(&words, font * 0.9) - 24.0).max(40.0);
    let longest = most.min(d.width * 0.62);
    let at = |value: f64| {
        let share = if greatest > 0.0 {
            (value / greatest).clamp(0.0, 1.0)
        } else {
            0.0
        };
        EDGE + longest * share
    };
    let (end, far) = (at(spread.median), at(spread.greatest));
    d.rect(
        (EDGE, top + height * 0.15),
        ((EDGE + 2.0).max(end), top + height * 0.85),
        colour,
    );
    d.line(vec![(at(spread.least), middle), (far, middle)], BLACK, 1.5);
    d.text(
        (end.max(far) + 8.0, middle),
        Anchor::Start,
        font * 0.9,
        BLACK,
        &words,
    );
}
