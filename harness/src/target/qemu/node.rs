//! What a whole node needs in its guest before it starts: a network for its pods, and the one image that they run.
//!
//! Container runtime, packet filter and kernel modules are the guest's (its bundle `node`). Nothing is pulled.

use std::path::Path;

use anyhow::{Context, Result};

use super::provision::DATA_DIR;
use crate::distribution::PROBE_IMAGE;
use crate::engine::Content;
use crate::engine::archive::{self, ImageConfig};
use crate::guest::{Control, Exec};
use crate::target::docker::{CNI, pods};

/// The guest's own static busybox, of its architecture, is what the probes run.
const BUSYBOX: &str = "/usr/bin/busybox";
const BUSYBOX_MOST: usize = 16 << 20;

/// Prepares the guest of a node whose pods have this subnet.
pub(super) async fn prepare(control: &Control, work: &Path, subnet: &str) -> Result<()> {
    let busybox = control
        .get(BUSYBOX, BUSYBOX_MOST)
        .await
        .context("failed to take the guest's busybox for the pods' image")?;
    let archive = work.join("probe.tar");
    let (folder, to) = (work.to_owned(), archive.clone());
    tokio::task::spawn_blocking(move || make_image(&folder, &busybox, &to))
        .await
        .context("failed to make the pods' image")??;
    let images = format!("{DATA_DIR}/agent/images");
    let made = Exec::new(&["mkdir", "-p", &images, "/etc/cni/net.d"]);
    let made = control.exec(&made).await?;
    anyhow::ensure!(
        made.exit.code == Some(0),
        "failed to make the node's folders in the guest; see its console"
    );
    let image = fs_err::read(&archive)?;
    control
        .put(&format!("{images}/probe.tar"), 0o644, &image)
        .await?;
    let cni = CNI.replace(&pods(0), subnet);
    control
        .put("/etc/cni/net.d/10-assay.conflist", 0o644, cni.as_bytes())
        .await?;
    control
        .put("/etc/hosts", 0o644, b"127.0.0.1 localhost assay\n")
        .await
}

fn make_image(work: &Path, busybox: &[u8], to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let program = work.join("probe-busybox");
    fs_err::write(&program, busybox)?;
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    let mut content = Content::bare();
    content.file("bin/busybox", &program);
    content.link("bin/sh", "busybox");
    let config = ImageConfig {
        reference: PROBE_IMAGE.to_owned(),
        architecture: "arm64".to_owned(),
        entrypoint: ["/bin/busybox", "sleep", "2147483647"]
            .map(str::to_owned)
            .to_vec(),
        labels: Vec::new(),
    };
    let layer = work.join("probe-layer");
    content.write(&layer)?;
    archive::write(&layer, &config, to)?;
    Ok(())
}
