//! The rules, each of which reads events.
