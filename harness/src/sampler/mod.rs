//! Samplers: sources of readings.

mod cgroup_v1;
mod cgroup_v2;
mod driver;
mod emulator;
mod file;
mod pressure;
mod process;
mod process_io;
pub mod remote;

use reports::metric::Metric;

use crate::cgroup::Cgroup;

pub use cgroup_v1::CgroupV1;
pub use cgroup_v2::CgroupV2;
pub use driver::{Driver, DriverReport, Rate, Sink};
pub use emulator::{EmulatorProcess, cpu_used};
pub use pressure::HostPressure;
pub use process::ProcessTree;

/// A source of readings. Implementations keep their file descriptors open and allocate nothing per sample
/// beyond the readings themselves.
pub trait Sampler: Send {
    /// Where it reads, such as `cgroup-v1`.
    fn name(&self) -> &str;
    /// Reads once, appending to `into`.
    ///
    /// # Errors
    /// When the source is gone; the sampler loop then stops asking it.
    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> std::io::Result<()>;
}

/// The samplers of a cgroup. On v1 the pressure is the host's, under a name that says so.
///
/// # Errors
/// When the memory usage or the CPU time of the cgroup cannot be opened.
pub fn of_cgroup(cgroup: &Cgroup) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
    match cgroup.v1_folders() {
        Some(folders) => {
            let mut samplers: Vec<Box<dyn Sampler>> = vec![Box::new(CgroupV1::open(&folders)?)];
            samplers.extend(host_pressure());
            Ok(samplers)
        }
        None => Ok(vec![Box::new(CgroupV2::open(&cgroup.memory())?)]),
    }
}

/// The samplers of a server that has no cgroup: everything that descends from `ancestor`, itself left out.
#[must_use]
pub fn of_process_tree(ancestor: i32) -> Vec<Box<dyn Sampler>> {
    let mut samplers: Vec<Box<dyn Sampler>> = vec![Box::new(ProcessTree::new(ancestor))];
    samplers.extend(host_pressure());
    samplers
}

fn host_pressure() -> Option<Box<dyn Sampler>> {
    // Kernels before 4.20, and those without CONFIG_PSI, have none.
    Some(Box::new(HostPressure::open()?))
}
