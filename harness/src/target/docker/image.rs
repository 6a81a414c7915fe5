//! The cell's image, built or given, and what the page cache knows of it.
//!
//! A program's pages are charged to the cgroup that touches them first. An engine that has just written a layer has
//! touched them, and so has every cell that ran the same image before: some 120 MiB of K3s would be missing in a cell's
//! usage and peak. So they are dropped before the start, as on `native`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::parts::{binaries_of, furnished};
use crate::cell::Cell;
use crate::engine::{self, Engine, Held};
use crate::scope::Resource;
use crate::target::native::{Holdings, forget_cached};

/// An image that the engine has.
pub(super) struct ServerFiles {
    /// Its name.
    pub name: String,
    /// For the record: who made it, and its id.
    pub origin: String,
    /// Where the binaries are in it.
    pub binaries: BTreeMap<&'static str, PathBuf>,
    /// Files of this host that are to lie over those of the image, and where.
    pub fresh: Vec<(PathBuf, String)>,
    /// Whether the binaries' pages were dropped.
    pub cold: bool,
}

/// Builds the cell's image.
pub(super) async fn build(
    engine: &Engine,
    cell: &Cell,
    image: &Held,
    holdings: &mut Holdings,
) -> Result<ServerFiles> {
    let (content, binaries) = tokio::task::spawn_blocking({
        let cell = cell.clone();
        move || furnished(&cell)
    })
    .await
    .context("failed to pack an image")??;
    let packed = engine::pack(image, content, &cell.work).await?;
    // Only now: a sweep waits for an image that may be on its way.
    holdings.enter(Resource::Engine(image.clone()))?;
    let id = engine::load(engine, image, packed).await?;
    let fresh = if forget(engine, &image.name, &binaries).await {
        Vec::new()
    } else {
        let cell = cell.clone();
        let inside = binaries.clone();
        tokio::task::spawn_blocking(move || copies(&cell, &inside))
            .await
            .context("failed to copy the binaries")??
    };
    Ok(ServerFiles {
        name: image.name.clone(),
        origin: format!("built by assay, {id}"),
        binaries,
        fresh,
        cold: true,
    })
}

/// Takes an image that the user named.
pub(super) async fn given(engine: &Engine, name: &str, cell: &Cell) -> Result<ServerFiles> {
    let id = engine::have(engine, name).await?;
    let binaries = binaries_of(cell);
    let cold = forget(engine, name, &binaries).await;
    Ok(ServerFiles {
        name: name.to_owned(),
        origin: format!("{name}, {id}"),
        binaries,
        fresh: Vec::new(),
        cold,
    })
}

/// Drops the binaries' pages from the page cache. `false`: the engine does not tell where its topmost layer lies
/// (overlay2 does), the binaries are in another, or this user may not look.
async fn forget(engine: &Engine, image: &str, binaries: &BTreeMap<&str, PathBuf>) -> bool {
    let Ok(found) = engine.docker.inspect_image(image).await else {
        return false;
    };
    let layer = found
        .graph_driver
        .and_then(|driver| driver.data.get("UpperDir").map(PathBuf::from));
    let Some(layer) = layer else {
        return false;
    };
    binaries.values().all(|path| {
        let program = layer.join(path.strip_prefix("/").unwrap_or(path));
        let seen =
            File::open(&program).is_ok_and(|file| file.metadata().is_ok_and(|m| m.is_file()));
        forget_cached(&program);
        seen
    })
}

/// Copies of the binaries that are this user's, so that their pages can be dropped, to be mounted over the image's.
fn copies(cell: &Cell, inside: &BTreeMap<&'static str, PathBuf>) -> Result<Vec<(PathBuf, String)>> {
    let folder = cell.work.join("bin");
    fs_err::create_dir_all(&folder)?;
    let copy = |(name, path): (&&'static str, &PathBuf)| {
        let source: &Path = cell
            .binaries
            .get(name)
            .with_context(|| format!("failed to copy {name}: it was not found"))?;
        let to = folder.join(name);
        fs_err::copy(source, &to)?;
        forget_cached(&to);
        Ok((to, path.display().to_string()))
    };
    inside.iter().map(copy).collect()
}
