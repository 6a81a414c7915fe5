//! The command-line arguments of `doctor`.

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use crate::artifact::args::{EtcdArgs, K3sArgs};

/// How findings are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// An aligned table.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Show what this host offers, what is missing and the command that installs it.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// Run the commands that mend what is missing, showing each
    #[arg(long)]
    pub fix: bool,
    /// Look at (and fix) only these checks
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = PossibleValuesParser::new(super::ids()))]
    pub only: Vec<String>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t)]
    pub format: DoctorFormat,
    #[command(flatten)]
    /// Which K3s to look for.
    pub k3s: K3sArgs,
    #[command(flatten)]
    /// Which etcd to look for.
    pub etcd: EtcdArgs,
}
