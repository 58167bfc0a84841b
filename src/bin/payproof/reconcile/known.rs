//! What a person has accepted, as a file lists it.

use std::fs::File;
use std::path::Path;

use payproof::reconcile::{DiscrepancyClass, KnownDiscrepancy};

use crate::lines::{InputLines, Line, LineError, LinesArgs, Wanted};
use crate::output::note;
use crate::trouble::Trouble;

use super::times::Times;

const ACCEPTED: Wanted =
    Wanted { fields: &["class", "payment", "tenant", "order", "reason", "until"], required: &["class", "reason"] };

/// Reads all of a file. One line that cannot be used refuses it, since the person who wrote it believes that it counts.
pub(crate) fn read(path: &Path, times: &Times) -> Result<Vec<KnownDiscrepancy>, Trouble> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Trouble::because(&format!("{name} cannot be opened"), &error))?;
    let mut lines = InputLines::open(&name, file, &ACCEPTED, &LinesArgs::default())?;
    let (mut known, mut over) = (Vec::new(), 0_u64);
    while let Some(line) = lines.next()? {
        let (accepted, is_over) = accepted(&line, times).map_err(|error| {
            Trouble::new(format!("{name}, line {}: {error}; mend it, so that the others count", line.number))
        })?;
        over = over.saturating_add(u64::from(is_over));
        known.push(accepted);
    }
    if over > 0 {
        note(&format_args!(
            "{name}: {over} of {} are over, and count again; remove them, or say a later `until`",
            known.len()
        ));
    }
    Ok(known)
}

fn accepted(line: &Line, times: &Times) -> Result<(KnownDiscrepancy, bool), LineError> {
    let values = line.usable()?;
    let class = DiscrepancyClass::parse(values.needed("class")?).ok_or_else(|| {
        let codes = DiscrepancyClass::ALL.map(DiscrepancyClass::code);
        LineError::field("class", format!("must be one of: {}", codes.join(", ")))
    })?;
    let (payment, order) = (values.get("payment"), values.get("order"));
    if payment.is_none() && order.is_none() {
        return Err(LineError::line("names neither a payment nor an order"));
    }
    let until = values.get("until").map(|until| times.bound(until)).transpose();
    let until = until.map_err(|rule| LineError::field("until", rule))?;
    let known = KnownDiscrepancy::new(class, values.needed("reason")?);
    let known = payment.into_iter().fold(known, KnownDiscrepancy::with_payment);
    let known = order.into_iter().fold(known, KnownDiscrepancy::with_order);
    let known = values.get("tenant").into_iter().fold(known, KnownDiscrepancy::with_tenant);
    Ok((until.into_iter().fold(known, KnownDiscrepancy::until), until.is_some_and(|until| until <= times.now())))
}
