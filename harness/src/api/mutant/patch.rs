//! Defects of one kind of patch each: a server may well apply the others.

use super::{Asks, Mutant};
use crate::api::{Method, PatchKind, Request};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    APPLY_NOT_APPLIED,
    JSON_PATCH_NOT_APPLIED,
    MERGE_PATCH_NOT_APPLIED,
    STRATEGIC_PATCH_NOT_APPLIED,
    STATUS_PATCH_NOT_APPLIED,
    STATUS_UPDATE_NOT_APPLIED,
];

/// Server-side apply is answered as done, and is not.
pub const APPLY_NOT_APPLIED: Mutant = Mutant {
    name: "apply-not-applied",
    about: "A server-side apply is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, PatchKind::Apply))),
};
/// A JSON patch is answered as done, and is not.
pub const JSON_PATCH_NOT_APPLIED: Mutant = Mutant {
    name: "json-patch-not-applied",
    about: "A JSON patch is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, PatchKind::Json))),
};
/// A merge patch is answered as done, and is not.
pub const MERGE_PATCH_NOT_APPLIED: Mutant = Mutant {
    name: "merge-patch-not-applied",
    about: "A JSON merge patch is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, PatchKind::Merge))),
};
/// A strategic merge patch is answered as done, and is not.
pub const STRATEGIC_PATCH_NOT_APPLIED: Mutant = Mutant {
    name: "strategic-patch-not-applied",
    about: "A strategic merge patch is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, PatchKind::Strategic))),
};
/// A patch of `/status` is answered as done, and is not; an update of it is done.
pub const STATUS_PATCH_NOT_APPLIED: Mutant = Mutant {
    name: "status-patch-not-applied",
    about: "A patch of /status is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| of_status(request, &Method::PATCH))),
};
/// An update of `/status` is answered as done, and is not; a patch of it is done.
pub const STATUS_UPDATE_NOT_APPLIED: Mutant = Mutant {
    name: "status-update-not-applied",
    about: "An update of /status is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| of_status(request, &Method::PUT))),
};

fn as_if(request: &mut Request, kind: PatchKind) {
    if request.method == Method::PATCH && request.content_type == kind.content_type() {
        dry(request);
    }
}

fn of_status(request: &mut Request, method: &Method) {
    if request.method == *method && request.path.ends_with("/status") {
        dry(request);
    }
}

/// The server's own dry run is the most faithful "answered as done".
fn dry(request: &mut Request) {
    if request.parameter("dryRun").is_none() {
        request.query.push(("dryRun".to_owned(), "All".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_kind_is_hit() {
        let patch =
            |kind: PatchKind| Request::new(Method::PATCH, "/x/a").content_type(kind.content_type());
        let mut own = patch(PatchKind::Json);
        (JSON_PATCH_NOT_APPLIED.make)().request(&mut own);
        assert_eq!(own.parameter("dryRun"), Some("All"));
        let mut other = patch(PatchKind::Merge);
        (JSON_PATCH_NOT_APPLIED.make)().request(&mut other);
        assert_eq!(other, patch(PatchKind::Merge));
    }
}
