//! What the doctor says, one line for each thing it looked at: for people, or as JSON.

use serde_json::json;

use crate::output::{GREEN, Paint, RED, YELLOW, plain, print};
use crate::status::Status;
use crate::trouble::Trouble;

/// What is said of one thing.
#[derive(Clone, Copy)]
pub(crate) enum Level {
    Fine,
    Note,
    Warning,
    Error,
    Unknown,
}

pub(crate) struct DoctorReport {
    pub(crate) paint: Paint,
    pub(crate) is_json: bool,
    pub(crate) worst: Status,
}

impl DoctorReport {
    pub(crate) fn say(&mut self, level: Level, subject: &str, text: &str) -> Result<(), Trouble> {
        let (mark, name, status) = match level {
            Level::Fine => (self.paint.with(GREEN, "ok  "), "ok", Status::Fine),
            Level::Note => ("note".to_owned(), "note", Status::Fine),
            Level::Warning => (self.paint.with(YELLOW, "warn"), "warning", Status::NotFine),
            Level::Error => (self.paint.with(RED, "FAIL"), "error", Status::NotFine),
            Level::Unknown => (self.paint.with(YELLOW, "?   "), "unknown", Status::CouldNotTell),
        };
        self.worst = self.worst.max(status);
        if self.is_json {
            return print(&format!("{}\n", json!({ "level": name, "subject": subject, "text": plain(text) })));
        }
        print(&format!("{mark}  {subject:<9} {}\n", plain(text)))
    }
}
