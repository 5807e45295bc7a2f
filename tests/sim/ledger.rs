//! [`Ledger`]: what was asked, and what became of it.

use std::collections::{HashMap, HashSet};

/// What was asked, and what became of it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By body, and whether it kills who works on it.
    asked: HashMap<String, bool>,
    answered: HashSet<String>,
    dead: HashSet<String>,
}

impl Ledger {
    pub fn ask(&mut self, body: &str, kills: bool) {
        self.asked.insert(body.to_owned(), kills);
    }

    pub fn answer(&mut self, body: &str) {
        assert!(self.asked.contains_key(body), "{body} was never asked");
        assert!(self.answered.insert(body.to_owned()), "{body} was answered twice");
    }

    pub fn give_up(&mut self, body: &str) {
        self.dead.insert(body.to_owned());
    }

    pub fn kills(&self, body: &str) -> bool {
        self.asked.get(body).copied().unwrap_or(false)
    }

    pub fn is_dead(&self, body: &str) -> bool {
        self.dead.contains(body)
    }

    pub fn answered(&self) -> usize {
        self.answered.len()
    }
}
