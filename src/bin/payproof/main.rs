//! Validates payments and looks after the store, from the command line.

fn main() {}
