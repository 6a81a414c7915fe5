//! Loop devices: an image file that the kernel serves as a disk.
//!
//! They are attached with "autoclear", so the last unmount detaches them, also when everybody was killed: the mounts
//! live in a mount namespace that goes with its last process. What is here waits for that, and helps where it did not
//! happen.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The kernel detaches a device a moment after its unmount; nothing notifies of it.
const BY_ITSELF_WITHIN: Duration = Duration::from_secs(3);
const DETACHED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until no device serves this image, detaching those that still do. `Ok(false)`: none did.
pub(super) fn detach(work: &Path, image: &Path) -> Result<bool, String> {
    let ours = image.starts_with(work) && image != work;
    if !ours {
        return Err(format!(
            "{} is not beneath {}, so it is not assay's; detach it by hand if it is yours",
            image.display(),
            work.display()
        ));
    }
    let begun = Instant::now();
    let (mut seen, mut asked) = (false, false);
    loop {
        let serving = serving(Path::new("/sys/block"), image);
        if serving.is_empty() {
            return Ok(seen);
        }
        seen = true;
        if begun.elapsed() >= DETACHED_WITHIN {
            let names: Vec<_> = serving.iter().map(|d| d.display().to_string()).collect();
            return Err(format!(
                "{} still serves it; end what uses it and run `assay sweep` again",
                names.join(", ")
            ));
        }
        if begun.elapsed() >= BY_ITSELF_WITHIN && !asked {
            asked = true;
            for device in &serving {
                // Its failure shows in the next look.
                let _ = Command::new("losetup").arg("-d").arg(device).output();
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The devices that serve an image. A file that was removed meanwhile is shown with a mark behind its name.
fn serving(block: &Path, image: &Path) -> Vec<PathBuf> {
    let image = image.to_string_lossy();
    let serves = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("loop/backing_file")).ok()?;
        let name = text.trim_end_matches('\n');
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        (name == image).then_some(())
    };
    std::fs::read_dir(block)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("loop"))
        .filter(|entry| serves(&entry.path()).is_some())
        .map(|entry| Path::new("/dev").join(entry.file_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_of_the_very_image_are_found_and_foreign_ones_never_touched() {
        let sys = tempfile::tempdir().unwrap();
        for (device, backing) in [
            ("loop0", "/cells/a/disk.img"),
            ("loop1", "/cells/a/disk.img (deleted)"),
            ("loop2", "/cells/a/disk.img2"),
            ("sda", "/cells/a/disk.img"),
        ] {
            let folder = sys.path().join(device).join("loop");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("backing_file"), format!("{backing}\n")).unwrap();
        }
        std::fs::create_dir_all(sys.path().join("loop3")).unwrap();
        let mut found = serving(sys.path(), Path::new("/cells/a/disk.img"));
        found.sort();
        assert_eq!(
            found,
            [PathBuf::from("/dev/loop0"), PathBuf::from("/dev/loop1")]
        );
        let work = Path::new("/cells");
        assert!(detach(work, Path::new("/etc/disk.img")).is_err());
        assert_eq!(detach(work, Path::new("/cells/none.img")), Ok(false));
    }
}
