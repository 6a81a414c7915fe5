//! One client: it asks one thing at a time.

use std::cell::RefCell;

use reports::history::{Answer, Key, Operation, Request};

use super::keys::{Ask, Keys};
use crate::load::recorder::Handle;
use crate::load::store::Store;
use crate::load::tally::Kind;

/// See the module.
pub struct Client {
    pub store: Store,
    pub history: Option<Handle>,
    /// Its number in the history.
    pub number: u32,
    pub keys: RefCell<Keys>,
    pub value_bytes: usize,
    pub page: u32,
}

impl Client {
    /// Asks what a mix draws, and gives what it was and what was answered.
    pub async fn step(&self, mix: &crate::load::workload::Mix) -> (Kind, Answer) {
        let ask = self.keys.borrow_mut().next(mix);
        let answer = match ask {
            Ask::Key(key, request) => self.ask(key, request).await,
            Ask::Page => match self.store.first_page(self.page).await {
                Ok(_) => Answer::Read {
                    found: None,
                    revision: None,
                },
                // A list writes nothing.
                Err(error) => Answer::Refused {
                    reason: error.to_string(),
                },
            },
        };
        (ask.kind(), answer)
    }

    /// Asks one thing of one key, records it and learns from it.
    async fn ask(&self, key: Key, request: Request) -> Answer {
        let mut operation = self.history.as_ref().map(|history| {
            let operation = Operation {
                client: self.number,
                call: history.now(),
                end: 0,
                key,
                request,
                answer: Answer::Unknown {
                    reason: String::new(),
                },
            };
            // A read that nobody answered says nothing, so only writes are announced.
            if request != Request::Get {
                history.intent(operation.clone());
            }
            operation
        });
        let answer = self.store.send(key, request, self.value_bytes).await;
        if let (Some(history), Some(mut operation)) = (&self.history, operation.take()) {
            operation.end = history.now();
            operation.answer = answer.clone();
            history.op(operation);
        }
        self.keys.borrow_mut().learn(key, request, &answer);
        answer
    }

    /// Creates all its keys that do not exist.
    pub async fn fill(&self) -> anyhow::Result<()> {
        loop {
            let next = self.keys.borrow_mut().fill();
            let Some((key, request)) = next else {
                return Ok(());
            };
            match self.ask(key, request).await {
                Answer::Written { .. } | Answer::Conflict { .. } => {}
                Answer::Refused { reason } | Answer::Unknown { reason } => {
                    anyhow::bail!("failed to create the keys of a workload: {reason}")
                }
                Answer::Read { .. } => {}
            }
        }
    }
}
