//! Plots: words that do not touch, a budget line that is always there, and data of every sad shape.

use reports::metric::Metric;
use reports::plot::drawing::{Shape, VERMILLION};
use reports::plot::{Drawing, Plot, Width, all, paint};
use reports::record::{Phase, RunRecord, Series};

use crate::support;

fn both(run: &RunRecord) -> Vec<Plot> {
    [Width::Wide, Width::Narrow]
        .into_iter()
        .flat_map(|width| all(run, width))
        .collect()
}

/// Every text is inside the drawing and touches no other.
#[track_caller]
fn legible(plot: &Plot) {
    let d = &plot.drawing;
    let texts: Vec<_> = d.shapes.iter().filter(|s| s.text_box().is_some()).collect();
    for (nth, shape) in texts.iter().enumerate() {
        let a = shape.text_box().unwrap();
        let inside = a.0 >= 0.0 && a.1 >= 0.0 && a.2 <= d.width + 0.5 && a.3 <= d.height;
        assert!(inside, "{} {}: {shape:?} {a:?}", plot.name, d.width);
        for other in &texts[..nth] {
            let b = other.text_box().unwrap();
            let touch = a.0 < b.2 && b.0 < a.2 && a.1 < b.3 - 0.5 && b.1 < a.3 - 0.5;
            assert!(!touch, "{} {}: {shape:?} on {other:?}", plot.name, d.width);
        }
    }
}

fn budget_lines(d: &Drawing) -> Vec<f64> {
    d.shapes
        .iter()
        .filter_map(|s| match s {
            Shape::Path {
                points,
                colour,
                width,
            } if *colour == VERMILLION && *width > 2.0 => Some(points[0].1),
            _ => None,
        })
        .collect()
}

#[test]
fn words_do_not_touch() {
    for journal in [
        support::pair(),
        support::specimen(),
        support::oom(),
        support::stores(),
    ] {
        both(&journal.record()).iter().for_each(legible);
    }
    let torn = RunRecord::from_journal(&support::torn()).unwrap();
    both(&torn).iter().for_each(legible);
}

#[test]
fn words_do_not_touch_with_many_phases() {
    let mut run = support::oom().record();
    let cell = &mut run.cells[0];
    for n in 0..2000 {
        let start_ms = cell.started_ms + f64::from(n) * 3.1;
        cell.phases.push(Phase {
            suite: "datastore".into(),
            name: format!("mix/clients={n}"),
            start_ms,
            end_ms: (n % 3 > 0).then_some(start_ms + f64::from(n % 7) * 40.0),
        });
    }
    for n in 0..30 {
        cell.deaths.push(reports::record::Death {
            at_ms: cell.started_ms + f64::from(n) * 200.0,
            how: "exit 1".into(),
            log_tail: String::new(),
        });
    }
    let plots = both(&run);
    assert_eq!(plots.len(), 4);
    plots.iter().for_each(legible);
}

#[test]
fn the_names_are_those_of_the_house() {
    let names: Vec<String> = all(&support::pair().record(), Width::Wide)
        .into_iter()
        .map(|p| p.name)
        .collect();
    assert_eq!(
        names,
        [
            "memory",
            "memory-native-k3s-sqlite-edge",
            "memory-native-k3s-etcd-edge",
            "cpu-native-k3s-sqlite-edge",
            "cpu-native-k3s-etcd-edge",
            "latency-ecdf",
            "throughput",
        ]
    );
}

#[test]
fn the_budget_line_is_always_inside() {
    let mut run = support::pair().record();
    for mib in [1u64, 128, 512, 2048, 65536] {
        for cell in &mut run.cells {
            cell.spec.budget.memory_bytes = Some(mib << 20);
            cell.spec.budget.cpu_milli = Some(mib);
        }
        for plot in both(&run)
            .iter()
            .filter(|p| p.name.starts_with("memory") || p.name.starts_with("cpu"))
        {
            let lines = budget_lines(&plot.drawing);
            assert!(!lines.is_empty(), "{}", plot.name);
            assert!(
                lines
                    .iter()
                    .all(|y| *y > 40.0 && *y < plot.drawing.height - 40.0),
                "{}",
                plot.name
            );
        }
    }
    for cell in &mut run.cells {
        cell.spec.budget = reports::budget::Budget::unlimited();
    }
    assert!(
        both(&run)
            .iter()
            .all(|p| budget_lines(&p.drawing).is_empty())
    );
}

fn painted(run: &RunRecord) -> usize {
    let plots = both(run);
    for plot in &plots {
        assert!(paint::svg(&plot.drawing).unwrap().ends_with("</svg>\n"));
        assert!(paint::png(&plot.drawing).unwrap().starts_with(b"\x89PNG"));
    }
    plots.len()
}

#[test]
fn sad_data_are_drawn_or_left_out() {
    let with = |points: &[(f64, f64)]| {
        let mut run = support::oom().record();
        for series in &mut run.cells[0].series {
            series.points = points.to_vec();
        }
        run
    };
    let nan = f64::NAN;
    for points in [
        vec![],
        vec![(100.0, 1e8)],
        vec![(100.0, 1e8), (100.0, 2e8)],
        vec![(nan, nan), (100.0, nan), (200.0, f64::INFINITY)],
        vec![(500.0, 5e8), (100.0, 1e8), (300.0, -4.0)],
        vec![(100.0, 0.0), (200.0, 1e300), (1e300, 3.0)],
        (0..5000)
            .map(|n| (f64::from(n), f64::from(n % 97) * 1e6))
            .collect(),
    ] {
        painted(&with(&points));
    }
    let mut run = support::pair().record();
    for cell in &mut run.cells {
        cell.series.clear();
        for latency in &mut cell.latencies {
            latency.buckets = vec![(0, 1), (u64::MAX, u64::MAX)];
            latency.count = u64::MAX;
            latency.interval_ms = 0.0;
        }
    }
    assert_eq!(painted(&run), 4, "the latencies are left");
    run.cells.iter_mut().for_each(|c| c.latencies.clear());
    assert_eq!(painted(&run), 0);
}

#[test]
fn the_observer_is_not_the_observed() {
    let mut run = support::pair().record();
    for cell in &mut run.cells {
        cell.series = vec![Series {
            source: "observer".into(),
            metric: Metric::Rss,
            points: vec![(1000.0, 3e7), (2000.0, 3e7)],
        }];
    }
    assert!(
        both(&run)
            .iter()
            .all(|p| p.name == "latency-ecdf" || p.name == "throughput")
    );
    assert_eq!(run.cells[0].greatest(Metric::Rss), None);
}

#[test]
fn golden_memory_plot() {
    let run = support::oom().record();
    let plots = all(&run, Width::Wide);
    insta::assert_snapshot!("memory-svg", paint::svg(&plots[0].drawing).unwrap());
}
