//! What you get and what you pay, as a table to read before choosing.

use std::fmt::Write as _;

use crate::record::RunRecord;
use crate::stores::{self, Bargain, Line};
use crate::tables::NONE;
use crate::text::html as escape;

pub(super) fn render(run: &RunRecord) -> String {
    stores::bargains(run).iter().map(bargain).collect()
}

fn bargain(bargain: &Bargain) -> String {
    let mut out = format!(
        "<h3>{}</h3>\n<div class=\"scroll\"><table class=\"bargain\">\n<tr><th></th>",
        escape(&bargain.title)
    );
    for store in &bargain.stores {
        let _ = write!(out, "<th>{}</th>", escape(store));
    }
    if bargain.compared() {
        out.push_str("<th>difference</th>");
    }
    out.push_str("</tr>\n");
    let columns = bargain.stores.len() + 1 + usize::from(bargain.compared());
    for (section, lines) in &bargain.sections {
        let _ = writeln!(out, "<tr><th colspan=\"{columns}\">{section}</th></tr>");
        for line in lines {
            row(&mut out, line, bargain.compared());
        }
    }
    out.push_str("</table></div>\n");
    let (reading, reasons) = match bargain.footnotes().split_last() {
        Some((last, rest)) => (last.clone(), rest.to_vec()),
        None => Default::default(),
    };
    let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&reading));
    for reason in reasons {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(&reason));
    }
    out
}

fn row(out: &mut String, line: &Line, compared: bool) {
    let _ = write!(out, "<tr><td>{}</td>", escape(&line.question));
    for answer in &line.answers {
        let (figure, behind) = answer.parts(line.show);
        let _ = write!(out, "<td>{}", escape(&figure));
        if !behind.is_empty() {
            let _ = write!(out, "<small>{}</small>", escape(&behind));
        }
        out.push_str("</td>");
    }
    if compared {
        let words = line.difference.as_deref().unwrap_or(NONE);
        let _ = write!(out, "<td>{}</td>", escape(words));
    }
    out.push_str("</tr>\n");
}
