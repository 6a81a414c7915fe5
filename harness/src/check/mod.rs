//! Checks: one pass/fail statement about an API server each.
//!
//! A check says what it needs, which official tests it restates and which mutants it must notice. It is const data;
//! the `scenarios` crate owns the tables. What it does with a server goes through its [`CheckContext`].

mod context;
mod expect;
mod fault;
pub mod mutants;
mod official;
mod one;
mod requirement;
mod run;
#[cfg(test)]
mod tests;
mod watching;

use std::time::Duration;

use futures::future::BoxFuture;

use crate::api::mutant::Mutant;

pub use context::{CheckContext, Limits};
pub use expect::name;
pub use fault::{CheckFault, CheckResult};
pub use official::official_list;
pub use one::run_check;
pub use requirement::{Offer, Requirement};
pub use run::{RunOptions, run_checks};
pub use watching::Watching;

/// The suite that checks belong to.
pub const SUITE: &str = "conformance";

/// What a check does.
pub type CheckBody = for<'a> fn(&'a CheckContext) -> BoxFuture<'a, CheckResult>;

/// One pass/fail statement. Written as `Check { id: …, ..Check::BASE }`, so that a new field costs no table anything.
#[derive(Clone, Copy)]
pub struct Check {
    /// `area/what-is-true`, kebab case, present tense.
    pub id: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// Official tests that it makes as they stand, by tag-stripped name; it asserts at least what each asserts. Those of
    /// the tier R can only be restated without a kubelet, and count as such from here too.
    pub official: &'static [&'static str],
    /// Official tests of which it states only the contract, in another way or without a part.
    pub restates: &'static [&'static str],
    /// What the server must offer. Without it the check fails where an official test of the server's own version is
    /// among its names, and is skipped elsewhere, with the missing thing named.
    pub requires: &'static [Requirement],
    /// Defects that it must notice. Empty is refused by a test.
    pub kills: &'static [Mutant],
    /// Why it must run alone, where it must: it reads or changes what belongs to the whole cluster.
    pub serial: Option<&'static str>,
    /// Why it takes minutes by design, where it does: what it awaits follows the wall clock. Such checks begin first, run
    /// beside the others and take none of their places.
    pub slow: Option<&'static str>,
    /// The least patience that it needs, where what it awaits is slow by design, such as a controller that backs off.
    pub patience: Duration,
    /// What it does.
    pub run: CheckBody,
}

impl Check {
    /// What a check starts from.
    pub const BASE: Self = Self {
        id: "",
        title: "",
        official: &[],
        restates: &[],
        requires: &[],
        kills: &[],
        serial: None,
        slow: None,
        patience: Duration::ZERO,
        run: |_| Box::pin(async { Err(CheckFault::Errored("the check has no body".to_owned())) }),
    };

    /// Every official test to which it is bound, in either way.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.official.iter().chain(self.restates).copied()
    }

    /// Why a server cannot be examined by it: the outcome without a run; `None` where it can.
    #[must_use]
    pub fn lacking(&self, offer: &Offer) -> Option<CheckFault> {
        official::lacking(self, offer)
    }

    /// The part of the id before the slash.
    #[must_use]
    pub fn area(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }
}
