//! The inner commands that assay runs itself with, as the keeper and the first process of a cell.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::control_plane;
use crate::machine::process::{EMULATOR, emulator};
use crate::target::native;

/// Runs an inner command, if the arguments (with the program's name first) ask for one; `None` otherwise.
/// To be called first in `main`, before any thread starts: namespaces are made per thread.
#[must_use]
pub fn internal(args: &[OsString]) -> Option<ExitCode> {
    match args.get(1)?.to_str()? {
        native::KEEPER => Some(native::keeper()),
        native::INIT => Some(native::init()),
        control_plane::SUBCOMMAND => Some(control_plane::run(&args[1..])),
        EMULATOR => Some(emulator(&args[2..])),
        _ => None,
    }
}
