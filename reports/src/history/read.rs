//! Reading a history back.

use super::{Header, Line, Listing, Mark, Operation, Watched};

/// A whole history, each kind of line in the order in which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// What it is of.
    pub header: Header,
    /// Requests and answers.
    pub operations: Vec<Operation>,
    /// Requests whose end nobody recorded: they may have been applied.
    pub open: Vec<Operation>,
    /// Lists.
    pub listings: Vec<Listing>,
    /// What watches delivered.
    pub watched: Vec<Watched>,
    /// What was done to the server.
    pub marks: Vec<Mark>,
    /// Whether it was closed in order. One that was not is judged as far as it goes.
    pub closed: bool,
}

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HistoryError {
    /// It does not begin with a header.
    #[error("the history does not begin with its header, so it is not assay's or it is empty")]
    NotAHistory,
    /// A line before the last cannot be read.
    #[error("line {line} of the history cannot be read: {reason}")]
    BadLine {
        /// Counted from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self {
            header,
            operations: Vec::new(),
            open: Vec::new(),
            listings: Vec::new(),
            watched: Vec::new(),
            marks: Vec::new(),
            closed: false,
        }
    }

    /// Reads a file's text. A torn last line (the recorder was killed while writing) is left out.
    ///
    /// # Errors
    /// When it is not a history, or is corrupt before its last line.
    pub fn from_text(text: &str) -> Result<Self, HistoryError> {
        let mut lines = text.lines().enumerate();
        let first = lines
            .next()
            .and_then(|(_, line)| serde_json::from_str(line).ok());
        let Some(Line::Header(header)) = first else {
            return Err(HistoryError::NotAHistory);
        };
        let mut history = Self::new(header);
        let mut lines = lines.peekable();
        while let Some((index, line)) = lines.next() {
            match serde_json::from_str(line) {
                Ok(line) => history.take(line),
                Err(_) if lines.peek().is_none() && !text.ends_with('\n') => break,
                Err(error) => {
                    return Err(HistoryError::BadLine {
                        line: index + 1,
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(history)
    }

    /// Takes in one line.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Header(_) => {}
            Line::Intent(intent) => {
                self.open.retain(|open| open.client != intent.client);
                self.open.push(intent);
            }
            Line::Op(operation) => {
                self.open.retain(|open| open.client != operation.client);
                self.operations.push(operation);
            }
            Line::List(listing) => self.listings.push(listing),
            Line::Watch(watched) => self.watched.push(watched),
            Line::Mark(mark) => self.marks.push(mark),
            Line::Closed { .. } => self.closed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Level, Request};
    use super::*;

    fn header() -> Header {
        Header {
            level: Level::Datastore,
            suite: "datastore".into(),
            scenario: "fault_kill".into(),
            part: "fault".into(),
            keys: vec!["/a".into()],
            revision: 1,
            floor: 1,
        }
    }

    fn create(client: u32) -> Operation {
        Operation {
            client,
            call: 1,
            end: 2,
            key: 0,
            request: Request::Create { value: 7 },
            answer: Answer::Written { revision: Some(2) },
        }
    }

    fn text(lines: &[Line]) -> String {
        lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap() + "\n")
            .collect()
    }

    #[test]
    fn what_was_under_way_when_the_recorder_died_stays_open_and_a_torn_tail_is_left_out() {
        let whole = text(&[
            Line::Header(header()),
            Line::Intent(create(1)),
            Line::Intent(create(2)),
            Line::Op(create(1)),
        ]);
        let torn = &whole[..whole.len() - 5];
        let history = History::from_text(torn).unwrap();
        assert_eq!(history.operations, []);
        assert_eq!(history.open.len(), 2);
        let history = History::from_text(&whole).unwrap();
        assert_eq!(history.operations, [create(1)]);
        assert_eq!(history.open, [create(2)]);
        assert!(!history.closed);
    }

    #[test]
    fn what_is_not_a_history_is_said_to_be_none() {
        assert_eq!(History::from_text("{}\n"), Err(HistoryError::NotAHistory));
        let corrupt = text(&[Line::Header(header())]) + "x\n" + &text(&[Line::Closed { at: 1 }]);
        assert!(matches!(
            History::from_text(&corrupt),
            Err(HistoryError::BadLine { line: 2, .. })
        ));
    }
}
