//! Arguments that cannot be used, in one line, and what was asked about the program itself.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::output::{complain, print};
use crate::status::Status;
use crate::trouble::Trouble;

/// Prints help to standard output, and a complaint to standard error.
pub(crate) fn answer(error: &Error) -> Status {
    let printed = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => print(&error.render().to_string()),
        _ => Err(complaint(error)),
    };
    match printed {
        Ok(()) => Status::Fine,
        Err(trouble) => {
            complain(&trouble);
            Status::CouldNotTell
        }
    }
}

/// Says which argument is wrong, and repeats no value: it may be a key in the wrong place.
fn complaint(error: &Error) -> Trouble {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(one)) => one.clone(),
        Some(ContextValue::Strings(several)) => several.join(", "),
        _ => String::new(),
    };
    let argument = named(ContextKind::InvalidArg);
    let allowed = named(ContextKind::ValidValue);
    let rule = std::error::Error::source(error).map(ToString::to_string);
    let what = match error.kind() {
        ErrorKind::InvalidValue if named(ContextKind::InvalidValue).is_empty() => format!("`{argument}` needs a value"),
        ErrorKind::InvalidValue => format!("`{argument}` must be one of: {allowed}"),
        ErrorKind::ValueValidation => {
            format!("`{argument}` {}", rule.unwrap_or_else(|| "has a wrong value".to_owned()))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let name = argument.split('=').next().unwrap_or_default();
            let similar = named(ContextKind::SuggestedArg);
            let hint = if similar.is_empty() { String::new() } else { format!("; did you mean `{similar}`?") };
            format!("there is no option `{name}`{hint}")
        }
        ErrorKind::UnknownArgument => "there is one argument too many".to_owned(),
        ErrorKind::InvalidSubcommand => {
            let similar = named(ContextKind::SuggestedSubcommand);
            let hint = if similar.is_empty() { String::new() } else { format!("; did you mean `{similar}`?") };
            format!("there is no such command{hint}")
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {argument}"),
        ErrorKind::ArgumentConflict if named(ContextKind::PriorArg) == argument => {
            format!("`{argument}` is taken once")
        }
        ErrorKind::ArgumentConflict => format!("`{argument}` cannot be used with {}", named(ContextKind::PriorArg)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "say what to do".to_owned()
        }
        ErrorKind::TooManyValues => format!("`{argument}` has too many values"),
        ErrorKind::WrongNumberOfValues => format!("`{argument}` has too few values, or too many"),
        ErrorKind::NoEquals => format!("`{argument}` needs a value after `=`"),
        _ => "an argument cannot be used".to_owned(),
    };
    Trouble::new(format!("{what}; see payproof --help, and --help after a command"))
}
