//! Downloading K3s into the cache, and the `fetch` command.

use std::io::Write;

use super::args::FetchArgs;
use super::binary;
use super::checksum;
use super::download::Download;
use super::entry::Held;
use super::error::ArtifactError;
use super::http;
use super::k3s::{K3sRequest, in_cache};
use super::progress::{self, Progress};
use super::release;
use super::resolved::{Origin, Resolved};

/// Makes sure that the cache holds the requested release, whatever else is on this machine.
///
/// # Errors
/// When it cannot be downloaded, verified or stored.
pub async fn fetch_k3s(
    request: &K3sRequest,
    progress: &dyn Progress,
) -> Result<Resolved, ArtifactError> {
    if let Some(found) = in_cache(request, progress).await {
        return Ok(found);
    }
    if !request.may_download() {
        let why = "--offline forbids a download".to_owned();
        let next = "drop --offline, or give a local folder as --release-mirror".to_owned();
        return Err(ArtifactError::NotFound {
            what: request.what(),
            why,
            next,
        });
    }
    download_k3s(request, progress).await
}

/// Downloads, verifies and commits the requested release.
pub(super) async fn download_k3s(
    request: &K3sRequest,
    progress: &dyn Progress,
) -> Result<Resolved, ArtifactError> {
    let entry = request.entry();
    let version = request.wanted_version().to_owned();
    let _lock = entry.lock(request.patience.lock, progress).await?;
    // Under the lock, since another process may have replaced the entry while this one waited.
    match entry.held(request.pin()).await {
        Ok(Held::Good { sha256 }) if binary::examine(&entry.path(), request.arch).is_ok() => {
            return Ok(Resolved {
                path: entry.path(),
                origin: Origin::Cache,
                sha256,
                version,
            });
        }
        Ok(Held::Nothing) => {}
        Ok(Held::Wrong { .. }) => {
            progress.warn(&format!(
                "removing {}, whose checksum is wrong",
                entry.path().display()
            ));
            entry.remove()?;
        }
        // Whatever it is, the verified download replaces it.
        Ok(Held::Good { .. } | Held::Unknown) | Err(_) => {}
    }
    let asset = release::binary_name(request.arch);
    let sha256 = match request.pin() {
        Some(pin) => pin.to_owned(),
        None => published_sum(request, asset).await?,
    };
    let places = request.mirror.places(&version, asset);
    let download = Download {
        places: &places,
        entry: &entry,
        what: &request.what(),
        sha256: &sha256,
        patience: &request.patience,
        progress,
    };
    download.run().await?;
    let path = entry.commit(&sha256)?;
    // The sum proves that the file is what the mirror publishes, not that the mirror publishes a program.
    if let Err(problem) = binary::examine(&path, request.arch) {
        let _ = entry.remove();
        let reason = format!("what it publishes is unfit: {problem}");
        return Err(ArtifactError::BadAnswer {
            place: request.mirror.to_string(),
            reason,
        });
    }
    Ok(Resolved {
        path,
        origin: Origin::Downloaded,
        sha256,
        version,
    })
}

/// The sum that a release publishes for one of its files.
async fn published_sum(request: &K3sRequest, asset: &str) -> Result<String, ArtifactError> {
    let listing = release::sums_name(request.arch);
    let places = request.mirror.places(request.wanted_version(), &listing);
    let place = places.first().map(ToString::to_string).unwrap_or_default();
    let missing = |reason: &str| ArtifactError::NoChecksum {
        asset: request.what(),
        place: place.clone(),
        reason: reason.to_owned(),
    };
    match http::text(&places, &request.patience).await? {
        Some(text) => checksum::find(&text, asset).ok_or_else(|| missing("does not list it")),
        // With neither sums nor binary it is the version that is wrong, which is the more useful thing to say.
        None => {
            let binaries = request.mirror.places(request.wanted_version(), asset);
            match http::look(&binaries, &request.patience).await {
                Ok(()) => Err(missing("does not exist")),
                Err(_) => Err(ArtifactError::NoSuchVersion {
                    place: binaries
                        .first()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                }),
            }
        }
    }
}

/// Runs `assay fetch`: what it fetched goes to standard error in words, its path to standard output.
///
/// # Errors
/// When it cannot be had, or standard output is closed.
pub async fn run_fetch(args: &FetchArgs) -> anyhow::Result<()> {
    let request = args.request()?;
    let progress = progress::on_stderr();
    let found = fetch_k3s(&request, progress.as_ref()).await?;
    let how = match found.origin {
        Origin::Downloaded => "downloaded and verified",
        _ => "already in the cache, verified",
    };
    progress.note(&format!(
        "{}: {how}, SHA-256 {}",
        request.what(),
        found.sha256
    ));
    writeln!(std::io::stdout(), "{}", found.path.display())?;
    Ok(())
}
