//! apt's sources: which of the host's are its distribution's own, so that the guest comes from the same release
//! through the same mirror and under the same keys.

use std::path::Path;

/// One source of packages, of either format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub uris: Vec<String>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
    /// A keyring's path or an embedded key; without it, the keys that the host trusts for everything.
    pub signed_by: Option<String>,
}

impl Source {
    /// As a stanza of deb822. What the host said of trust is left behind: signatures are verified.
    pub(super) fn stanza(&self) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: {}\n",
            self.uris.join(" "),
            self.suites.join(" "),
            self.components.join(" ")
        );
        if let Some(keys) = &self.signed_by {
            text.push_str(&format!("Signed-By: {keys}\n"));
        }
        text.push('\n');
        text
    }

    /// This source with only the release's own suites. `None` when none is left: somebody else's repository.
    fn of_release(mut self, codename: &str) -> Option<Self> {
        let own = [
            codename.to_owned(),
            format!("{codename}-updates"),
            format!("{codename}-security"),
            format!("{codename}/updates"),
        ];
        self.suites.retain(|suite| own.contains(suite));
        self.components.retain(|component| component == "main");
        let whole = !self.uris.is_empty() && !self.suites.is_empty() && !self.components.is_empty();
        whole.then_some(self)
    }
}

/// Parses `*.sources` (deb822). Stanzas that are switched off or are of source packages only are left out.
pub(super) fn parse_deb822(text: &str) -> Vec<Source> {
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas = text.split(|line| line.trim().is_empty());
    stanzas.filter_map(stanza).collect()
}

fn stanza(lines: &[&str]) -> Option<Source> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            // A key in full goes over many lines, and keeps them.
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    };
    let words = |wanted: &str| -> Vec<String> {
        let value = field(wanted).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let off = field("enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
    if off || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by"),
    })
}

/// Parses `*.list`: `deb [option=value …] uri suite component …`.
pub(super) fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_line).collect()
}

fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None; // deb-src
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let source = Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(|keys| keys.replace(',', " ")),
    };
    Some(source)
}

/// The sources of the host's own release, from its folder of configuration (`/etc/apt`).
pub(super) fn of_host(apt: &Path, codename: &str) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(folder) = fs_err::read_dir(apt.join("sources.list.d")) {
        let mut more: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let read = files.iter().flat_map(|path| {
        let text = fs_err::read_to_string(path).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => parse_list(&text),
            Some("sources") => parse_deb822(&text),
            _ => Vec::new(), // apt passes such files over, too
        }
    });
    read.filter_map(|source| source.of_release(codename))
        .collect()
}

/// `VERSION_CODENAME` of an os-release file, when it is Debian's.
pub(super) fn debian_codename(os_release: &str) -> Option<String> {
    let field = |name: &str| {
        os_release.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.trim_matches('"').to_owned())
        })
    };
    (field("ID")? == "debian").then(|| field("VERSION_CODENAME"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\n\
        Suites: bookworm bookworm-updates bookworm-backports\nComponents: main contrib\n\
        Signed-By: /usr/share/keyrings/k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://off.example\n\
        Suites: bookworm\nComponents: main\n\nTypes: deb-src\nURIs: http://src.example\nSuites: bookworm\n\
        Components: main\n\nTypes: deb\nURIs: http://else.example\nSuites: bookworm\nComponents: stable\n\
        Signed-By:\n -----BEGIN\n .\n -----END\n";

    #[test]
    fn deb822_is_read_without_what_is_off_or_only_sources() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2);
        assert_eq!(
            sources[0].signed_by.as_deref(),
            Some("/usr/share/keyrings/k.gpg")
        );
        assert_eq!(
            sources[1].signed_by.as_deref(),
            Some("\n -----BEGIN\n .\n -----END")
        );
        let own: Vec<_> = sources
            .into_iter()
            .filter_map(|s| s.of_release("bookworm"))
            .collect();
        assert_eq!(
            own.len(),
            1,
            "only what has `main` of the release is Debian's own"
        );
        assert_eq!(
            own[0].stanza(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
             Components: main\nSigned-By: /usr/share/keyrings/k.gpg\n\n"
        );
    }

    #[test]
    fn the_old_format_is_read_with_its_options() {
        let sources = parse_list(
            "# deb http://commented.example bookworm main\n\
             deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://a.example/debian bookworm main non-free # why\n\
             deb-src http://a.example/debian bookworm main\ndeb http://b.example bookworm-security main\nbroken\n",
        );
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(sources[0].components, ["main", "non-free"]);
        assert_eq!(sources[1].uris, ["http://b.example"]);
        assert!(!sources[0].stanza().contains("rusted"));
    }

    #[test]
    fn only_debian_has_a_codename_here() {
        assert_eq!(
            debian_codename("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(),
            Some("bookworm")
        );
        assert_eq!(debian_codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(debian_codename(""), None);
    }
}
