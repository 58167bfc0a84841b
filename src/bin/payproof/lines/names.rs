//! Which column or JSON field of the input holds which field of the command.

use std::sync::Arc;

use crate::trouble::Trouble;

use super::Wanted;
use super::line::{LineFields, short};
use super::preset::Preset;

/// A field, and what the input calls it.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    field: String,
    column: String,
}

/// Reads `payment=PaymentIntent ID`.
pub(super) fn mapping(text: &str) -> Result<Mapping, &'static str> {
    let (field, column) = text.split_once('=').ok_or("must be FIELD=COLUMN, such as payment=\"PaymentIntent ID\"")?;
    let (field, column) = (field.trim().to_ascii_lowercase(), column.trim().to_owned());
    if column.is_empty() {
        return Err("names no column behind the `=`");
    }
    Ok(Mapping { field, column })
}

/// What the input calls each field.
pub(super) struct Names {
    /// The fields that lines hold: those that the command wants, and what a preset needs besides.
    pub(super) fields: Arc<LineFields>,
    required: &'static [&'static str],
    named: Vec<Name>,
    preset: Option<Preset>,
    ignore_unknown: bool,
}

/// Why a column is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// --map names it.
    Mapped,
    /// The command cannot do without its field.
    Required,
}

struct Name {
    field: &'static str,
    column: String,
    is_mapped: bool,
}

impl Names {
    /// A column that is mapped goes before the preset's, and that before the field's own name.
    pub(super) fn new(
        wanted: &Wanted,
        preset: Option<Preset>,
        mappings: &[Mapping],
        ignore_unknown: bool,
    ) -> Result<Self, Trouble> {
        let besides = preset.map(Preset::besides).unwrap_or_default();
        let fields: Vec<&'static str> = wanted.fields.iter().chain(besides).copied().collect();
        let mut named: Vec<Name> = Vec::new();
        for Mapping { field, column } in mappings {
            let Some(field) = wanted.fields.iter().copied().find(|wanted| wanted == field) else {
                let known = wanted.fields.join(", ");
                return Err(Trouble::new(format!("--map: `{}` is not one of the fields {known}", short(field))));
            };
            if named.iter().any(|name| name.field == field) {
                return Err(Trouble::new(format!("--map names a column for the field {field} twice; leave one out")));
            }
            named.push(Name { field, column: column.clone(), is_mapped: true });
        }
        for &field in &fields {
            let column = match preset {
                Some(preset) => preset.column(field),
                None => Some(field),
            };
            if let Some(column) = column.filter(|_| named.iter().all(|name| name.field != field)) {
                named.push(Name { field, column: column.to_owned(), is_mapped: false });
            }
        }
        for (at, name) in named.iter().enumerate() {
            let other = named.iter().skip(at.saturating_add(1)).find(|other| same(&other.column, &name.column));
            if let Some(other) = other {
                let (column, one, two) = (short(&name.column), name.field, other.field);
                return Err(Trouble::new(format!(
                    "the column `{column}` is to hold both {one} and {two}; name another one for either with --map"
                )));
            }
        }
        let called =
            |field: &'static str| named.iter().find(|name| name.field == field).map_or(field, |name| &*name.column);
        let fields = LineFields::new(fields.iter().map(|field| (*field, called(field))));
        // An export has many columns, of which a preset needs a few.
        Ok(Self {
            fields,
            required: wanted.required,
            named,
            preset,
            ignore_unknown: ignore_unknown || preset.is_some(),
        })
    }

    /// The field that a column of this name holds. Names are compared without regard to case, as people write header rows.
    pub(super) fn field_of_column(&self, column: &str) -> Option<&'static str> {
        self.named.iter().find_map(|name| same(&name.column, column).then_some(name.field))
    }

    /// The field that a JSON field of this name holds.
    pub(super) fn field_of_json(&self, json: &str) -> Option<&'static str> {
        self.named.iter().find_map(|name| (name.column == json).then_some(name.field))
    }

    /// Whether all columns are there that are needed.
    pub(super) fn is_whole(&self, found: impl Fn(&str) -> bool) -> bool {
        [Need::Mapped, Need::Required].iter().all(|need| self.missing(*need, &found).next().is_none())
    }

    fn missing(&self, need: Need, found: impl Fn(&str) -> bool) -> impl Iterator<Item = &Name> {
        let is_needed = move |name: &&Name| match need {
            Need::Mapped => name.is_mapped,
            Need::Required => self.required.contains(&name.field),
        };
        self.named.iter().filter(is_needed).filter(move |name| !found(name.field))
    }

    /// Refuses a header row in which a column is missing, by name.
    pub(super) fn refuse_missing(&self, need: Need, found: impl Fn(&str) -> bool) -> Result<(), Trouble> {
        let missing: Vec<&Name> = self.missing(need, found).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let called = |name: &&Name| {
            let Name { field, column, .. } = name;
            if column == field { column.clone() } else { format!("`{}` ({field})", short(column)) }
        };
        let what = missing.iter().map(called).collect::<Vec<_>>().join(", ");
        let advice = match (need, self.preset) {
            (Need::Mapped, _) => "--map must name a column as the header row writes it",
            (Need::Required, Some(preset)) => preset.advice(first.field),
            (Need::Required, None) => {
                "the first row must name the columns; or say which column holds it with --map FIELD=COLUMN"
            }
        };
        Err(Trouble::new(format!("the CSV header row lacks {what}; {advice}")))
    }

    /// Why a name that holds no field is refused, if it is.
    pub(super) fn refusal(&self, what: &str, name: &str) -> Option<String> {
        if self.ignore_unknown {
            return None;
        }
        let known: Vec<&str> = self.named.iter().map(|name| &*name.column).collect();
        Some(format!("the {what} `{}` is not one of {}", short(name), known.join(", ")))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
