//! The built binary under bad input: one sentence, a next step, the right exit code, nothing left behind.

#[path = "cli/arguments.rs"]
mod arguments;
#[path = "cli/binaries.rs"]
mod binaries;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/folders.rs"]
mod folders;
#[path = "cli/output.rs"]
mod output;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/says.rs"]
mod says;
#[path = "cli/servers.rs"]
mod servers;
mod support;
