//! A watch at either level as one stream of what a history records.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fixtures::etcd::client::{EtcdError, EventKind, Watch as DirectWatch, WatchItem};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use reports::history::{Change, Revision, WatchedKind};
use tokio::time::Instant;

use super::{LoadError, api, capped, number, value};
use crate::api::{Next, Watch as ApiWatch, WatchEvent};

/// How an end is called that a reader can mend by listing again.
const COMPACTED: &str = "compacted";

/// What a watch delivers.
pub struct WatchStream(BoxStream<'static, Result<WatchedKind, LoadError>>);

impl Stream for WatchStream {
    type Item = Result<WatchedKind, LoadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

fn begun(from: Revision) -> Result<WatchedKind, LoadError> {
    Ok(WatchedKind::Began {
        from,
        resumes: None,
    })
}

fn ended(how: &str) -> WatchedKind {
    WatchedKind::Ended { how: capped(how) }
}

pub(super) fn direct(watch: DirectWatch, from: Revision, prefix: String) -> WatchStream {
    let items = watch.flat_map(move |item| stream::iter(of_item(item, &prefix)));
    WatchStream(stream::iter([begun(from)]).chain(items).boxed())
}

fn of_item(
    item: Result<WatchItem, EtcdError>,
    prefix: &str,
) -> Vec<Result<WatchedKind, LoadError>> {
    match item {
        Ok(WatchItem::Events { events, .. }) => events
            .into_iter()
            .map(|event| {
                let revision = event.kv.mod_revision;
                let own = event.kv.key.strip_prefix(prefix).and_then(number);
                Ok(match own {
                    Some(key) => WatchedKind::Changed {
                        key,
                        change: match event.kind {
                            EventKind::Put => Change::Put {
                                value: value::read(&event.kv.value),
                            },
                            EventKind::Delete => Change::Delete,
                        },
                        revision,
                    },
                    None => WatchedKind::Stranger {
                        name: capped(&event.kv.key),
                        revision,
                    },
                })
            })
            .collect(),
        Ok(WatchItem::Progress { revision }) => vec![Ok(WatchedKind::Bookmark { revision })],
        Ok(WatchItem::Compacted { .. }) => vec![Ok(ended(COMPACTED))],
        Err(EtcdError::WatchEnded(how)) => vec![Ok(ended(&how))],
        Err(error) => vec![Err(error.into())],
    }
}

/// One wait for the next line of an API watch; a watch may be silent for as long as it likes.
const SILENCE: Duration = Duration::from_secs(3600);

pub(super) fn api(watch: ApiWatch, from: Revision) -> WatchStream {
    let items = stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        let next = loop {
            match watch.next(Instant::now() + SILENCE).await {
                Ok(Next::Late) => {}
                Ok(Next::Ended) => break Ok(Some(ended("the server closed it"))),
                Ok(Next::Event(event)) => match of_event(&event) {
                    Ok(None) => {}
                    other => break other,
                },
                Err(error) => break Err(LoadError::Failed(capped(&error.to_string()))),
            }
        };
        let last = matches!(next, Err(_) | Ok(Some(WatchedKind::Ended { .. })));
        // What says nothing was passed over above.
        let next = next.map(|kind| kind.unwrap_or_else(|| ended("")));
        Some((next, (!last).then_some(watch)))
    });
    WatchStream(stream::iter([begun(from)]).chain(items).boxed())
}

/// What a line means; `None`: nothing, it is of an object that every namespace has.
fn of_event(event: &WatchEvent) -> Result<Option<WatchedKind>, LoadError> {
    if event.kind == "ERROR" {
        let gone = event.object["code"] == 410;
        let words = event.object["message"].as_str().unwrap_or("ERROR");
        return Ok(Some(ended(if gone { COMPACTED } else { words })));
    }
    let revision = api::revision(&event.object)?;
    Ok(match event.kind.as_str() {
        "BOOKMARK" => Some(WatchedKind::Bookmark { revision }),
        _ if event.name() == api::OF_EVERY_NAMESPACE => None,
        kind => Some(match number(event.name()) {
            Some(key) => WatchedKind::Changed {
                key,
                change: match kind {
                    "DELETED" => Change::Delete,
                    _ => Change::Put {
                        value: api::value(&event.object),
                    },
                },
                revision,
            },
            None => WatchedKind::Stranger {
                name: capped(event.name()),
                revision,
            },
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(kind: &str, object: Value) -> WatchEvent {
        WatchEvent {
            kind: kind.to_owned(),
            object,
        }
    }

    #[test]
    fn lines_of_the_api_are_what_a_history_records() {
        let meta = |name: &str| json!({"metadata": {"name": name, "resourceVersion": "7"}});
        let gone = of_event(&event("DELETED", meta("k0000000003"))).unwrap();
        let expected = WatchedKind::Changed {
            key: 3,
            change: Change::Delete,
            revision: 7,
        };
        assert_eq!(gone, Some(expected));
        let stranger = of_event(&event("ADDED", meta("else"))).unwrap();
        assert!(matches!(stranger, Some(WatchedKind::Stranger { .. })));
        assert_eq!(
            of_event(&event("ADDED", meta(api::OF_EVERY_NAMESPACE))),
            Ok(None)
        );
        let mark = of_event(&event("BOOKMARK", meta(""))).unwrap();
        assert_eq!(mark, Some(WatchedKind::Bookmark { revision: 7 }));
        let error = json!({"code": 410, "message": "too old"});
        assert_eq!(of_event(&event("ERROR", error)), Ok(Some(ended(COMPACTED))));
        assert!(of_event(&event("ADDED", json!({}))).is_err());
    }
}
