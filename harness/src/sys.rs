//! The one module with `unsafe` code: three calls whose safe wrappers do not exist. Keep it tiny.
#![expect(
    unsafe_code,
    reason = "unshare has no safe wrapper, inherited descriptors are only known by number, and what is registered with the runtime must stay open"
)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tokio::io::unix::AsyncFd;

/// Gives the calling thread namespaces of its own (children get the pid namespace).
///
/// # Errors
/// The kernel's: `EPERM` without the capability, `EINVAL` where a namespace is not compiled in, `ENOSPC`
/// at the limit of `/proc/sys/user/max_*_namespaces`. `FILES` is refused here.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    if flags.contains(UnshareFlags::FILES) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only an unshared descriptor table (FILES) can break other threads, and it is refused above.
    unsafe { unshare_unsafe(flags) }?;
    Ok(())
}

/// Marks every descriptor from 3 up close-on-exec, so that a program executed afterwards inherits none.
///
/// # Errors
/// When `/proc/self/fd` cannot be listed.
pub(crate) fn close_inherited_on_exec() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if number > 2 {
            // SAFETY: the number was just listed as open in this process, and the borrow ends with this
            // statement. If it was closed meanwhile (the listing's own descriptor), the call fails with
            // EBADF, which is harmless.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// Lets the runtime wait for a descriptor's readiness.
///
/// # Errors
/// When the kernel cannot watch it.
pub(crate) fn awaited(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open, owned by the result from here on, and always tells the same number.
    let registered = unsafe { AsyncFd::register(descriptor) };
    Ok(registered?)
}
