//! What a cell's container is made of on this host: its folders, and the content of its image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::node;
use crate::cell::{Cell, Shape};
use crate::engine::Content;
use crate::scope::{Resource, Scope};
use crate::target::native::Holdings;

pub(super) fn make_folders(cell: &Cell, scope: &Scope, holdings: &mut Holdings) -> Result<PathBuf> {
    ensure!(
        cell.work.starts_with(scope.work()) && cell.work != scope.work(),
        "failed to use the work folder {}: it must lie beneath {}",
        cell.work.display(),
        scope.work().display()
    );
    holdings.enter(Resource::Folder {
        path: cell.work.clone(),
    })?;
    let data_dir = data_folder(cell);
    fs_err::create_dir_all(&data_dir).context("failed to make the work folder; free some disk")?;
    Ok(data_dir)
}

/// Everything that may block: the image's content, and for a node its pods' image and its folders.
pub(super) fn furnished(cell: &Cell) -> Result<(Content, BTreeMap<&'static str, PathBuf>)> {
    let (mut content, binaries) = content(cell)?;
    if cell.shape == Shape::Node {
        node::furnish(&mut content)?;
        node::side_load(&data_folder(cell))?;
        node::make_volumes(&cell.work)?;
    }
    Ok((content, binaries))
}

fn data_folder(cell: &Cell) -> PathBuf {
    cell.work.join("data")
}

pub(super) fn volumes(cell: &Cell) -> Vec<(PathBuf, String)> {
    match cell.shape {
        Shape::ControlPlane => Vec::new(),
        Shape::Node => node::VOLUMES
            .iter()
            .map(|(name, inside)| (cell.work.join(name), (*inside).to_owned()))
            .collect(),
    }
}

/// What a cell needs of its distribution's artifacts, and where it is in every image: `/bin`.
pub(super) fn binaries_of(cell: &Cell) -> BTreeMap<&'static str, PathBuf> {
    cell.distribution
        .artifacts()
        .iter()
        .filter(|need| need.only_for.is_none_or(|only| only == cell.datastore))
        .map(|need| (need.name, Path::new("/bin").join(need.name)))
        .collect()
}

/// The image's content, and the paths of the binaries in it.
fn content(cell: &Cell) -> Result<(Content, BTreeMap<&'static str, PathBuf>)> {
    let mut content = Content::base();
    let inside = binaries_of(cell);
    for name in inside.keys() {
        let program = cell
            .binaries
            .get(name)
            .with_context(|| format!("failed to pack an image: {name} was not found"))?;
        content.program(&format!("bin/{name}"), program)?;
    }
    Ok((content, inside))
}
