//! Secrets in text that others wrote: K3s tokens, bearer tokens, JSON web tokens, passwords.
//!
//! It errs towards hiding: a word too much hidden costs a reader a look into the server's own log.

const HIDDEN: &str = "[redacted]";

/// Replaces K3s tokens (`K10<hash>::server:<password>`), JSON web tokens, bearer tokens, and the values of keys and
/// flags that name a secret (`--token x`, `password=x`, `"token": "x"`).
#[must_use]
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if !is_word(c) {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, after) = split(rest, is_word);
        if let Some(length) = token(rest) {
            out.push_str(HIDDEN);
            rest = &rest[length..];
        } else if let Some(lead) = leads_to_secret(word, after) {
            out.push_str(word);
            out.push_str(&after[..lead]);
            rest = hide(&after[lead..], &mut out);
        } else {
            out.push_str(word);
            rest = after;
        }
    }
    out
}

/// The same for the words of a command line, of which one may name the secret and the next be it.
#[must_use]
pub fn redact_words(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut follows = false;
    let hide = |word: String| {
        let hidden = std::mem::replace(&mut follows, is_secret_flag(&word));
        if hidden {
            HIDDEN.to_owned()
        } else {
            redact(&word)
        }
    };
    words.into_iter().map(hide).collect()
}

/// The same for variables and their values.
#[must_use]
pub fn redact_pairs(pairs: &[(String, String)]) -> std::collections::BTreeMap<String, String> {
    let hide = |(name, value): &(String, String)| {
        let shown = redact(&format!("{name}={value}"));
        let value = shown.split_once('=').map(|(_, value)| value.to_owned());
        (name.clone(), value.unwrap_or_else(|| HIDDEN.to_owned()))
    };
    pairs.iter().map(hide).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The length of the token that a text begins with, if it does.
fn token(text: &str) -> Option<usize> {
    if text.starts_with("K10") {
        let (all, _) = split(text, |c| !c.is_whitespace() && !is_quote(c));
        return all.contains("::").then_some(all.len());
    }
    if text.starts_with("eyJ") {
        let (all, _) = split(text, is_word);
        return all.contains('.').then_some(all.len());
    }
    None
}

/// How far behind a word its secret begins: behind `: `, `="`, `":"` after a key, behind a space after a flag or
/// `Bearer`. `None`: there is none.
fn leads_to_secret(word: &str, after: &str) -> Option<usize> {
    let (space, value) = split(after, |c| c == ' ');
    if !space.is_empty() && !value.is_empty() && is_secret_flag(word) {
        return Some(space.len());
    }
    if !is_secret_key(word) {
        return None;
    }
    let value = after
        .trim_start_matches(['"', '\'', '\\'])
        .trim_start_matches(' ');
    let value = value.strip_prefix([':', '='])?;
    let value = value.trim_start_matches(' ');
    (!value.is_empty()).then(|| after.len() - value.len())
}

/// Hides the value that a text begins with; returns what follows it.
fn hide<'a>(text: &'a str, out: &mut String) -> &'a str {
    let opened = text.trim_start_matches('\\');
    if let Some(quote) = opened.chars().next().filter(|c| is_quote(*c)) {
        out.push(quote);
        out.push_str(HIDDEN);
        let inside = &opened[1..];
        // A value that was never closed is hidden to its end.
        return inside.find(quote).map_or("", |at| &inside[at..]);
    }
    let (value, rest) = split(text, |c| {
        !c.is_whitespace() && !matches!(c, ',' | ';' | '&' | '}' | '"')
    });
    if matches!(value.to_ascii_lowercase().as_str(), "bearer" | "basic") {
        let (space, secret) = split(rest, |c| c == ' ');
        out.push_str(value);
        out.push_str(space);
        return hide(secret, out);
    }
    if !value.is_empty() {
        out.push_str(HIDDEN);
    }
    rest
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'')
}

/// A word behind which a secret stands after a space.
fn is_secret_flag(word: &str) -> bool {
    word.eq_ignore_ascii_case("bearer") || (word.starts_with('-') && is_secret_key(word))
}

/// A word behind which a secret stands after `:` or `=`.
fn is_secret_key(word: &str) -> bool {
    let key = word
        .trim_matches('-')
        .to_ascii_lowercase()
        .replace(['-', '.'], "_");
    let is = |name: &str| key == name || key.strip_suffix(name).is_some_and(|k| k.ends_with('_'));
    [
        "token",
        "password",
        "passwd",
        "secret",
        "authorization",
        "private_key",
        "key_data",
        "api_key",
        "access_key",
    ]
    .into_iter()
    .any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(text: &str, redacted: &str) {
        assert_eq!(redact(text), redacted);
        assert_eq!(redact(redacted), redacted, "a second time changes nothing");
    }

    #[test]
    fn secrets_do_not_pass() {
        becomes(
            "join with K10abc::server:pw! now",
            "join with [redacted] now",
        );
        becomes(
            "k3s server --token hunter2 -v",
            "k3s server --token [redacted] -v",
        );
        becomes(
            "Authorization: Bearer abc.def x",
            "Authorization: Bearer [redacted] x",
        );
        becomes("--token=hunter2 x", "--token=[redacted] x");
        becomes(
            "K3S_TOKEN='a b', password: c",
            "K3S_TOKEN='[redacted]', password: [redacted]",
        );
        becomes(
            r#"{"token":"a","password": "b","n":1}"#,
            r#"{"token":"[redacted]","password": "[redacted]","n":1}"#,
        );
        becomes("jwt eyJhbG.eyJz.sig.", "jwt [redacted]");
        becomes("client-key-data: LS0t", "client-key-data: [redacted]");
        becomes(
            "GET /x?token=abc&watch=1",
            "GET /x?token=[redacted]&watch=1",
        );
        becomes("password=\"never closed", "password=\"[redacted]");
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "Node token is available at /var/lib/rancher/k3s/server/token",
            "level=info msg=\"Running kube-apiserver --secure-port=6444\" K10",
            "key: value, tokens=3, the secret life of ünïcode — a password",
            "",
            "bearer",
            "token:",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn the_words_of_a_command_line_hang_together() {
        let words = ["k3s", "--token", "pw", "--agent-token=pw", "-v"].map(str::to_owned);
        let redacted = ["k3s", "--token", HIDDEN, "--agent-token=[redacted]", "-v"];
        assert_eq!(redact_words(words), redacted);
    }
}
