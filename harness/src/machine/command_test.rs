//! The emulator's command line.

use super::command::{Disk, DiskFormat, MachineSpec, Nic, TimeMode};
use super::kvm::Accelerator;
use super::profile::{Profile, Size};

fn spec() -> MachineSpec {
    let profile = Profile::find("aarch64-virt").unwrap();
    MachineSpec {
        program: "qemu-system-aarch64".into(),
        size: Size {
            memory_mib: 512,
            cpus: 1,
        },
        profile,
        kernel: "/c/kernel".into(),
        initramfs: "/c/initramfs".into(),
        kernel_args: vec!["assay.data=/dev/vdc".into()],
        disks: vec![Disk {
            file: "/w/a,b.qcow2".into(),
            format: DiskFormat::Qcow2,
            read_only: false,
            serial: "assay-root",
        }],
        nics: vec![Nic::User {
            forwards: vec![(40001, 6443)],
        }],
        ports: vec!["assay.ctl"],
        folder: "/w/0".into(),
        console: "/l/console.log".into(),
        time: TimeMode::Free,
        incoming: None,
    }
}

#[test]
fn the_command_line_is_what_was_measured_to_work() {
    let line = spec().arguments().unwrap().join(" ");
    for part in [
        "-M virt -accel tcg,tb-size=256 -cpu cortex-a72 -m 512 -smp 1 -nodefaults -display none -no-reboot",
        "-append console=ttyAMA0 panic=-1 quiet nokaslr assay.data=/dev/vdc",
        "-chardev socket,id=port0,path=/w/0/assay.ctl,server=on,wait=off -device virtserialport,chardev=port0,name=assay.ctl",
        "-drive file=/w/a,,b.qcow2,if=none,id=disk0,format=qcow2,cache=writeback,readonly=off -device virtio-blk-pci,drive=disk0,serial=assay-root",
        "-netdev user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:40001-:6443",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!line.contains("-icount") && !line.contains("-incoming"));
}

#[test]
fn on_the_hosts_own_cpu_there_is_nothing_to_translate_and_nothing_to_count() {
    let mut native = spec();
    native.profile.accelerator = Accelerator::Kvm;
    let line = native.arguments().unwrap().join(" ");
    assert!(line.contains("-accel kvm -cpu host"), "{line}");
    assert_ne!(native.fingerprint(), spec().fingerprint());
    native.time = TimeMode::Counted;
    native.arguments().unwrap_err();
}

#[test]
fn a_fingerprint_forgets_folders_and_the_time_and_nothing_else() {
    let one = spec();
    let mut other = spec();
    other.folder = "/elsewhere".into();
    other.kernel_args.push("assay.time=7".into());
    assert_eq!(one.fingerprint(), other.fingerprint());
    other.kernel_args.push("assay.modules=node".into());
    assert_ne!(one.fingerprint(), other.fingerprint());
    let mut counted = spec();
    counted.time = TimeMode::Counted;
    assert_ne!(one.fingerprint(), counted.fingerprint());
}

#[test]
fn counted_time_wants_one_cpu_and_sockets_want_short_paths() {
    let mut counted = spec();
    counted.time = TimeMode::Counted;
    counted.incoming = Some("/c/state".into());
    let line = counted.arguments().unwrap().join(" ");
    assert!(
        line.contains("-icount shift=0,sleep=on -rtc base=utc,clock=vm"),
        "{line}"
    );
    assert!(line.contains("-incoming exec:cat '/c/state'"), "{line}");
    counted.size.cpus = 2;
    let words = counted.arguments().unwrap_err().to_string();
    assert!(words.contains("1 CPU"), "{words}");
    let mut long = spec();
    long.folder = format!("/{}", "x".repeat(100)).into();
    let words = long.arguments().unwrap_err().to_string();
    assert!(words.contains("ASSAY_STATE"), "{words}");
}
