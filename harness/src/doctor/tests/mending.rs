//! What `doctor --fix` would run.

use super::super::fix::{Step, plan, run};
use super::super::{Binary, Engine, examine};
use super::MadeUp;

fn bare() -> MadeUp {
    let mut host = MadeUp::well();
    host.view.facts.k3s = Binary::Fetchable("https://mirror.example".into());
    host.view.facts.etcd = Binary::Absent("none".into());
    host.view.facts.engine = Engine::Silent("none".into());
    host
}

fn words(steps: &[Step]) -> Vec<String> {
    let words = |step: &Step| match step {
        Step::Run(command) => command.join(" "),
        Step::NeedsRoot(command) => format!("needs root: {command}"),
    };
    steps.iter().map(words).collect()
}

#[test]
fn package_lists_are_refreshed_once_before_the_first_package() {
    let steps = plan(&examine(&bare().view), true, false);
    assert_eq!(
        words(&steps),
        [
            "/opt/assay fetch k3s",
            "apt-get update",
            "apt-get install -y etcd-server",
            "apt-get install -y docker.io"
        ]
    );
}

#[test]
fn rights_are_asked_for_only_where_they_are_needed() {
    let findings = examine(&bare().view);
    assert_eq!(
        words(&plan(&findings, false, true)),
        [
            "/opt/assay fetch k3s",
            "sudo apt-get update",
            "sudo apt-get install -y etcd-server",
            "sudo apt-get install -y docker.io"
        ]
    );
    let steps = words(&plan(&findings, false, false));
    assert_eq!(steps[0], "/opt/assay fetch k3s");
    assert!(
        steps[1..]
            .iter()
            .all(|step| step.starts_with("needs root: apt-get")),
        "{steps:?}"
    );
    assert_eq!(plan(&examine(&MadeUp::well().view), true, true), []);
}

#[tokio::test]
async fn a_failed_step_does_not_stop_the_others() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let made = folder.path().join("made by the last step");
    let command = |words: &[&str]| Step::Run(words.iter().map(ToString::to_string).collect());
    let steps = [
        command(&["false"]),
        command(&["/does/not/exist"]),
        Step::NeedsRoot("apt-get update".into()),
        command(&["touch", made.to_str().expect("UTF-8")]),
    ];
    assert_eq!(run(&steps).await, 3);
    assert!(made.exists());
}
