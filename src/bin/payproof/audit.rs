//! Audits the sources of a checkout. payproof-audit does the work, and takes the same arguments as a program of its own.

use payproof_audit::program::{self, AuditArgs};
use payproof_audit::report::Outcome;

use crate::status::Status;
use crate::trouble::{Trouble, chain};

pub(crate) fn run(args: &AuditArgs) -> Result<Status, Trouble> {
    let outcome = program::run(args).map_err(|error| Trouble::new(chain(&error)))?;
    Ok(match outcome {
        Outcome::Fine => Status::Fine,
        Outcome::NotFine => Status::NotFine,
        Outcome::CouldNotTell => Status::CouldNotTell,
    })
}
