//! Sending an image's archive to the engine.
//!
//! An engine that has read an archive makes its image, whether or not somebody still waits for the answer. So a load
//! that was begun is seen to its end, on a thread of its own, and whoever removes the image waits for that first: else
//! the image of a run that was interrupted would appear after its clean-up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::{StreamExt, TryStreamExt, stream};
use testcontainers::bollard::query_parameters::ImportImageOptions;
use testcontainers::bollard::{API_DEFAULT_VERSION, Docker, body_try_stream};
use tokio::io::AsyncReadExt;

/// How long an engine may take to load an image. Some 250 MB take 5 s on a quiet host, and a card's writes are slow.
const LOAD_WITHIN: Duration = Duration::from_secs(300);

/// The loads that this process has begun, by their image's name, and whether each has ended.
static LOADS: (Mutex<BTreeMap<String, bool>>, Condvar) =
    (Mutex::new(BTreeMap::new()), Condvar::new());

fn loads() -> MutexGuard<'static, BTreeMap<String, bool>> {
    // Nothing in the critical sections can panic.
    LOADS.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of an image's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// This process has begun none; another may have.
    Unknown,
    /// It has ended, well or not: the image will not appear any more.
    Ended,
    /// It has not ended in the time that was granted.
    UnderWay,
}

/// Waits for the end of an image's load. Blocks.
pub(super) fn await_end(name: &str, within: Duration) -> Load {
    let waiting = |loads: &mut BTreeMap<String, bool>| loads.get(name) == Some(&false);
    let (loads, _) = LOADS
        .1
        .wait_timeout_while(loads(), within, waiting)
        .unwrap_or_else(PoisonError::into_inner);
    match loads.get(name) {
        None => Load::Unknown,
        Some(true) => Load::Ended,
        Some(false) => Load::UnderWay,
    }
}

/// A load under way; ended, however its thread ends.
struct UnderWay(String);

impl UnderWay {
    fn begin(name: &str) -> Self {
        loads().insert(name.to_owned(), false);
        Self(name.to_owned())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        loads().insert(self.0.clone(), true);
        LOADS.1.notify_all();
    }
}

/// Loads the archive of the image of this name into the engine behind a socket, and removes the archive.
///
/// # Errors
/// When the engine refuses it, or does not end in time.
pub(super) async fn send(socket: &str, name: &str, archive: PathBuf) -> Result<()> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let (socket, under_way) = (socket.to_owned(), UnderWay::begin(name));
    std::thread::Builder::new()
        .name("assay-upload".to_owned())
        .spawn(move || {
            let sent = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("failed to start a runtime")
                .and_then(|runtime| runtime.block_on(send_now(&socket, &archive)));
            let _ = std::fs::remove_file(&archive);
            drop(under_way);
            // Nobody waits any more when the run was interrupted.
            let _ = tell.send(sent);
        })
        .context("failed to start a thread")?;
    told.await
        .map_err(|_| anyhow!("its sending ended early; report this as a bug"))?
}

async fn send_now(socket: &str, archive: &Path) -> Result<()> {
    let docker = Docker::connect_with_unix(socket, LOAD_WITHIN.as_secs(), API_DEFAULT_VERSION)
        .context("failed to reach the engine")?;
    tokio::time::timeout(LOAD_WITHIN, upload(&docker, archive))
        .await
        .map_err(|_| {
            anyhow!("the engine did not load it within {LOAD_WITHIN:?}; look at its log")
        })?
}

async fn upload(docker: &Docker, archive: &Path) -> Result<()> {
    let file = tokio::fs::File::open(archive).await?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(1 << 18);
        file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (piece.into(), file)))
    });
    let mut told = docker
        .import_image(ImportImageOptions::default(), body_try_stream(pieces), None)
        .boxed();
    while let Some(line) = told
        .try_next()
        .await
        .context("the engine refused it; look at the engine's log")?
    {
        if let Some(detail) = line.error_detail {
            bail!(
                "the engine refused it: {}",
                crate::text::tame(&detail.message.unwrap_or_default())
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_waited_for_and_another_process_load_is_not_known() {
        assert_eq!(await_end("n:none", Duration::ZERO), Load::Unknown);
        let begun = UnderWay::begin("n:1");
        assert_eq!(await_end("n:1", Duration::from_millis(1)), Load::UnderWay);
        let waiting = std::thread::spawn(|| await_end("n:1", Duration::from_secs(60)));
        drop(begun);
        assert_eq!(waiting.join().unwrap(), Load::Ended);
    }

    #[tokio::test]
    async fn a_load_that_nobody_waits_for_ends_all_the_same() {
        use tokio::io::AsyncWriteExt;
        let folder = tempfile::tempdir().unwrap();
        let (socket, archive) = (folder.path().join("e.sock"), folder.path().join("a.tar"));
        std::fs::write(&archive, vec![7; 1 << 20]).unwrap();
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let name = "n:dropped";
        let path = socket.display().to_string();
        let sending = tokio::spawn(async move { send(&path, name, archive).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        // It has begun; the run is interrupted.
        sending.abort();
        assert!(sending.await.unwrap_err().is_cancelled());
        assert_eq!(await_end(name, Duration::ZERO), Load::UnderWay);
        let mut read = vec![0; 1 << 16];
        let mut total = 0;
        while total < 1 << 20 {
            total += stream.read(&mut read).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        drop(stream);
        let ended = tokio::task::spawn_blocking(|| await_end("n:dropped", Duration::from_secs(60)));
        assert_eq!(ended.await.unwrap(), Load::Ended);
        assert!(!folder.path().join("a.tar").exists());
    }
}
