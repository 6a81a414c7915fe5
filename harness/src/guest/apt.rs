//! Debian's arm64 packages through the host's apt, with a state of its own: the host's packages, lists and
//! architectures are neither read nor touched. apt verifies the signatures; the sums are verified here again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};

use super::bundle;
use super::error::GuestError;
use super::tool::Tool;

/// A package in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name, such as `perl-base`.
    pub name: String,
    /// Its version, such as `5.36.0-7+deb12u4`.
    pub version: String,
    /// The sum of its `.deb`, from the signed index.
    pub sha256: String,
}

/// An apt with a state of its own, in a folder that the caller removes.
pub(super) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Sets it up and fetches the lists of packages.
    ///
    /// # Errors
    /// When apt is missing, or no source can be reached.
    pub(super) async fn open(folder: &Path, sources: &str) -> Result<Self, GuestError> {
        let apt = Self {
            folder: folder.to_owned(),
        };
        let host = apt.tool("apt-config", "read the host's settings of apt", 30);
        // Proxies and the like are the host's, or nothing would be reached.
        let settings = host
            .run(
                |command| {
                    command.env_remove("APT_CONFIG").arg("dump");
                },
                None,
                folder,
            )
            .await?;
        apt.lay_out(sources, &String::from_utf8_lossy(&settings))
            .map_err(|error| GuestError::file("write", folder, error))?;
        let update = apt.tool("apt-get", "fetch the lists of arm64 packages", 300);
        let configure = |command: &mut tokio::process::Command| {
            // Without the option, lists that could not be fetched are a warning.
            command.args(["-qq", "-o", "APT::Update::Error-Mode=any", "update"]);
        };
        apt.run(update, configure).await.map_err(unreachable)?;
        Ok(apt)
    }

    fn lay_out(&self, sources: &str, host: &str) -> std::io::Result<()> {
        for name in [
            "state/lists/partial",
            "cache/archives/partial",
            "sources.d",
            "preferences.d",
            "debs",
        ] {
            fs_err::create_dir_all(self.folder.join(name))?;
        }
        fs_err::write(self.folder.join("state/status"), "")?;
        fs_err::write(self.folder.join("sources.d/guest.sources"), sources)?;
        fs_err::write(
            self.folder.join("apt.conf"),
            configuration(&self.folder, host),
        )
    }

    /// What is installed when these packages are, less what no guest needs.
    ///
    /// # Errors
    /// When one is unknown.
    pub(super) async fn closure(&self, packages: &[&str]) -> Result<Vec<Package>, GuestError> {
        let chosen = self.simulate(packages).await?;
        self.describe(
            chosen
                .into_iter()
                .filter(|(name, _)| !bundle::is_needless(name))
                .collect(),
        )
        .await
    }

    /// The kernel's own package behind the name that always means the newest.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn kernel(&self) -> Result<Package, GuestError> {
        let all = self.simulate(&[bundle::KERNEL]).await?;
        let versioned = |(name, _): &(String, String)| {
            let rest = name.strip_prefix("linux-image-");
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        };
        let kernel: Vec<_> = all.into_iter().filter(versioned).collect();
        let mut described = self.describe(kernel).await?;
        described
            .pop()
            .ok_or_else(|| anyhow!("failed to find the kernel behind {}", bundle::KERNEL).into())
    }

    async fn simulate(&self, packages: &[&str]) -> Result<Vec<(String, String)>, GuestError> {
        let tool = self.tool("apt-get", "resolve the guest's packages", 60);
        let said = self
            .run(tool, |command| {
                command.args(["-qq", "-s", "install"]).args(packages);
            })
            .await?;
        Ok(parse_simulation(&String::from_utf8_lossy(&said)))
    }

    async fn describe(&self, chosen: Vec<(String, String)>) -> Result<Vec<Package>, GuestError> {
        let tool = self.tool("apt-cache", "read the sums of the guest's packages", 60);
        let said = self
            .run(tool, |command| {
                command.args(["show", "--no-all-versions"]);
                command.args(
                    chosen
                        .iter()
                        .map(|(name, version)| format!("{name}={version}")),
                );
            })
            .await?;
        let mut known = parse_show(&String::from_utf8_lossy(&said));
        known.retain(|package| {
            chosen
                .iter()
                .any(|(name, version)| *name == package.name && *version == package.version)
        });
        known.sort();
        known.dedup();
        if known.len() != chosen.len() {
            return Err(anyhow!(
                "failed to read the sums of the guest's packages: apt tells of {} of {}",
                known.len(),
                chosen.len()
            )
            .into());
        }
        Ok(known)
    }

    /// Downloads packages and gives the files that were made, in no order.
    ///
    /// # Errors
    /// When one cannot be had.
    pub(super) async fn download(&self, packages: &[&Package]) -> Result<Vec<PathBuf>, GuestError> {
        let debs = self.folder.join("debs");
        let tool = self.tool("apt-get", "download the guest's packages", 590);
        self.run(tool, |command| {
            command.current_dir(&debs).args(["-qq", "download"]);
            command.args(
                packages
                    .iter()
                    .map(|package| format!("{}={}", package.name, package.version)),
            );
        })
        .await
        .map_err(unreachable)?;
        let listed = fs_err::read_dir(&debs).context("failed to list the downloaded packages")?;
        Ok(listed.flatten().map(|entry| entry.path()).collect())
    }

    fn tool<'a>(&self, program: &'a str, what: &'a str, seconds: u64) -> Tool<'a> {
        Tool {
            program,
            package: "apt",
            what,
            deadline: Duration::from_secs(seconds),
        }
    }

    async fn run(
        &self,
        tool: Tool<'_>,
        configure: impl FnOnce(&mut tokio::process::Command),
    ) -> Result<Vec<u8>, GuestError> {
        let ours = |command: &mut tokio::process::Command| {
            command.env("APT_CONFIG", self.folder.join("apt.conf"));
            configure(command);
        };
        tool.run(ours, None, &self.folder).await
    }
}

/// A host that cannot reach its own mirror can build no guest: that is its lack and not a failure of ours.
fn unreachable(error: GuestError) -> GuestError {
    let GuestError::Failed(error) = error else {
        return error;
    };
    let text = format!("{error:#}");
    let offline = [
        "Could not resolve",
        "Could not connect",
        "Connection failed",
        "Temporary failure",
        "Unable to connect",
        "Network is unreachable",
    ];
    if offline.iter().any(|words| text.contains(words)) {
        return GuestError::Unavailable(format!(
            "no guest without a network to Debian's mirror ({text}): give a built guest with --guest-bundle"
        ));
    }
    GuestError::Failed(error)
}

fn configuration(folder: &Path, host: &str) -> String {
    let at = folder.display();
    let mut text = format!(
        "APT::Architecture \"arm64\";\nAPT::Architectures {{ \"arm64\"; }};\nDir::State \"{at}/state\";\n\
         Dir::State::status \"{at}/state/status\";\nDir::Cache \"{at}/cache\";\nDir::Etc::Parts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"{at}/sources.d\";\n\
         Dir::Etc::preferences \"/dev/null\";\nDir::Etc::preferencesparts \"{at}/preferences.d\";\n\
         APT::Install-Recommends \"false\";\nAPT::Install-Suggests \"false\";\nAPT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n"
    );
    const KEPT: &[&str] = &[
        "Acquire::http",
        "Acquire::Proxy",
        "Acquire::Retries",
        "Acquire::Check-",
        "Acquire::ForceIPv",
    ];
    for line in host
        .lines()
        .filter(|line| KEPT.iter().any(|kept| line.starts_with(kept)))
    {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("Acquire::AllowInsecureRepositories \"false\";\nAPT::Get::AllowUnauthenticated \"false\";\n");
    text
}

/// Lines `Inst name (version origin [arch])`.
fn parse_simulation(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("Inst ")?.split_whitespace();
        let name = words.next()?.split(':').next()?.to_owned();
        let version = words.find_map(|word| word.strip_prefix('('))?;
        Some((name, version.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn parse_show(text: &str) -> Vec<Package> {
    let stanza = |stanza: &str| {
        let field = |name: &str| {
            let value = stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(|value| value.trim().to_owned())
        };
        Some(Package {
            name: field("Package")?,
            version: field("Version")?,
            sha256: field("SHA256")?,
        })
    };
    text.split("\n\n").filter_map(stanza).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_says_is_read() {
        let said = "NOTE: This is only a simulation!\nInst gcc-12-base (12.2.0-14+deb12u1 Debian:12.11/oldstable [arm64])\n\
            Inst libacl1 [1.0] (2.3.1-3 Debian:12.11/oldstable [arm64]) []\nConf libacl1 (2.3.1-3 Debian [arm64])\n";
        let read = parse_simulation(said);
        let expected = [("gcc-12-base", "12.2.0-14+deb12u1"), ("libacl1", "2.3.1-3")];
        assert_eq!(
            read,
            expected.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );

        let shown = parse_show(
            "Package: a\nVersion: 1:2\nDescription: x\n SHA256: no\nSHA256: abc\n\nPackage: b\nVersion: 3\n\n",
        );
        assert_eq!(
            shown,
            [Package {
                name: "a".into(),
                version: "1:2".into(),
                sha256: "abc".into()
            }]
        );
    }

    #[test]
    fn the_hosts_proxy_is_kept_and_its_laxity_is_not() {
        let host = "Acquire::http::Proxy \"http://p:3142\";\nAcquire::AllowInsecureRepositories \"true\";\n\
            Dir \"/\";\nDPkg::Post-Invoke:: \"rm -rf\";\n";
        let text = configuration(Path::new("/c"), host);
        assert!(
            text.contains("http://p:3142")
                && !text.contains("\"true\"")
                && !text.contains("Post-Invoke")
        );
        assert!(text.contains("Dir::State \"/c/state\""));
    }
}
