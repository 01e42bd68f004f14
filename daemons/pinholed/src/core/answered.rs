//! Answers to STRs, kept for clients that ask again because the answer was lost.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::effect::Answer;

/// How many are kept.
const KEPT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Answered {
    order: VecDeque<Rc<str>>,
    answers: HashMap<Rc<str>, Answer>,
}

impl Answered {
    pub(super) fn keep(&mut self, session: &Rc<str>, answer: Answer) {
        if self.answers.insert(session.clone(), answer).is_none() {
            self.order.push_back(session.clone());
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    pub(super) fn find(&self, session: &str) -> Option<Answer> {
        self.answers.get(session).cloned()
    }
}
