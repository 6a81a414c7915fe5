//! Empty qcow2 overlays, so that a cached image stays untouched. Written here, for `qemu-img` is a package of its
//! own that hosts with an emulator need not have. Format: QEMU's `docs/interop/qcow2.txt`, version 3.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::command::DiskFormat;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// What one entry of the first-level table spans: a cluster of 8-byte entries, each a cluster of data.
const SPAN: u64 = CLUSTER / 8 * CLUSTER;
const BACKING_FORMAT: u32 = 0xe279_2aca;
const HEADER: u32 = 104;

/// Makes an overlay of a disk image that must never change from then on. Fails when the file exists.
///
/// # Errors
/// When the image cannot be read, is larger than 4 TiB, or the overlay cannot be written.
pub fn make_overlay(overlay: &Path, image: &Path, format: DiskFormat) -> Result<()> {
    let image = fs_err::canonicalize(image)?;
    let size = match format {
        DiskFormat::Raw => fs_err::metadata(&image)?.len(),
        DiskFormat::Qcow2 => virtual_size(&image)?,
    };
    let bytes = overlay_bytes(&image, format, size)?;
    let mut file = fs_err::File::options()
        .write(true)
        .create_new(true)
        .open(overlay)?;
    file.write_all(&bytes).with_context(|| {
        format!(
            "failed to write the disk overlay {}; free some disk",
            overlay.display()
        )
    })
}

/// The size that a guest sees, bytes.
fn virtual_size(image: &Path) -> Result<u64> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(image)
        .with_context(|| format!("failed to open the disk {}", image.display()))?;
    let mut head = [0; 32];
    file.read_exact_at(&mut head, 0)
        .with_context(|| format!("failed to read the disk {}", image.display()))?;
    ensure!(
        head.starts_with(b"QFI\xfb"),
        "failed to read the disk {}: it is not in the format qcow2",
        image.display()
    );
    let mut size = [0; 8];
    size.copy_from_slice(&head[24..32]);
    Ok(u64::from_be_bytes(size))
}

/// Header, refcount table, refcount block and an empty first-level table, one cluster each.
fn overlay_bytes(image: &Path, format: DiskFormat, size: u64) -> Result<Vec<u8>> {
    let name = image.as_os_str().as_bytes();
    ensure!(
        name.len() <= 1023,
        "failed to make an overlay of {}: qcow2 holds paths of 1023 bytes at most",
        image.display()
    );
    let entries = size.div_ceil(SPAN);
    ensure!(
        entries <= CLUSTER / 8,
        "failed to make an overlay of {}: it is larger than 4 TiB",
        image.display()
    );
    let format = match format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    let extension = 8 + format.len().next_multiple_of(8);
    let name_at = u64::from(HEADER) + extension as u64 + 8;
    let mut out = Vec::with_capacity(4 * CLUSTER as usize);
    out.extend(b"QFI\xfb");
    out.extend(3_u32.to_be_bytes());
    out.extend(name_at.to_be_bytes());
    out.extend(u32::try_from(name.len())?.to_be_bytes());
    out.extend(CLUSTER_BITS.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend(0_u32.to_be_bytes()); // no encryption
    out.extend(u32::try_from(entries)?.to_be_bytes());
    out.extend((3 * CLUSTER).to_be_bytes()); // first-level table
    out.extend(CLUSTER.to_be_bytes()); // refcount table
    out.extend(1_u32.to_be_bytes()); // of one cluster
    out.extend(0_u32.to_be_bytes()); // no snapshots
    out.extend(0_u64.to_be_bytes());
    out.extend([0; 24]); // feature bits
    out.extend(4_u32.to_be_bytes()); // 16-bit refcounts
    out.extend(HEADER.to_be_bytes());
    out.extend(BACKING_FORMAT.to_be_bytes());
    out.extend(u32::try_from(format.len())?.to_be_bytes());
    out.extend(format.as_bytes());
    out.resize(HEADER as usize + extension, 0);
    out.extend([0; 8]); // end of the extensions
    out.extend(name);
    out.resize(CLUSTER as usize, 0);
    out.extend((2 * CLUSTER).to_be_bytes());
    out.resize(2 * CLUSTER as usize, 0);
    for _ in 0..4 {
        out.extend(1_u16.to_be_bytes()); // each of the four clusters is used once
    }
    out.resize(4 * CLUSTER as usize, 0);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_names_its_image_and_takes_over_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::File::create(at("root"))
            .unwrap()
            .set_len(700 << 20)
            .unwrap();
        make_overlay(&at("one"), &at("root"), DiskFormat::Raw).unwrap();
        assert_eq!(virtual_size(&at("one")).unwrap(), 700 << 20);
        make_overlay(&at("two"), &at("one"), DiskFormat::Qcow2).unwrap();
        assert_eq!(virtual_size(&at("two")).unwrap(), 700 << 20);
        let bytes = std::fs::read(at("two")).unwrap();
        assert_eq!(bytes.len() as u64, 4 * CLUSTER);
        let name = at("one").canonicalize().unwrap();
        let text = String::from_utf8_lossy(&bytes[..1024]).into_owned();
        assert!(text.contains(name.to_str().unwrap()) && text.contains("qcow2"));
        make_overlay(&at("two"), &at("one"), DiskFormat::Qcow2).unwrap_err();
        virtual_size(&at("root")).unwrap_err();
    }
}
