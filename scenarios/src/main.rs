//! The `assay` binary: hands the tables to the harness.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::cli::main(scenarios::SUITES)
}
