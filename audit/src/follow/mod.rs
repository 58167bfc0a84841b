//! Follows a handler through the functions it calls, and yields its events in the order of evaluation.
