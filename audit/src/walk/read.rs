//! One file, read up to a size, as text.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// The walk did not list it.
    Absent,
    /// It holds zero bytes, as text does not.
    Binary,
    /// It is not in UTF-8.
    NotUtf8,
    /// It has more bytes than this limit.
    TooLarge(u64),
    /// The system does not let it be read.
    Unreadable,
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not in the audited paths"),
            Self::Binary => f.write_str("no text"),
            Self::NotUtf8 => f.write_str("not in UTF-8"),
            Self::TooLarge(most) if most.is_multiple_of(1 << 20) => write!(f, "larger than {} MiB", most >> 20),
            Self::TooLarge(most) => write!(f, "larger than {most} bytes"),
            Self::Unreadable => f.write_str("cannot be read"),
        }
    }
}

/// The text of a regular file of at most so many bytes, without the mark that some editors put before it.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, NotRead> {
    let file = File::open(path).map_err(|_| NotRead::Unreadable)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|_| NotRead::Unreadable)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > most) {
        return Err(NotRead::TooLarge(most));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_a_file_exceeds_is_told() {
        assert_eq!(NotRead::TooLarge(2 << 20).to_string(), "larger than 2 MiB");
        assert_eq!(NotRead::TooLarge(4_000).to_string(), "larger than 4000 bytes");
    }
}
