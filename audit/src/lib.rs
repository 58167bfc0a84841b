//! Finds where a checkout's API acts twice, believes the browser, or answers the wrong tenant.
//!
//! Files become [`model::FileFacts`], whatever their language; [`judge`] follows each route's handler through the tree's own
//! functions, which yields events in the order of evaluation, and holds the rules against them. Nothing is executed, nothing is
//! asked over a network, and nothing outside the given tree is read.

mod allow;
pub mod baseline;
mod examine;
mod explain;
mod follow;
mod judge;
mod library;
pub mod model;
pub mod openapi;
mod parse;
pub mod program;
pub mod report;
mod routes;
mod rules;
mod rust;
pub mod script;
pub mod settings;
pub mod shown;
mod threads;
pub mod walk;

pub use examine::{Examination, ExamineError, examine};
pub use judge::{Judged, judge};
pub use library::Progress;
