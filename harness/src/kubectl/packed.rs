//! Whether a K3s holds kubectl itself, or would have to unpack itself first.
//!
//! A released K3s is a small program around a compressed archive: called as kubectl it unpacks that under
//! `/var/lib/rancher/k3s/data` and points `current` there, which may be another K3s's own (k3s `cmd/k3s/main.go`). assay
//! changes nothing of that kind on a host. What it unpacks, and a K3s that was built without the archive, hold kubectl's code
//! as it is, and with it the names of its packages.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The name of a package of kubectl, as Go's tables of functions hold it.
const MARK: &[u8] = b"k8s.io/kubectl/pkg/cmd";
/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// Whether the file holds kubectl's code. One that cannot be read does not.
pub(super) fn holds_kubectl(program: &Path) -> bool {
    let find = memchr::memmem::Finder::new(MARK);
    let Ok(mut file) = File::open(program) else {
        return false;
    };
    // Each look begins with the end of the last one, so that a mark across the border is seen.
    let mut chunk = Vec::with_capacity(CHUNK + MARK.len());
    loop {
        let kept = chunk.len().min(MARK.len() - 1);
        chunk.drain(..chunk.len() - kept);
        match file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(_) if find.find(&chunk).is_some() => return true,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_across_a_border_and_only_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let mut across = vec![0; CHUNK - 5];
        across.extend_from_slice(MARK);
        assert!(holds_kubectl(&file("across", &across)));
        assert!(!holds_kubectl(&file("packed", &vec![7; 2 * CHUNK])));
        assert!(!holds_kubectl(&folder.path().join("absent")));
    }
}
