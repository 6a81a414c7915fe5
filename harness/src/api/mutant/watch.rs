//! Defects of watches.

use serde_json::{Value, json};

use super::{Asks, Defect, Mutant, Objects};
use crate::api::Request;

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    DROPS_ADDED,
    DROPS_MODIFIED,
    DROPS_DELETED,
    NEVER_MODIFIED,
    REPEATS_EVENTS,
    SWAPS_EVENTS,
    WRONG_TYPE,
    DELETED_AS_MODIFIED,
    WATCH_IGNORES_SELECTOR,
    WATCH_IGNORES_VERSION,
    WATCH_STALE_OBJECT,
    BOOKMARKS_STALE,
    BOOKMARKS_MISSING,
    INITIAL_EVENTS_NEVER_END,
];

/// The first ADDED of each watch is lost.
pub const DROPS_ADDED: Mutant = Mutant {
    name: "watch-drops-added",
    about: "A watch loses its first ADDED event.",
    make: || {
        Box::new(Drops {
            kind: "ADDED",
            done: false,
        })
    },
};
/// The first MODIFIED of each watch is lost.
pub const DROPS_MODIFIED: Mutant = Mutant {
    name: "watch-drops-modified",
    about: "A watch loses its first MODIFIED event.",
    make: || {
        Box::new(Drops {
            kind: "MODIFIED",
            done: false,
        })
    },
};
/// The first DELETED of each watch is lost.
pub const DROPS_DELETED: Mutant = Mutant {
    name: "watch-drops-deleted",
    about: "A watch loses its first DELETED event.",
    make: || {
        Box::new(Drops {
            kind: "DELETED",
            done: false,
        })
    },
};
/// No MODIFIED comes at all: for objects that controllers change too, of whose changes any one may go unnoticed.
pub const NEVER_MODIFIED: Mutant = Mutant {
    name: "watch-never-modified",
    about: "A watch gives no MODIFIED event.",
    make: || Box::new(Never("MODIFIED")),
};
/// Events come twice.
pub const REPEATS_EVENTS: Mutant = Mutant {
    name: "watch-repeats-events",
    about: "A watch delivers each event twice.",
    make: || Box::new(Repeats),
};
/// Neighbouring events change places.
pub const SWAPS_EVENTS: Mutant = Mutant {
    name: "watch-swaps-events",
    about: "A watch delivers each pair of events in the wrong order.",
    make: || Box::new(Swaps { held: None }),
};
/// ADDED is called MODIFIED.
pub const WRONG_TYPE: Mutant = Mutant {
    name: "watch-wrong-type",
    about: "A watch calls an addition MODIFIED and a modification ADDED.",
    make: || Box::new(Retypes(&[("ADDED", "MODIFIED"), ("MODIFIED", "ADDED")])),
};
/// DELETED is called MODIFIED.
pub const DELETED_AS_MODIFIED: Mutant = Mutant {
    name: "watch-deleted-as-modified",
    about: "A watch calls a deletion MODIFIED.",
    make: || Box::new(Retypes(&[("DELETED", "MODIFIED")])),
};
/// Selectors of a watch are ignored.
pub const WATCH_IGNORES_SELECTOR: Mutant = Mutant {
    name: "watch-ignores-selector",
    about: "A watch ignores its label and field selectors.",
    make: || {
        Box::new(Asks(|request| {
            if request.is_watch() {
                request
                    .query
                    .retain(|(name, _)| name != "labelSelector" && name != "fieldSelector");
            }
        }))
    },
};
/// A watch starts anywhere.
pub const WATCH_IGNORES_VERSION: Mutant = Mutant {
    name: "watch-ignores-version",
    about: "A watch starts from the present state instead of the resourceVersion asked for.",
    make: || {
        Box::new(Asks(|request| {
            if request.is_watch() {
                request.query.retain(|(name, _)| name != "resourceVersion");
            }
        }))
    },
};
/// Events carry the object as it first was.
pub const WATCH_STALE_OBJECT: Mutant = Mutant {
    name: "watch-stale-object",
    about: "A watch delivers every event of an object with the state of its first.",
    make: || {
        Box::new(Stale {
            first: serde_json::Map::new(),
        })
    },
};

/// A bookmark points back to before all that was shown.
pub const BOOKMARKS_STALE: Mutant = Mutant {
    name: "bookmarks-stale",
    about: "A bookmark carries the version 1, whatever the watch has shown.",
    make: || {
        Box::new(Objects(|_, object| {
            // Only a bookmark has a version and no name.
            let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
            if let Some(metadata) = metadata
                .filter(|fields| fields.len() <= 2 && !fields.contains_key("name"))
                .filter(|fields| fields.contains_key("resourceVersion"))
            {
                metadata.insert("resourceVersion".to_owned(), json!("1"));
            }
        }))
    },
};
/// No bookmark ever comes.
pub const BOOKMARKS_MISSING: Mutant = Mutant {
    name: "bookmarks-missing",
    about: "A watch that allows bookmarks sends none.",
    make: || Box::new(Never("BOOKMARK")),
};
/// The end of the initial events is not marked.
pub const INITIAL_EVENTS_NEVER_END: Mutant = Mutant {
    name: "initial-events-never-end",
    about: "The bookmark after the initial events lacks the annotation that says so.",
    make: || {
        Box::new(Objects(|_, object| {
            let annotations = object.pointer_mut("/metadata/annotations");
            if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
                annotations.remove("k8s.io/initial-events-end");
            }
        }))
    },
};

struct Drops {
    kind: &'static str,
    done: bool,
}

impl Defect for Drops {
    fn line(&mut self, _: &Request, event: Value) -> Vec<Value> {
        if !self.done && event["type"] == self.kind {
            self.done = true;
            return Vec::new();
        }
        vec![event]
    }
}

struct Never(&'static str);

impl Defect for Never {
    fn line(&mut self, _: &Request, event: Value) -> Vec<Value> {
        if event["type"] == self.0 {
            return Vec::new();
        }
        vec![event]
    }
}

struct Repeats;

impl Defect for Repeats {
    fn line(&mut self, _: &Request, event: Value) -> Vec<Value> {
        vec![event.clone(), event]
    }
}

struct Swaps {
    held: Option<Value>,
}

impl Defect for Swaps {
    fn line(&mut self, _: &Request, event: Value) -> Vec<Value> {
        match self.held.take() {
            Some(held) => vec![event, held],
            None => {
                self.held = Some(event);
                Vec::new()
            }
        }
    }
}

struct Retypes(&'static [(&'static str, &'static str)]);

impl Defect for Retypes {
    fn line(&mut self, _: &Request, mut event: Value) -> Vec<Value> {
        if let Some((_, wrong)) = self.0.iter().find(|(right, _)| event["type"] == *right) {
            event["type"] = json!(wrong);
        }
        vec![event]
    }
}

struct Stale {
    first: serde_json::Map<String, Value>,
}

impl Defect for Stale {
    fn line(&mut self, _: &Request, mut event: Value) -> Vec<Value> {
        let uid = event["object"]["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let first = self
            .first
            .entry(uid)
            .or_insert_with(|| event["object"].clone());
        event["object"] = first.clone();
        vec![event]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mutant: Mutant, kinds: &[&str]) -> Vec<String> {
        let mut defect = (mutant.make)();
        let asked = Request::get("/api/v1/configmaps");
        let lines = kinds
            .iter()
            .flat_map(|kind| defect.line(&asked, json!({"type": kind, "object": {}})))
            .collect::<Vec<_>>();
        lines
            .iter()
            .map(|line| line["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn events_are_lost_repeated_swapped_and_misnamed() {
        let healthy = ["ADDED", "MODIFIED", "MODIFIED", "DELETED"];
        assert_eq!(
            through(DROPS_MODIFIED, &healthy),
            ["ADDED", "MODIFIED", "DELETED"]
        );
        assert_eq!(through(REPEATS_EVENTS, &healthy[..1]), ["ADDED", "ADDED"]);
        assert_eq!(
            through(SWAPS_EVENTS, &healthy),
            ["MODIFIED", "ADDED", "DELETED", "MODIFIED"]
        );
        assert_eq!(through(WRONG_TYPE, &healthy[..2]), ["MODIFIED", "ADDED"]);
        assert_eq!(through(DELETED_AS_MODIFIED, &healthy[3..]), ["MODIFIED"]);
    }

    #[test]
    fn only_watches_lose_their_selector() {
        let mut defect = (WATCH_IGNORES_SELECTOR.make)();
        let mut list = Request::get("/x").query(&[("labelSelector", "a=b")]);
        defect.request(&mut list);
        assert_eq!(list.parameter("labelSelector"), Some("a=b"));
        let mut watch = list.query(&[("watch", "true")]);
        defect.request(&mut watch);
        assert_eq!(watch.parameter("labelSelector"), None);
    }
}
