//! Getting a file from a mirror into a cache entry's partial file: resumed where possible, verified always.

use std::io;
use std::path::Path;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE};
use reqwest::{Response, StatusCode, Url};
use tokio::io::AsyncReadExt;

use super::checksum;
use super::entry::{Entry, ResumeNote};
use super::error::ArtifactError;
use super::http::{self, network_reason};
use super::mirror::Place;
use super::patience::Patience;
use super::progress::Progress;
use super::sink::{LONGEST, Sink};

/// One download: where from, where to, and what must arrive.
pub(super) struct Download<'a> {
    /// Where the file may be, in the order to try; all spellings of one address.
    pub places: &'a [Place],
    /// Where it goes. The caller holds its lock.
    pub entry: &'a Entry,
    /// What people call it.
    pub what: &'a str,
    /// The sum that it must have.
    pub sha256: &'a str,
    /// How long things may take.
    pub patience: &'a Patience,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// How a transfer ended, if not with an error.
enum Transferred {
    /// The partial file is complete; whether its beginning is from an earlier attempt.
    Whole { resumed: bool },
    /// There is no such file at this place.
    Missing,
    /// What was there before does not fit what the server has now; it has been discarded.
    StartOver,
}

impl Download<'_> {
    /// Fills the partial file and verifies it. Nothing gets its final name here.
    ///
    /// # Errors
    /// When it cannot be had whole and right. An interrupted transfer leaves its partial file for next time;
    /// a file with a wrong sum is removed.
    pub(super) async fn run(&self) -> Result<(), ArtifactError> {
        let (mut resumes, mut may_restart) = (0, true);
        loop {
            let before = self.entry.partial_state().0;
            match self.attempt().await {
                Ok((place, resumed)) => {
                    let path = self.entry.partial();
                    let sum = checksum::of_file(&path).await;
                    let got = sum.map_err(|error| ArtifactError::cache(&path, error))?;
                    if got == self.sha256 {
                        return Ok(());
                    }
                    self.entry.discard_partial();
                    if !(resumed && may_restart) {
                        let (place, expected) = (place.to_string(), self.sha256.to_owned());
                        return Err(ArtifactError::WrongSum {
                            place,
                            expected,
                            got,
                        });
                    }
                    // The older half may be what is wrong: once, everything is fetched anew.
                    may_restart = false;
                    self.progress.warn(&format!(
                        "the resumed download of {} has a wrong sum; starting over",
                        self.what
                    ));
                }
                Err(error)
                    if error.is_interruption()
                        && resumes < self.patience.resumes
                        && self.entry.partial_state().0 > before =>
                {
                    resumes += 1;
                    self.progress.note(&format!(
                        "the download of {} was interrupted; resuming",
                        self.what
                    ));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(&self) -> Result<(&Place, bool), ArtifactError> {
        for place in self.places {
            let mut transferred = self.transfer(place).await?;
            if matches!(transferred, Transferred::StartOver) {
                transferred = self.transfer(place).await?;
            }
            match transferred {
                Transferred::Whole { resumed } => return Ok((place, resumed)),
                Transferred::Missing => {}
                // Without a partial file there is nothing that could not fit, so the server contradicts itself.
                Transferred::StartOver => {
                    let reason = "it answers a plain request with a part of the file".into();
                    return Err(ArtifactError::BadAnswer {
                        place: place.to_string(),
                        reason,
                    });
                }
            }
        }
        let place = self
            .places
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        Err(ArtifactError::NoSuchVersion { place })
    }

    async fn transfer(&self, place: &Place) -> Result<Transferred, ArtifactError> {
        match place {
            Place::File(path) => self.copy(path).await,
            Place::Url(url) => self.get(place, url).await,
        }
    }

    async fn copy(&self, from: &Path) -> Result<Transferred, ArtifactError> {
        let bad = |error: io::Error| ArtifactError::BadAnswer {
            place: from.display().to_string(),
            reason: error.to_string(),
        };
        let mut file = match tokio::fs::File::open(from).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Transferred::Missing);
            }
            Err(error) => return Err(bad(error)),
        };
        let metadata = file.metadata().await.map_err(bad)?;
        if !metadata.is_file() {
            return Err(bad(io::ErrorKind::IsADirectory.into()));
        }
        let mut sink = Sink::open(
            self.entry,
            self.what,
            0,
            Some(metadata.len()),
            self.progress,
        )
        .await?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let got = file.read(&mut buffer).await.map_err(bad)?;
            if got == 0 {
                sink.flush().await?;
                return Ok(Transferred::Whole { resumed: false });
            }
            sink.write(&buffer[..got]).await?;
        }
    }

    async fn get(&self, place: &Place, url: &Url) -> Result<Transferred, ArtifactError> {
        let (have, note) = self.entry.partial_state();
        // A partial file from elsewhere (or one whose note was never written) is overwritten once bytes come,
        // not before: the other spelling of this address may be where it is from.
        let have = if note.from == place.to_string() {
            have
        } else {
            0
        };
        let mut request = http::client(url, self.patience)?.get(url.clone());
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &note.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| ArtifactError::Unreachable {
            place: place.to_string(),
            reason: network_reason(&error),
        })?;
        let resumed = match response.status() {
            StatusCode::OK => false,
            StatusCode::PARTIAL_CONTENT if have > 0 && self.continues(&response, have, &note) => {
                true
            }
            StatusCode::PARTIAL_CONTENT => {
                self.entry.discard_partial();
                return Ok(Transferred::StartOver);
            }
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
                if range_total(response.headers()) == Some(have) {
                    return Ok(Transferred::Whole { resumed: true });
                }
                self.entry.discard_partial();
                return Ok(Transferred::StartOver);
            }
            // Object stores answer 403 for a name that they do not have.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
                return Ok(Transferred::Missing);
            }
            other => {
                let reason = format!("the mirror answered {other}");
                return Err(ArtifactError::BadAnswer {
                    place: place.to_string(),
                    reason,
                });
            }
        };
        self.receive(place, response, if resumed { have } else { 0 })
            .await?;
        Ok(Transferred::Whole { resumed })
    }

    /// Whether a 206 goes on exactly where the partial file ends, in the same version of the file.
    fn continues(&self, response: &Response, have: u64, note: &ResumeNote) -> bool {
        let start = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                value
                    .strip_prefix("bytes ")?
                    .split_once('-')?
                    .0
                    .parse()
                    .ok()
            });
        let same = match (&note.validator, validator(response.headers())) {
            (Some(then), Some(now)) => *then == now,
            _ => true,
        };
        start == Some(have) && same
    }

    async fn receive(
        &self,
        place: &Place,
        mut response: Response,
        keep: u64,
    ) -> Result<(), ArtifactError> {
        let total = response.content_length().map(|rest| rest + keep);
        let too_long = || ArtifactError::BadAnswer {
            place: place.to_string(),
            reason: format!("it sends more than {LONGEST} bytes"),
        };
        if total.is_some_and(|total| total > LONGEST) {
            return Err(too_long());
        }
        let mut sink = Sink::open(self.entry, self.what, keep, total, self.progress).await?;
        self.entry.note_resume(&ResumeNote {
            from: place.to_string(),
            validator: validator(response.headers()),
        })?;
        let reason = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => sink.write(&chunk).await?,
                Ok(None) if total.is_none_or(|total| total == sink.written()) => {
                    return sink.flush().await;
                }
                Ok(None) => break "the connection was closed".to_owned(),
                Err(error) if error.is_timeout() => {
                    break format!("nothing came for {} s", self.patience.stall.as_secs_f32());
                }
                Err(error) => break network_reason(&error),
            }
            if sink.written() > LONGEST {
                self.entry.discard_partial();
                return Err(too_long());
            }
        };
        sink.flush().await?;
        let reason = match total {
            Some(total) => format!("{reason} (of {total} bytes)"),
            None => reason,
        };
        Err(ArtifactError::CutOff {
            place: place.to_string(),
            got: sink.written(),
            reason,
        })
    }
}

/// The total of a `Content-Range: bytes */<total>`.
fn range_total(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .rsplit_once('/')?
        .1
        .parse()
        .ok()
}

/// What If-Range may carry: a strong ETag, else the date. A weak ETag does not promise equal bytes.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    text(ETAG)
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| text(LAST_MODIFIED))
}
