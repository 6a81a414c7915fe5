//! `kill -9` of assay at random moments of a run on a cluster that is not its own, then a sweep: every object that the run
//! made is gone, and every other one is the same as before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use harness::api::RUN_LABEL;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kills::{Random, number};
use crate::send;
use crate::standing::Standing;
use crate::support::{Sandbox, until};

/// Objects of somebody else's, in a namespace that is named like assay's and labelled like another run's.
struct Theirs(Vec<(String, Value)>);

/// As many looks in a row without a change.
const RESTS: u32 = 3;

const THEIRS: &str = "assay-check-theirs";

impl Theirs {
    fn make(standing: &Standing) -> Self {
        let inside = format!("/api/v1/namespaces/{THEIRS}/configmaps");
        standing.with(async |api| {
            let mut made = Vec::new();
            for (path, name) in [
                ("/api/v1/namespaces", THEIRS),
                (&inside, "mine"),
                ("/api/v1/namespaces/default/configmaps", THEIRS),
            ] {
                let labels = json!({RUN_LABEL: "another"});
                let object = json!({"metadata": {"name": name, "labels": labels}});
                let answer = api.create(path, object).await.unwrap();
                assert!(answer.is_success(), "{}", answer.summary());
                made.push((format!("{path}/{name}"), answer.body));
            }
            Self(made)
        })
    }

    /// Whether nobody has written to them.
    #[track_caller]
    fn untouched(&self, standing: &Standing) {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        for (path, before) in &self.0 {
            let now = standing.with(async |api| api.get(path).await.unwrap().body);
            assert_eq!(version(&now), version(before), "{path}: {now}");
        }
    }

    fn remove(self, standing: &Standing) {
        standing.with(async |api| {
            for (path, _) in self.0.iter().rev() {
                api.delete(path, &[]).await.unwrap();
            }
        });
    }
}

/// What the server makes by itself in a namespace appears a moment after it, and a young server makes more.
fn settled(standing: &Standing) -> BTreeSet<String> {
    let mut before = standing.objects();
    let mut same = 0;
    until("the cluster is at rest", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = standing.objects();
        same = if now == before { same + 1 } else { 0 };
        before.clone_from(&now);
        (same == RESTS).then_some(now)
    })
}

fn kill_at_random_moments(standing: &Standing, sandbox: &Sandbox, span: Duration) {
    let (kills, seed) = (number("ASSAY_KILLS", 5), number("ASSAY_SEED", 20));
    let mut random = Random(seed);
    let theirs = Theirs::make(standing);
    let before = settled(standing);
    let mut most = 0;
    for nth in 1..=kills {
        let after = span.mul_f64(random.share());
        // Held long enough that no run is over when it is killed, however fast this host is.
        let args = standing.args(sandbox, &["--yes-this-cluster", "--hold", "60"]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut running = sandbox.start(sandbox.command(&args));
        // A moment, not a wait: nothing is expected to hold by then.
        std::thread::sleep(after);
        let early = running.child.try_wait().expect("a child").is_some();
        assert!(!early, "kill {nth}: the run was over after {after:?}");
        send(&running, Signal::KILL);
        assert_eq!(running.end().code, None);
        let held = standing.objects().difference(&before).count();
        most = most.max(held);
        let swept = sandbox.run(&["sweep"]);
        swept.expect(0);
        // The server removes by itself what lies in a namespace that goes.
        let mut other = Vec::new();
        let restored = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("everything is as before", || {
                let now = standing.objects();
                other = now.symmetric_difference(&before).cloned().collect();
                other.is_empty().then_some(())
            });
        }));
        assert!(restored.is_ok(), "kill {nth} after {after:?}: {other:?}");
        assert_eq!(standing.of_runs(), [format!("\"{THEIRS}\"")]);
        theirs.untouched(standing);
        sandbox.nothing_left();
        println!(
            "kill {nth} after {:.2} s: {held} objects of the run; sweep: {}",
            after.as_secs_f64(),
            swept.stdout.lines().last().unwrap_or_default()
        );
    }
    // Else it has shown nothing.
    assert!(most > 0, "no run had made anything when it was killed");
    println!("{kills} kills (seed {seed}), at most {most} objects to sweep");
    theirs.remove(standing);
}

#[test]
fn kill_9_on_a_specimen_that_was_there() {
    let sandbox = Sandbox::new();
    let standing = Standing::new(&sandbox);
    kill_at_random_moments(&standing, &sandbox, Duration::from_secs(4));
}

#[test]
#[ignore = "needs a cluster that may be used: set ASSAY_TEST_KUBECONFIG and give --ignored; a k3s, for one"]
fn kill_9_on_a_k3s_that_was_there() {
    let kubeconfig = std::env::var_os("ASSAY_TEST_KUBECONFIG").map(PathBuf::from);
    let kubeconfig = kubeconfig.expect("ASSAY_TEST_KUBECONFIG=/path/to/kubeconfig");
    let sandbox = Sandbox::new();
    let standing = Standing::given(kubeconfig);
    kill_at_random_moments(&standing, &sandbox, Duration::from_secs(30));
}
