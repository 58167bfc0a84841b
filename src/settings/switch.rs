//! Switches in the environment: variables that turn something on or off.
//!
//! A switch that is set to something else is refused: read as off, it would leave undone what its operator asked for, and
//! say nothing.

use crate::settings::build_error::BuildError;

/// What an environment variable says. Text that is not UTF-8 comes with replacement characters: refused, and not unset.
pub(crate) fn variable(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

/// Whether the switch of this name is on or off; `None` where it is unset, empty or blank.
///
/// # Errors
/// For any other text. It is not repeated: it may be meant for another variable, and be a secret.
pub(crate) fn read(name: &str, value: Option<&str>) -> Result<Option<bool>, BuildError> {
    match &*value.unwrap_or_default().trim().to_ascii_lowercase() {
        "" => Ok(None),
        "1" | "true" | "yes" | "on" => Ok(Some(true)),
        "0" | "false" | "no" | "off" => Ok(Some(false)),
        _ => Err(BuildError::Environment {
            variable: name.to_owned(),
            rule: "must be true or false (or 1, yes, on, or 0, no, off)".to_owned(),
        }),
    }
}

/// Whether the environment's switch with these two names is on or off; one of them may be set, or both alike.
///
/// # Errors
/// As for [`read`], and where one is on and the other is off.
#[cfg(feature = "tower")]
pub(crate) fn read_either(names: [&str; 2]) -> Result<Option<bool>, BuildError> {
    let [first, second] = names.map(|name| read(name, variable(name).as_deref()));
    match (first?, second?) {
        (Some(first), Some(second)) if first != second => {
            let [one, other] = names;
            let rule = format!("contradicts {other}: one is on and the other is off; unset one of them");
            Err(BuildError::Environment { variable: one.to_owned(), rule })
        }
        (first, second) => Ok(first.or(second)),
    }
}
