//! What a machine is made from: images, disks, words of the kernel's command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::QemuTarget;
use crate::artifact::Cache;
use crate::cell::{Cell, Shape};
use crate::guest::{Bundle, GuestError, Images, make_data_disk, prepare, programs_image};
use crate::machine::{Disk, DiskFormat, Size, TimeMode, find_emulator, qcow2::make_overlay};
use crate::target::{ProvisionError, Target};
use crate::workshop::Workshop;

/// Sparse on the host.
const DATA_DISK_BYTES: u64 = 8 << 30;
/// Four samples a second: scenarios want 20 of a quiet server. What they cost the guest is measured in each cell.
const SAMPLE_EVERY_MS: u32 = 250;

/// Ten under counted time, whose clock stands beside them.
const COUNTED_SAMPLE_EVERY_MS: u32 = 100;

/// What a machine is made from.
pub(super) struct Parts {
    pub program: PathBuf,
    pub size: Size,
    pub images: Images,
    /// An empty data disk, which each machine overlays.
    pub data: PathBuf,
    pub programs: Option<PathBuf>,
    /// The distribution's binaries, as paths in the guest.
    pub binaries: BTreeMap<&'static str, PathBuf>,
}

impl Parts {
    /// Finds or makes them all.
    pub async fn collect(target: &QemuTarget, cell: &Cell) -> Result<Self, ProvisionError> {
        let program =
            find_emulator().map_err(|error| ProvisionError::Unavailable(format!("{error:#}")))?;
        let binaries = binaries_in_guest(cell)?;
        let size = target.profile.size(&cell.budget)?;
        let images = prepare(&target.guest, bundle(cell), &target.cache)
            .await
            .map_err(refused)?;
        Ok(Self {
            program,
            size,
            images,
            data: data_disk(&target.cache).await.map_err(refused)?,
            programs: programs(target, cell).await.map_err(refused)?,
            binaries,
        })
    }

    /// The machine's disks; overlays are made in its work folder.
    pub fn disks(&self, work: &Path) -> Result<Vec<Disk>> {
        let overlay = |serial: &'static str, image: &Path| {
            let file = work.join(format!("{serial}.qcow2"));
            make_overlay(&file, image, DiskFormat::Raw)?;
            anyhow::Ok(Disk {
                file,
                format: DiskFormat::Qcow2,
                read_only: false,
                serial,
            })
        };
        let mut disks = vec![
            overlay("assay-root", &self.images.root)?,
            overlay("assay-data", &self.data)?,
        ];
        disks.extend(self.programs.clone().map(|file| Disk {
            file,
            format: DiskFormat::Raw,
            read_only: true,
            serial: "assay-programs",
        }));
        Ok(disks)
    }
}

fn refused(error: GuestError) -> ProvisionError {
    match error {
        GuestError::Unavailable(reason) => ProvisionError::Unavailable(reason),
        GuestError::Failed(error) => ProvisionError::Failed(error),
    }
}

/// An empty data disk in the cache, made once: its filesystem is the same for all.
async fn data_disk(cache: &Cache) -> Result<PathBuf, GuestError> {
    let folder = cache.root().join("machine");
    let path = folder.join(format!("data-{}.ext4", DATA_DISK_BYTES >> 30));
    if !path.is_file() {
        let file = |error| GuestError::Failed(anyhow::Error::new(error));
        // It goes with what is in it, also when this is dropped half-way.
        let workshop = Workshop::open(&folder.join("work")).map_err(file)?;
        let part = workshop.path().join("data.ext4");
        make_data_disk(&part, DATA_DISK_BYTES).await?;
        fs_err::rename(&part, &path).map_err(file)?;
    }
    Ok(path)
}

fn bundle(cell: &Cell) -> Bundle {
    match (cell.distribution.name(), cell.shape) {
        (_, Shape::Node) => Bundle::Node,
        ("etcd", _) => Bundle::Etcd,
        (_, Shape::ControlPlane | Shape::ApiServer) => Bundle::Base,
    }
}

/// Where the distribution's binaries are in the guest.
fn binaries_in_guest(cell: &Cell) -> Result<BTreeMap<&'static str, PathBuf>, ProvisionError> {
    let mut binaries = BTreeMap::new();
    for need in cell.distribution.artifacts() {
        if !need.applies(cell.datastore, cell.shape) {
            continue;
        }
        let path = match need.name {
            "etcd" => PathBuf::from("/usr/bin/etcd"),
            "assay" if cfg!(not(target_arch = "aarch64")) => {
                return Err(ProvisionError::Unavailable(
                    "the specimen needs an assay that was built for arm64, and this one was not; \
                     choose --distribution etcd, or k3s with an arm64 binary"
                        .into(),
                ));
            }
            name => Path::new("/opt/assay").join(name),
        };
        binaries.insert(need.name, path);
    }
    Ok(binaries)
}

/// The disk with the distribution's programs, if it has any that the guest has not.
async fn programs(target: &QemuTarget, cell: &Cell) -> Result<Option<PathBuf>, GuestError> {
    let mut programs = Vec::new();
    for need in cell.distribution.artifacts() {
        if !target.supplies(need.name) {
            let path = cell.binaries.get(need.name).with_context(|| {
                format!(
                    "failed to put {} into the guest: it was not found",
                    need.name
                )
            })?;
            programs.push((need.name, path.as_path()));
        }
    }
    if programs.is_empty() {
        return Ok(None);
    }
    programs_image(&target.cache, &programs).await.map(Some)
}

/// How often the guest's samples come on this host's clock, at the slowest: a busy host delays a guest, and one that
/// counts its instructions runs several times slower than its clock.
pub(super) fn sample_period(time: TimeMode) -> Duration {
    Duration::from_millis(match time {
        TimeMode::Free => u64::from(SAMPLE_EVERY_MS) * 3,
        TimeMode::Counted => u64::from(COUNTED_SAMPLE_EVERY_MS) * 20,
    })
}

/// Words of the kernel's command line.
pub(super) fn kernel_args(target: &QemuTarget, cell: &Cell) -> Result<Vec<String>> {
    let time = target.time;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("failed to read the clock: it stands before 1970")?;
    let period = match time {
        TimeMode::Free => SAMPLE_EVERY_MS,
        TimeMode::Counted => COUNTED_SAMPLE_EVERY_MS,
    };
    let mut args = vec![
        format!("assay.time={}", now.as_secs()),
        format!("assay.period={period}"),
    ];
    args.extend(target.zram.map(|bytes| format!("assay.zram={bytes}")));
    if time == TimeMode::Counted {
        args.push("assay.draws=fixed".to_owned());
    }
    if cell.shape == Shape::Node {
        args.push("assay.modules=node".to_owned());
    }
    Ok(args)
}
