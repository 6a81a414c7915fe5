//! Removing what a run left in an engine: by its recorded name, and only if its label is the run's.

use std::time::{Duration, Instant};

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::upload::{self, Load};
use super::{Held, LABEL, What, look};

/// How long the engine may take for one thing. A loaded board takes seconds.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks; only spares the CPU.
const PAUSE: Duration = Duration::from_millis(50);
/// How long an image may take to appear that a killed process has sent: its engine may still be at work on it.
const LATE_IMAGE_WITHIN: Duration = Duration::from_secs(15);

/// Removes something of assay's. `Ok(false)`: it was gone. Blocks, and must be allowed to.
///
/// # Errors
/// A sentence: the engine does not answer, or what has that name is not the run's.
pub fn remove(held: &Held) -> Result<bool, String> {
    let held = held.clone();
    // On a thread of its own, for the caller may sit in a runtime.
    std::thread::Builder::new()
        .name("assay-engine".to_owned())
        .spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| format!("failed to start a runtime ({error})"))?
                .block_on(remove_now(&held))
        })
        .map_err(|error| format!("failed to start a thread ({error})"))?
        .join()
        .map_err(|_| "the removal panicked; report this as a bug".to_owned())?
}

async fn remove_now(held: &Held) -> Result<bool, String> {
    let again = "then run `assay sweep`";
    let late = may_be_late(held)
        .map_err(|reason| format!("{reason}; look at the engine's log, {again}"))?;
    let socket = look(&held.engine).map_err(|reason| format!("{reason}; {again}"))?;
    let docker = Docker::connect_with_unix(
        &socket.to_string_lossy(),
        GONE_WITHIN.as_secs(),
        testcontainers::bollard::API_DEFAULT_VERSION,
    )
    .map_err(|error| format!("failed to reach the engine at {} ({error})", held.engine))?;
    tokio::time::timeout(GONE_WITHIN, until_gone(&docker, held, late))
        .await
        .map_err(|_| {
            format!(
                "the engine at {} did not remove it within {GONE_WITHIN:?}; look at its log, {again}",
                held.engine
            )
        })?
}

/// How long something that is not there yet may still appear.
fn may_be_late(held: &Held) -> Result<Duration, String> {
    if held.what != What::Image {
        return Ok(Duration::ZERO);
    }
    match upload::await_end(&held.name, GONE_WITHIN) {
        Load::Ended => Ok(Duration::ZERO),
        Load::Unknown => Ok(LATE_IMAGE_WITHIN),
        Load::UnderWay => Err(format!(
            "the engine at {} has been loading it for more than {GONE_WITHIN:?}",
            held.engine
        )),
    }
}

/// An engine may be at work on it already ("removal in progress"), or a dying container may still hold its network.
async fn until_gone(docker: &Docker, held: &Held, late: Duration) -> Result<bool, String> {
    let began = Instant::now();
    let mut removed = false;
    loop {
        let Some(run) = label_of(docker, held)
            .await
            .map_err(|error| format!("failed to ask the engine at {} ({error})", held.engine))?
        else {
            if removed || began.elapsed() >= late {
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if run != held.run {
            return Err(format!(
                "it is not labelled as this run's ({run:?}), so it is not assay's; left alone"
            ));
        }
        match remove_once(docker, held).await {
            Ok(()) => removed = true,
            Err(error) if is_missing(&error) => {}
            Err(error) if began.elapsed() > GONE_WITHIN / 2 => {
                return Err(format!("the engine refuses to remove it ({error})"));
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The run that it is labelled with, `Some("")` without a label; `None`: it is not there.
async fn label_of(docker: &Docker, held: &Held) -> Result<Option<String>, Error> {
    let labels = match held.what {
        What::Container => docker
            .inspect_container(&held.name, None::<InspectContainerOptions>)
            .await
            .map(|found| found.config.and_then(|config| config.labels)),
        What::Network => docker
            .inspect_network(&held.name, None::<InspectNetworkOptions>)
            .await
            .map(|found| found.labels),
        What::Image => docker
            .inspect_image(&held.name)
            .await
            .map(|found| found.config.and_then(|config| config.labels)),
    };
    match labels {
        Ok(labels) => Ok(Some(
            labels
                .and_then(|labels| labels.get(LABEL).cloned())
                .unwrap_or_default(),
        )),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn remove_once(docker: &Docker, held: &Held) -> Result<(), Error> {
    match held.what {
        What::Container => {
            // With its anonymous volumes: an image may declare some.
            let options = RemoveContainerOptionsBuilder::new()
                .force(true)
                .v(true)
                .build();
            docker.remove_container(&held.name, Some(options)).await
        }
        What::Network => docker.remove_network(&held.name).await,
        What::Image => {
            let options = RemoveImageOptionsBuilder::new().build();
            docker
                .remove_image(&held.name, Some(options), None)
                .await
                .map(drop)
        }
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}
