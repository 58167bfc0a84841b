//! One file, read up to a size, as text.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotRead {
    /// The walk did not list it.
    Absent,
    /// It holds zero bytes, as text does not.
    Binary,
    /// It is not in UTF-8.
    NotUtf8,
    /// It has more bytes than the limit.
    TooLarge,
    /// The system does not let it be read.
    Unreadable,
    /// Its grammar did not come to an end in time.
    TooSlow,
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "not in the audited paths",
            Self::Binary => "no text",
            Self::NotUtf8 => "not in UTF-8",
            Self::TooLarge => "larger than 1 MiB",
            Self::Unreadable => "cannot be read",
            Self::TooSlow => "takes longer than 2 s to parse",
        })
    }
}

/// The text of a regular file of at most so many bytes, without the mark that some editors put before it.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, NotRead> {
    let file = File::open(path).map_err(|_| NotRead::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|_| NotRead::Unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > most) {
        return Err(NotRead::TooLarge);
    }
    if bytes.contains(&0) {
        return Err(NotRead::Binary);
    }
    let text = String::from_utf8(bytes).map_err(|_| NotRead::NotUtf8)?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
