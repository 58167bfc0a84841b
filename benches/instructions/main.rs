//! How many instructions an operation takes.
//!
//! This program does one operation five hundred times, and `scripts/instructions` counts what that takes, under valgrind's
//! callgrind: only what runs inside `measured`. Started without that, as by `cargo bench`, it shows that each one works.
//!
//! Instructions are no times: they say nothing of caches and waits. But the same program takes the same number on a busy
//! machine, so that a change of a few per cent shows at once. All is done on one thread.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a bench may stop at what it did not expect, and its counts are far below 2^52"
)]

#[path = "../validate/checkout.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod checkout;
#[path = "../http_layer/endpoint.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod endpoint;
mod operations;
#[path = "../validate/turns.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod turns;

use crate::operations::{OPERATIONS, Operation};

/// How often an operation is done while it is counted: `scripts/instructions` divides by it.
const TIMES: usize = 500;

fn main() {
    let name = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    for operation in OPERATIONS.iter().filter(|operation| name.as_ref().is_none_or(|name| operation.name == name)) {
        let Operation { name, prepare } = operation;
        // The first ones set up what there is once, such as the runtime's queues.
        let mut work = prepare(TIMES * 2);
        work(TIMES);
        measured(&mut work);
        println!("times {name} {TIMES}");
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured(work: &mut operations::Work) {
    work(TIMES);
}
