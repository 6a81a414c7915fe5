//! The layout of a K3s release: tags and asset names (k3s-io/k3s install.sh and scripts/package-cli).

use fixtures::artifacts::Arch;

use super::error::ArtifactError;

/// The name of the binary for one machine within a release.
pub(super) fn binary_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "k3s",
        Arch::Arm64 => "k3s-arm64",
        Arch::Arm => "k3s-armhf",
    }
}

/// The name of the checksum file for one machine. For 32-bit ARM it says `arm`, not `armhf`.
pub(super) fn sums_name(arch: Arch) -> String {
    format!("sha256sum-{arch}.txt")
}

/// Checks that a version is a K3s release tag. It becomes a path component, so this also keeps the cache
/// within its folder.
///
/// # Errors
/// When it is none, with the nearest well-formed tag where there is one.
pub fn check_version(text: &str) -> Result<String, ArtifactError> {
    if is_tag(text) {
        return Ok(text.to_owned());
    }
    let bare = text.trim();
    // Container image tags carry a dash in place of the plus, and people leave out the v.
    let guesses = [
        format!("v{bare}"),
        bare.replace("-k3s", "+k3s"),
        format!("v{}", bare.replace("-k3s", "+k3s")),
        format!("{bare}+k3s1"),
        format!("v{bare}+k3s1"),
    ];
    let hint = match guesses.iter().find(|guess| is_tag(guess)) {
        Some(guess) => format!("did you mean {guess}?"),
        None => "give a release tag such as v1.36.3+k3s1".to_owned(),
    };
    Err(ArtifactError::BadRequest(format!(
        "read the K3s version {text:?}: it is no release tag; {hint}"
    )))
}

/// `v1.36.3+k3s1` or `v1.36.2-rc1+k3s1`.
fn is_tag(text: &str) -> bool {
    let number = |text: &str| {
        !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some((release, respin)) = text
        .strip_prefix('v')
        .and_then(|rest| rest.split_once("+k3s"))
    else {
        return false;
    };
    let (release, candidate) = match release.split_once("-rc") {
        Some((release, candidate)) => (release, number(candidate)),
        None => (release, true),
    };
    candidate && number(respin) && release.split('.').count() == 3 && release.split('.').all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_release_tags() {
        for tag in [
            "v1.36.3+k3s1",
            "v1.21.6+k3s1",
            "v1.36.2-rc1+k3s1",
            "v1.20.0+k3s2",
        ] {
            assert_eq!(check_version(tag).expect(tag), tag);
        }
    }

    #[test]
    fn refuses_everything_else_and_guesses_what_was_meant() {
        for (text, guess) in [
            ("1.36.3+k3s1", "did you mean v1.36.3+k3s1?"),
            ("v1.36.3-k3s1", "did you mean v1.36.3+k3s1?"),
            ("1.36.3-k3s1", "did you mean v1.36.3+k3s1?"),
            ("v1.36.3", "did you mean v1.36.3+k3s1?"),
            ("1.36.3", "did you mean v1.36.3+k3s1?"),
            ("latest", "such as"),
            ("", "such as"),
            ("../../etc", "such as"),
            ("v1.36.3+k3s1/../..", "such as"),
            ("v1.36+k3s1", "such as"),
        ] {
            let error = check_version(text).expect_err(text);
            assert!(error.to_string().contains(guess), "{text:?}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
