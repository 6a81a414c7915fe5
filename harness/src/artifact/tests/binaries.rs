//! Binaries that are unfit, each with words that say how.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::super::binary::{self, Kind};
use super::super::{BinaryProblem, find_k3s};
use super::{Bench, elf, host, other};

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs_err::write(path, bytes).expect("writable");
    fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).expect("own file");
}

#[test]
fn a_program_of_this_machine_is_fit() {
    let bench = Bench::new();
    let path = bench.path("k3s");
    write(&path, &elf(host(), 1000), 0o755);
    assert_eq!(binary::examine(&path, host()).expect("fit"), Kind::Elf);
    let this = std::env::current_exe().expect("running");
    assert_eq!(
        binary::examine(&this, host()).expect("this very program is fit"),
        Kind::Elf
    );
    // A file for a guest need not be executable here.
    write(&path, &elf(other(), 1000), 0o644);
    assert_eq!(
        binary::examine(&path, other()).expect("fit there"),
        Kind::Elf
    );
}

#[test]
fn each_defect_has_its_own_words() {
    let bench = Bench::new();
    let path = bench.path("k3s");
    let problem = |bytes: &[u8], mode| {
        write(&path, bytes, mode);
        binary::examine(&path, host()).expect_err("unfit")
    };
    let wrong = problem(&elf(other(), 1000), 0o755);
    assert!(
        matches!(&wrong, BinaryProblem::WrongMachine { wanted, .. } if *wanted == host()),
        "{wrong}"
    );
    assert!(wrong.to_string().contains(&other().to_string()), "{wrong}");
    for cut in [30, 70, 130, 999] {
        let found = problem(&elf(host(), 1000)[..cut], 0o755);
        assert!(
            matches!(found, BinaryProblem::Truncated { .. }),
            "{cut}: {found}"
        );
    }
    for junk in [&b""[..], b"MZ", b"\x7fELF", &[0; 500], b"<html>404</html>"] {
        let found = problem(junk, 0o755);
        assert!(
            matches!(found, BinaryProblem::NotAProgram),
            "{junk:?}: {found}"
        );
    }
    let found = problem(&elf(host(), 1000), 0o644);
    assert!(matches!(found, BinaryProblem::NotExecutable), "{found}");
    assert!(matches!(
        binary::examine(&bench.path("none"), host()),
        Err(BinaryProblem::Missing)
    ));
    assert!(matches!(
        binary::examine(bench.folder.path(), host()),
        Err(BinaryProblem::NotAFile)
    ));
}

#[test]
fn no_header_however_mangled_makes_the_reader_panic() {
    let bench = Bench::new();
    let path = bench.path("k3s");
    let sound = elf(host(), 400);
    for at in 4..128 {
        for value in [0, 1, 2, 0x7f, 0xff] {
            let mut mangled = sound.clone();
            mangled[at] = value;
            write(&path, &mangled, 0o755);
            let _ = binary::examine(&path, host());
        }
    }
}

#[tokio::test]
async fn a_named_binary_that_is_unfit_is_an_error_and_not_passed_over() {
    let bench = Bench::new();
    let good = bench.script("bin/k3s", "echo k3s version v1.99.0+k3s1");
    let silent = bench.script("silent", "exit 3");
    let impostor = bench.script("impostor", "printf 'kubectl \\033[31mversion 1'");
    let hanging = bench.script("hanging", "sleep 1000");
    for (path, words) in [
        (bench.path("none"), "there is no such file"),
        (silent, "printed nothing and exited with 3"),
        (impostor, "printed \"kubectl \\u{1b}[31mversion 1\""),
        (hanging, "did not answer within"),
    ] {
        for by_env in [false, true] {
            let mut request = bench.request(bench.no_mirror());
            request.search_path = Some(good.parent().expect("folder").into());
            *(if by_env {
                &mut request.env
            } else {
                &mut request.flag
            }) = Some(path.clone());
            if words.starts_with("did not") {
                request.patience.version = Duration::from_millis(300);
            }
            let error = find_k3s(&request, &bench.progress).await.expect_err(words);
            let text = error.to_string();
            assert!(text.contains(words), "{text}");
            assert!(
                text.contains(if by_env { "K3S_BINARY" } else { "--k3s-binary" }),
                "{text}"
            );
            assert_eq!(error.exit_code(), 2);
        }
    }
}

#[tokio::test]
async fn a_binary_is_asked_without_any_inherited_variable() {
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
        "something to inherit"
    );
    let bench = Bench::new();
    let body =
        "test -z \"$CARGO_MANIFEST_DIR\" && test ! -e \"$HOME\" && echo k3s version v1.99.0+k3s1";
    let mut request = bench.request(bench.no_mirror());
    request.flag = Some(bench.script("k3s", body));
    let found = find_k3s(&request, &bench.progress)
        .await
        .expect("fit")
        .expect("found");
    assert_eq!(found.version, "v1.99.0+k3s1");
}
