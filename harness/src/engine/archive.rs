//! Image archives as `docker load`, `podman load` and `ctr images import` read them: one layer, one
//! configuration, one manifest (the format of `docker save`, "Docker Image Specification v1.2").
//!
//! Loading one needs no builder and no network, and its identity is its content: the image's id is the sum of
//! the configuration, which names the sum of the layer.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::tar::Tar;

/// What an image says of itself besides its files.
#[derive(Debug, Clone, Default)]
pub struct ImageConfig {
    /// Its name and tag, such as `assay/k3s:0badcafe`.
    pub reference: String,
    /// The architecture in the words of Go: `amd64`, `arm64`.
    pub architecture: String,
    /// What runs unless the container says otherwise.
    pub entrypoint: Vec<String>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// Writes an archive around a layer, which is a tar file. Returns the image's id, `sha256:…`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(layer: &Path, config: &ImageConfig, into: &Path) -> Result<String> {
    let mut layer = File::open(layer)
        .with_context(|| format!("failed to open the layer {}", layer.display()))?;
    let size = layer.metadata()?.len();
    let layer_sum = sum_of(&mut layer)?;
    layer.rewind()?;
    let configuration = configuration(config, &layer_sum);
    let id = hex(&Sha256::digest(&configuration));
    let manifest = json!([{
        "Config": format!("{id}.json"),
        "RepoTags": [config.reference],
        "Layers": [format!("{layer_sum}/layer.tar")],
    }]);
    let file = File::create(into)
        .with_context(|| format!("failed to make {}; free some disk", into.display()))?;
    let mut tar = Tar::new(BufWriter::new(file));
    let written = (|| {
        tar.folder(&layer_sum, 0o755)?;
        tar.stream(
            &format!("{layer_sum}/layer.tar"),
            0o644,
            size,
            BufReader::new(layer),
        )?;
        tar.file(&format!("{id}.json"), 0o644, &configuration)?;
        tar.file("manifest.json", 0o644, manifest.to_string().as_bytes())?;
        tar.finish()?.flush()
    })();
    written.with_context(|| format!("failed to write {}; free some disk", into.display()))?;
    Ok(format!("sha256:{id}"))
}

fn configuration(config: &ImageConfig, layer_sum: &str) -> Vec<u8> {
    let labels: serde_json::Map<_, _> = config
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    json!({
        "architecture": config.architecture,
        "os": "linux",
        // A fixed time: it is part of the id.
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": config.entrypoint,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": labels,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_sum}")]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "assay"}],
    })
    .to_string()
    .into_bytes()
}

fn sum_of(file: &mut File) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&sum.finalize()));
        }
        sum.update(&buffer[..count]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_content_s_and_every_part_is_named_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let (layer, archive) = (folder.path().join("layer"), folder.path().join("image.tar"));
        let mut tar = Tar::new(File::create(&layer).unwrap());
        tar.file("hello", 0o644, b"hello\n").unwrap();
        tar.finish().unwrap();
        let config = |label: &str| ImageConfig {
            reference: "assay/test:1".into(),
            architecture: "amd64".into(),
            entrypoint: vec!["/hello".into()],
            labels: vec![("dev.assay.run".into(), label.into())],
        };
        let id = write(&layer, &config("a"), &archive).unwrap();
        assert_eq!(write(&layer, &config("a"), &archive).unwrap(), id);
        assert_ne!(write(&layer, &config("b"), &archive).unwrap(), id);
        let id = write(&layer, &config("a"), &archive).unwrap();
        let unpacked = std::process::Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(unpacked.status.success(), "{unpacked:?}");
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("manifest.json")).unwrap())
                .unwrap();
        let name = manifest[0]["Config"].as_str().unwrap();
        let text = std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(format!("sha256:{}", hex(&Sha256::digest(&text))), id);
        let inner = folder
            .path()
            .join(manifest[0]["Layers"][0].as_str().unwrap());
        let configured: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let sum = sum_of(&mut File::open(inner).unwrap()).unwrap();
        assert_eq!(configured["rootfs"]["diff_ids"][0], format!("sha256:{sum}"));
        assert_eq!(configured["config"]["Labels"]["dev.assay.run"], "a");
    }
}
