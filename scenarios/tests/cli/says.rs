//! One sentence and a next step.

use crate::support::Ended;

pub trait Says {
    /// Exactly one line on standard error, and it has each of these words in it.
    fn says(&self, words: &[&str]) -> &Self;
}

impl Says for Ended {
    #[track_caller]
    fn says(&self, words: &[&str]) -> &Self {
        let lines = self.stderr.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "one sentence: {}", self.stderr);
        for word in words {
            assert!(lines[0].contains(word), "{word:?} in {:?}", lines[0]);
        }
        self
    }
}
