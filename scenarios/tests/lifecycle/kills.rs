//! `kill -9` of assay at random moments, then a sweep, then a report of what there was.

use std::time::Duration;

use rustix::process::Signal;

use crate::bystander::Bystander;
use crate::held::Held;
use crate::send;
use crate::support::{Sandbox, needs_root};

/// What to run, and how long the interesting part of it takes.
struct Victim {
    args: Vec<String>,
    span: Duration,
    /// Exit codes that a report of a cut run may have.
    codes: &'static [i32],
}

/// SplitMix64 (public domain, Vigna): seeded, so that a failure can be seen again.
pub struct Random(pub u64);

impl Random {
    /// The next number between 0 and 1.
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

/// A number that a variable gives.
pub fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

fn kill_at_random_moments(victim: &Victim) {
    let (kills, seed) = (number("ASSAY_KILLS", 5), number("ASSAY_SEED", 20));
    let mut random = Random(seed);
    let mut provisioned = 0;
    for nth in 1..=kills {
        // Squared: half of the moments lie in the first quarter, where most is being made.
        let after = victim.span.mul_f64(random.share().powi(2));
        let sandbox = Sandbox::new();
        let mut bystander = Bystander::new(&sandbox);
        provisioned += u64::from(one(&sandbox, victim, after, nth));
        bystander.untouched();
        drop(bystander);
        sandbox.nothing_left();
    }
    println!("{kills} kills (seed {seed}), {provisioned} of them with a server running");
}

/// Kills one run. Returns whether there was a server in namespaces by then.
fn one(sandbox: &Sandbox, victim: &Victim, after: Duration, nth: u64) -> bool {
    let mut words: Vec<&str> = victim.args.iter().map(String::as_str).collect();
    let out = sandbox.out().display().to_string();
    words.extend(["--out", &out]);
    let mut running = sandbox.start(sandbox.command(&words));
    // A moment, not a wait: nothing is expected to hold by then.
    std::thread::sleep(after);
    let mut held = Held::default();
    held.read_processes(running.child.id());
    let early = running.child.try_wait().expect("a child").is_some();
    assert!(!early, "kill {nth}: the run was over after {after:?}");
    send(&running, Signal::KILL);
    assert_eq!(running.end().code, None);
    held.read_ledgers(sandbox);
    let sweep = sandbox.run(&["sweep"]);
    sweep.expect(0);
    // The folder of the bystander is in `work` as long as it stands by.
    held.gone_beside(sandbox, &["theirs"]);
    let run = sandbox.out().join("latest");
    let journal = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    let lines = journal.lines().count();
    let code = if journal.ends_with('\n') || lines > 1 {
        let report = sandbox.run(&["report", &run.display().to_string()]);
        let code = report.code.expect("an exit code");
        assert!(victim.codes.contains(&code), "{report:?}");
        assert!(run.join("report.html").exists());
        if code != 6 {
            println!("{}", report.stdout);
        }
        format!("exit {code}")
    } else {
        "there was no journal yet".to_owned()
    };
    println!(
        "kill {nth} after {:.2} s: {lines} events, {held}; sweep: {}; report: {code}",
        after.as_secs_f64(),
        sweep.stdout.lines().last().unwrap_or_default(),
    );
    // Nothing is left to sweep.
    let again = sandbox.run(&["sweep"]);
    assert!(
        again.stdout.contains("0 removed, 0 remain, 0 live"),
        "{again:?}"
    );
    held.namespaces() > 0
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn kill_9_on_the_specimen() {
    needs_root();
    let args = [
        "suite",
        "all",
        "--target",
        "native",
        "--distribution",
        "reference",
    ]
    .map(str::to_owned);
    kill_at_random_moments(&Victim {
        args: args.to_vec(),
        span: Duration::from_secs(10),
        codes: &[6],
    });
}

#[test]
#[ignore = "takes minutes on a real K3s: set ASSAY_TEST_K3S=/path/to/k3s and give --ignored"]
fn kill_9_on_k3s() {
    let k3s = crate::limits::k3s();
    let args = [
        "suite",
        "all",
        "--target",
        "native",
        "--distribution",
        "k3s",
        "--k3s-binary",
        &k3s,
    ];
    kill_at_random_moments(&Victim {
        args: args.map(str::to_owned).to_vec(),
        span: Duration::from_secs(45),
        // Old releases fail checks of newer rules; a check that failed before the kill counts.
        codes: &[4, 5, 6],
    });
}
