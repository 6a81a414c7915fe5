//! Hostile text: whatever came from the device under test is made harmless here, once per format.
//!
//! Every format starts from [`plain`], which removes what a terminal, an XML parser or a browser could act on.

/// The longest piece of evidence or log that a report shows, in characters.
pub const LONG: usize = 6000;
/// The longest name, title or reason that a report shows, in characters.
pub const SHORT: usize = 600;

/// Text without escape sequences, control characters and direction overrides, cut to `cap` characters.
/// Newlines and tabs stay; what was removed is shown as U+FFFD, except for well-formed colour sequences.
#[must_use]
pub fn plain(text: &str, cap: usize) -> String {
    let mut out = String::new();
    let mut kept = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if kept == cap {
            out.push('…');
            break;
        }
        match c {
            '\r' if rest.peek() == Some(&'\n') => continue,
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                while let Some(inner) = rest.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)) {
                    let _ = inner;
                }
                let _ = rest.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
                continue;
            }
            '\n' | '\t' => out.push(c),
            c if is_unsafe(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
        kept += 1;
    }
    out
}

/// Control characters, direction overrides (which make text read otherwise than it is), and what XML forbids.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(
            c,
            '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// [`plain`] in one line.
#[must_use]
pub fn line(text: &str) -> String {
    plain(text, SHORT)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Escapes for HTML text and quoted attributes. The text is made plain first.
#[must_use]
pub fn html(text: &str) -> String {
    escape_markup(&line(text))
}

/// Like [`html`], for blocks that keep their lines.
#[must_use]
pub fn html_block(text: &str) -> String {
    escape_markup(&plain(text, LONG))
}

fn escape_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes for GitHub-flavoured Markdown, safe inside a table cell: markup characters become entities or
/// are preceded by a backslash, and there are no line breaks.
#[must_use]
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_controls_go() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m", 99), "red");
        assert_eq!(
            plain("a\u{1b}]0;title\u{7}b", 99),
            "a\u{fffd}]0;title\u{fffd}b"
        );
        assert_eq!(plain("\u{1b}\u{1b}[1m[2J", 99), "\u{fffd}[2J");
        assert_eq!(
            plain("a\r\nb\rc\0\u{202e}\u{9b}", 99),
            "a\nb\u{fffd}c\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(plain("\u{1b}[", 99), "");
    }

    #[test]
    fn text_is_capped() {
        assert_eq!(plain("abcdef", 3), "abc…");
        assert_eq!(plain("abc", 3), "abc");
        assert!(line(&"x".repeat(10_000)).chars().count() <= SHORT + 1);
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            html("<script>alert('x')</script>&\"\n]]>"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot; ]]&gt;"
        );
        assert_eq!(html_block("a\n<b>"), "a\n&lt;b&gt;");
        assert_eq!(
            markdown("a|b\n<img> [x](y) *z* `q` @me"),
            "a\\|b &lt;img&gt; \\[x\\](y) \\*z\\* \\`q\\` &#64;me"
        );
    }
}
