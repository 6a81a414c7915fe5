//! What a cell's container is made of on this host: its folders, and the content of its image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::node;
use crate::cell::{Cell, Shape};
use crate::engine::Content;
use crate::scope::Scope;
use crate::target::common::make_work_folder;
use crate::target::native::Holdings;

pub(super) fn make_folders(cell: &Cell, scope: &Scope, holdings: &mut Holdings) -> Result<PathBuf> {
    make_work_folder(cell, scope, holdings)?;
    let data_dir = data_folder(&cell.work);
    fs_err::create_dir_all(&data_dir).context("failed to make the work folder; free some disk")?;
    Ok(data_dir)
}

/// Everything that may block: the image's content, and the server's place.
pub(super) fn furnished(cell: &Cell) -> Result<(Content, BTreeMap<&'static str, PathBuf>)> {
    let (mut content, binaries) = content(cell)?;
    if cell.shape == Shape::Node {
        node::furnish(&mut content)?;
    }
    furnish_place(&cell.work, cell.shape)?;
    Ok((content, binaries))
}

/// The folder of a server or of an agent: makes its data folder, and for a node its pods' image and the folders behind
/// its volumes. Blocks.
pub(super) fn furnish_place(place: &Path, shape: Shape) -> Result<PathBuf> {
    let data = data_folder(place);
    fs_err::create_dir_all(&data).context("failed to make a data folder; free some disk")?;
    if shape == Shape::Node {
        node::side_load(&data)?;
        node::make_volumes(place)?;
    }
    Ok(data)
}

fn data_folder(place: &Path) -> PathBuf {
    place.join("data")
}

pub(super) fn volumes(place: &Path, shape: Shape) -> Vec<(PathBuf, String)> {
    match shape {
        Shape::ControlPlane | Shape::ApiServer => Vec::new(),
        Shape::Node => node::VOLUMES
            .iter()
            .map(|(name, inside)| (place.join(name), (*inside).to_owned()))
            .collect(),
    }
}

/// What a cell needs of its distribution's artifacts, and where it is in every image: `/bin`.
pub(super) fn binaries_of(cell: &Cell) -> BTreeMap<&'static str, PathBuf> {
    cell.distribution
        .artifacts()
        .iter()
        .filter(|need| need.applies(cell.datastore, cell.shape))
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
