//! Where releases come from: an http(s) base URL or a local folder, both laid out as `<tag>/<asset>`.

use std::fmt;
use std::path::PathBuf;

use reqwest::Url;

use super::error::ArtifactError;

/// A source of releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// The part of the address before `/<tag>/<asset>`.
    Url(Url),
    /// A folder with one folder a tag.
    Folder(PathBuf),
}

/// One exact place where an asset may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Url(Url),
    File(PathBuf),
}

impl Mirror {
    /// The mirror that is used when none is given.
    pub fn official() -> Self {
        let base = &fixtures::artifacts::k3s().base_url;
        Self::Url(Url::parse(base).expect("a test parses the pinned address"))
    }

    /// Reads the value of `--release-mirror`.
    ///
    /// # Errors
    /// When it is neither an http(s) URL nor an existing folder.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        let bad = |why: &str| {
            ArtifactError::BadRequest(format!(
                "use the release mirror {text:?}: {why}; give an http(s) URL or a folder that holds <tag>/<asset>"
            ))
        };
        if text.contains("://") {
            let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
            return match url.scheme() {
                "http" | "https" if url.query().is_none() && url.fragment().is_none() => {
                    Ok(Self::Url(url))
                }
                "http" | "https" => Err(bad("it carries a query or a fragment")),
                "file" => url
                    .to_file_path()
                    .map_err(|()| bad("it names no local path"))
                    .and_then(|path| Self::folder(path, bad)),
                _ => Err(bad("its scheme is not known")),
            };
        }
        Self::folder(PathBuf::from(text), bad)
    }

    fn folder(path: PathBuf, bad: impl Fn(&str) -> ArtifactError) -> Result<Self, ArtifactError> {
        match fs_err::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                Ok(Self::Folder(std::path::absolute(&path).unwrap_or(path)))
            }
            Ok(_) => Err(bad("it is not a folder")),
            Err(error) => Err(bad(&error.to_string())),
        }
    }

    /// Where an asset may be, in the order to try. The plus of a tag is kept raw, as K3s's own installer does
    /// it, and else written `%2B`, since some servers and download tools store it that way.
    pub(super) fn places(&self, tag: &str, asset: &str) -> Vec<Place> {
        let spellings = [tag.to_owned(), tag.replace('+', "%2B")];
        match self {
            Self::Folder(base) => spellings
                .iter()
                .map(|tag| Place::File(base.join(tag).join(asset)))
                .collect(),
            Self::Url(base) => {
                let base = base.as_str().trim_end_matches('/');
                let urls = spellings
                    .iter()
                    .filter_map(|tag| Url::parse(&format!("{base}/{tag}/{asset}")).ok());
                urls.map(Place::Url).collect()
            }
        }
    }

    /// Whether using it needs a network.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Url(_))
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_secrets(url)),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&without_secrets(url)),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A private mirror's address may carry a password, which has no business in a log.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        let _ = url.set_password(Some("..."));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_mirror_follows_the_release_layout() {
        let places = Mirror::official().places("v1.36.3+k3s1", "k3s-arm64");
        let shown: Vec<_> = places.iter().map(ToString::to_string).collect();
        assert!(
            shown[0].ends_with("/releases/download/v1.36.3+k3s1/k3s-arm64"),
            "{shown:?}"
        );
        assert!(
            shown[1].ends_with("/releases/download/v1.36.3%2Bk3s1/k3s-arm64"),
            "{shown:?}"
        );
    }

    #[test]
    fn takes_urls_and_folders() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().to_str().expect("UTF-8");
        assert_eq!(
            Mirror::parse(path).expect("folder"),
            Mirror::Folder(folder.path().to_owned())
        );
        assert_eq!(
            Mirror::parse(&format!("file://{path}")).expect("file URL"),
            Mirror::Folder(folder.path().to_owned())
        );
        let url = Mirror::parse("http://mirror.example/k3s/").expect("URL");
        assert_eq!(
            url.places("v1+k3s1", "k3s")[0].to_string(),
            "http://mirror.example/k3s/v1+k3s1/k3s"
        );
        for bad in [
            "/does/not/exist",
            "ftp://mirror.example",
            "http://",
            "http://m/?q",
            "/etc/hostname",
        ] {
            assert_eq!(Mirror::parse(bad).expect_err(bad).exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let mirror = Mirror::parse("https://me:hunter2@mirror.example/k3s").expect("URL");
        let place = &mirror.places("v1+k3s1", "k3s")[0];
        assert!(!format!("{mirror} {place}").contains("hunter2"));
    }
}
