//! Tries K3s natively: `k3s <binary> <budget> [seconds]`. Not a test: it needs the binary.
use harness::cell::Cell;
use harness::distribution::*;
use harness::sampler::*;
use harness::scope::Scope;
use harness::target::*;
use std::time::{Duration, Instant};

struct K3s;
impl Distribution for K3s {
    fn name(&self) -> &'static str {
        "k3s"
    }
    fn surfaces(&self) -> &'static [Surface] {
        &[]
    }
    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Sqlite]
    }
    fn artifacts(&self) -> &'static [ArtifactNeed] {
        &[]
    }
    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let d = spec.data_dir.to_string_lossy();
        let mut args: Vec<String> = "server --disable-agent --disable traefik,metrics-server,local-storage,coredns,servicelb --disable-cloud-controller --disable-network-policy --disable-helm-controller".split(' ').map(Into::into).collect();
        args.extend([
            "--data-dir".into(),
            d.to_string(),
            "--write-kubeconfig".into(),
            format!("{d}/kubeconfig"),
            "--tls-san".into(),
            spec.address.to_string(),
        ]);
        CommandLine {
            program: spec.binaries["k3s"].clone(),
            args,
            env: vec![],
        }
    }
    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Kubeconfig {
            path: spec.data_dir.join("kubeconfig"),
        }
    }
    fn ready_when(&self) -> &'static [ReadyWhen] {
        &[]
    }
    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &[]
    }
}

fn main() -> std::process::ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(code) = harness::internal(&args) {
        return code;
    }
    run(args).unwrap();
    std::process::ExitCode::SUCCESS
}

#[tokio::main]
async fn run(args: Vec<std::ffi::OsString>) -> anyhow::Result<()> {
    let arg = |n: usize| args[n].to_str().unwrap();
    let state = std::path::PathBuf::from("/tmp/assay-k3s-try");
    std::fs::create_dir_all(state.join("logs"))?;
    let run = format!("try-{}", std::process::id());
    let scope = Scope::open(&state, &run)?;
    let cell = Cell {
        id: "x".into(),
        distribution: &K3s,
        datastore: Datastore::Sqlite,
        budget: arg(2).parse()?,
        binaries: [("k3s", arg(1).into())].into(),
        work: scope.work().join(&run),
        logs: state.join("logs"),
    };
    let _ = std::fs::remove_file(state.join("logs/server.log"));
    let target = native::NativeTarget::default();
    let t = Instant::now();
    let cluster = target.provision(&cell, &scope).await?;
    println!(
        "provisioned in {:?}, exec {:?} before now, address {}",
        t.elapsed(),
        cluster.started().elapsed(),
        cluster.address()
    );
    let rate = Rate::new(50.0);
    let driver = Driver::start(
        cluster.samplers()?,
        rate.clone(),
        Box::new(|_, _, r| {
            std::hint::black_box(r);
        }),
    )?;
    let mut ended = cluster.ended();
    let kubeconfig = cluster.data_dir().join("kubeconfig");
    let addr = cluster.address();
    let ready = async {
        loop {
            let out = tokio::process::Command::new("/opt/k3s/kubectl")
                .args(["--kubeconfig"])
                .arg(&kubeconfig)
                .args([
                    "--server",
                    &format!("https://{addr}:6443"),
                    "get",
                    "--raw",
                    "/readyz",
                ])
                .output()
                .await
                .unwrap();
            if out.stdout == b"ok" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = ready => println!("ready {:?} after exec", cluster.started().elapsed()),
        exit = &mut ended => println!("ended {exit:?} {:?} after exec", cluster.started().elapsed()),
        () = tokio::time::sleep(Duration::from_secs(90)) => println!("never ready"),
    }
    let start = driver.stop();
    println!("starting: {start:?}");
    let driver = Driver::start(
        cluster.samplers()?,
        Rate::new(10.0),
        Box::new(|_, _, r| {
            std::hint::black_box(r);
        }),
    )?;
    tokio::time::sleep(Duration::from_secs(
        args.get(3)
            .map_or(10, |s| s.to_str().unwrap().parse().unwrap()),
    ))
    .await;
    let r = driver.stop();
    println!(
        "settled: {r:?} share {:.4}%",
        r.cpu.as_secs_f64() / r.wall.as_secs_f64() * 100.0
    );
    println!("{:?}", cluster.processes());
    println!("{:?}", cluster.budget_evidence());
    for s in &mut cluster.samplers()? {
        let mut v = vec![];
        s.sample(&mut v)?;
        println!("{} {v:?}", s.name());
    }
    let standing = scope.standing();
    let t = Instant::now();
    let ended = cluster.ended();
    println!(
        "left {:?} in {:?}; {:?}",
        cluster.destroy().await,
        t.elapsed(),
        ended.await
    );
    println!("{} stood; closing: {:?}", standing.len(), scope.close());
    Ok(())
}
