//! SHA-256 sums: of files, and out of `sha256sum` listings.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// The SHA-256 of a file, in lower-case hex. Runs on the blocking pool: a K3s binary is some 80 MB.
///
/// # Errors
/// When the file cannot be read.
pub(super) async fn of_file(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || sum(fs_err::File::open(path)?))
        .await
        .map_err(io::Error::other)?
}

fn sum(mut from: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => hasher.update(&buffer[..got]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Finds the sum of `name` in a `sha256sum` listing. The whole name is compared, because `k3s` is the
/// beginning of every other entry.
pub(super) fn find(listing: &str, name: &str) -> Option<String> {
    listing.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (sum, file) = (fields.next()?, fields.next()?);
        // sha256sum marks files that it read in binary mode with an asterisk.
        let file = file.strip_prefix('*').unwrap_or(file);
        (file == name && fields.next().is_none())
            .then(|| parse(sum))
            .flatten()
    })
}

/// Reads a sum: 64 hex digits.
pub(super) fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_test_vector() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sum(&b"abc"[..]).expect("in memory"), expected);
    }

    #[test]
    fn compares_whole_names() {
        let sums: Vec<String> = (0..4).map(|n| n.to_string().repeat(64)).collect();
        let listing = format!(
            "{}  k3s-airgap-images-amd64.tar\n{}  k3s-images.txt\n{}  k3s\n{} *k3s-arm64\n",
            sums[0], sums[1], sums[2], sums[3]
        );
        assert_eq!(find(&listing, "k3s").as_ref(), Some(&sums[2]));
        assert_eq!(find(&listing, "k3s-arm64").as_ref(), Some(&sums[3]));
        assert_eq!(find(&listing, "k3s-armhf"), None);
        assert_eq!(find("<html>not found</html>\nabc  k3s\n", "k3s"), None);
    }
}
