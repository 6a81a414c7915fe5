//! The mutating layer: one named defect between a check and a healthy server, which the check must notice.
//!
//! It sits inside assay's own client, so it works against any server over any target. A defect rewrites requests, answers or
//! the lines of a watch; most are pure functions. To add one: a `const` in a family's file and its line in that
//! file's `ALL`; a new family is a file, its `mod` line and its line in [`all`].

mod admission;
mod apply;
mod controllers;
mod discovery;
mod layer;
mod list;
mod metadata;
mod openapi;
mod patch;
mod review;
mod shape;
mod status;
mod validation;
mod version;
mod watch;
mod write;

use std::fmt;

use serde_json::Value;

use super::{Request, Response};

pub(crate) use layer::{Layer, Lines};

/// The families, to name them in a check's `kills`: `mutant::watch::DROPS_ADDED`.
pub mod families {
    pub use super::admission::*;
    pub use super::apply::*;
    pub use super::controllers::*;
    pub use super::discovery::*;
    pub use super::list::*;
    pub use super::metadata::*;
    pub use super::openapi::*;
    pub use super::patch::*;
    pub use super::review::*;
    pub use super::shape::*;
    pub use super::status::*;
    pub use super::validation::*;
    pub use super::version::*;
    pub use super::watch::*;
    pub use super::write::*;
}

/// A named defect.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Kebab case, says what is wrong: `list-loses-item`.
    pub name: &'static str,
    /// The same as a sentence about the server.
    pub about: &'static str,
    /// Makes a fresh instance: defects may remember what they saw.
    pub(crate) make: fn() -> Box<dyn Defect>,
}

impl PartialEq for Mutant {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a defect may do. `asked` is always the check's own request, before any rewriting.
pub(crate) trait Defect: Send {
    /// Rewrites a request on its way out.
    fn request(&mut self, _request: &mut Request) {}
    /// Rewrites an answer on its way in.
    fn response(&mut self, _asked: &Request, _response: &mut Response) {}
    /// Rewrites one line of a watch: none, one or more come out.
    fn line(&mut self, _asked: &Request, event: Value) -> Vec<Value> {
        vec![event]
    }
}

/// A defect of requests that remembers nothing.
pub(crate) struct Asks(pub(crate) fn(&mut Request));

impl Defect for Asks {
    fn request(&mut self, request: &mut Request) {
        (self.0)(request);
    }
}

/// A defect of answers that remembers nothing.
pub(crate) struct Answers(pub(crate) fn(&Request, &mut Response));

impl Defect for Answers {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        (self.0)(asked, response);
    }
}

/// A defect of every object that comes in, whether in an answer, a list or a watch.
pub(crate) struct Objects(pub(crate) fn(&Request, &mut Value));

impl Defect for Objects {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if !response.is_success() {
            return;
        }
        let mut body = response.body.clone();
        match body.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(|item| (self.0)(asked, item)),
            None => (self.0)(asked, &mut body),
        }
        if body != response.body {
            response.set_body(body);
        }
    }

    fn line(&mut self, asked: &Request, mut event: Value) -> Vec<Value> {
        (self.0)(asked, &mut event["object"]);
        vec![event]
    }
}

/// Every mutant there is.
#[must_use]
pub fn all() -> Vec<Mutant> {
    [
        admission::ALL,
        apply::ALL,
        controllers::ALL,
        discovery::ALL,
        list::ALL,
        metadata::ALL,
        patch::ALL,
        openapi::ALL,
        review::ALL,
        shape::ALL,
        status::ALL,
        validation::ALL,
        version::ALL,
        watch::ALL,
        write::ALL,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mutants = all();
        for (position, mutant) in mutants.iter().enumerate() {
            assert!(
                mutant
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                mutant.name
            );
            assert!(
                !mutants[..position].contains(mutant),
                "{} appears twice",
                mutant.name
            );
            assert!(
                mutant.about.ends_with('.'),
                "{}: not a sentence",
                mutant.name
            );
        }
    }
}
