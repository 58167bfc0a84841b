//! What standard input holds, as lines: some of it read ahead, and every line counted as it arrives.

use std::io::{self, Read};

/// The longest line that makes sense: every field has at most 255 bytes. What is longer is passed over, and not kept.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

/// Read at a time.
const CHUNK: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines that end with LF, CRLF or CR. Holds what is read and not yet taken: a line of the longest length, and a chunk.
pub(crate) struct InputText<R> {
    from: R,
    chunk: Box<[u8]>,
    held: Vec<u8>,
    /// Where in that the next line begins.
    start: usize,
    /// The last line ended with CR. A LF that comes next belongs to it, and is not waited for.
    after_cr: bool,
    /// Line ends that have arrived, and the last byte that has.
    line_ends: u64,
    last: Option<u8>,
}

impl<R: Read> InputText<R> {
    /// Leaves a byte order mark out.
    pub(crate) fn open(from: R) -> io::Result<Self> {
        let (chunk, held) = (vec![0; CHUNK].into_boxed_slice(), Vec::new());
        let mut text = Self { from, chunk, held, start: 0, after_cr: false, line_ends: 0, last: None };
        while text.held.len() < BYTE_ORDER_MARK.len() && text.fill()? {}
        if text.held.starts_with(BYTE_ORDER_MARK) {
            text.start = BYTE_ORDER_MARK.len();
            text.last = text.last.filter(|_| text.held.len() > BYTE_ORDER_MARK.len());
        }
        Ok(text)
    }

    /// How many lines have arrived. It is counted apart from how they are read, so that the two can be compared.
    pub(crate) fn lines(&self) -> u64 {
        let is_open = self.last.is_some_and(|last| !is_line_end(last));
        self.line_ends.saturating_add(u64::from(is_open))
    }

    /// What has been read of the next lines.
    pub(crate) fn held(&self) -> &[u8] {
        self.held.get(self.start..).unwrap_or_default()
    }

    /// Reads until a line that is not blank is held, up to its longest length.
    pub(crate) fn look_at_first_line(&mut self) -> io::Result<&[u8]> {
        let is_held = |held: &[u8]| held.iter().skip_while(|byte| is_blank(**byte)).any(|byte| is_line_end(*byte));
        while self.held().len() < LONGEST_LINE && !is_held(self.held()) && self.fill()? {}
        Ok(self.held())
    }

    /// Takes the line `sep=;` away, by which spreadsheets say in the first line what stands between columns.
    pub(crate) fn take_separator(&mut self) -> io::Result<Option<u8>> {
        let (mut told, mut length) = (None, 0);
        while length < 5 && self.get(length)?.is_some_and(|byte| !is_line_end(byte)) {
            length = length.saturating_add(1);
        }
        if self.get(length)?.is_none_or(is_line_end) {
            told = self.held().get(..length).and_then(separator);
        }
        if told.is_some() {
            self.take(length);
        }
        Ok(told)
    }

    /// The first byte of the next line, if there is one.
    pub(crate) fn first(&mut self) -> io::Result<Option<u8>> {
        if self.after_cr && self.get(0)? == Some(b'\n') {
            self.start = self.start.saturating_add(1);
        }
        self.after_cr = false;
        self.get(0)
    }

    /// The byte that stands so far behind the beginning of the next line.
    pub(crate) fn get(&mut self, at: usize) -> io::Result<Option<u8>> {
        loop {
            if let Some(byte) = self.held().get(at) {
                return Ok(Some(*byte));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next line without its end; `None` where it is too long.
    pub(crate) fn line(&mut self) -> io::Result<Option<&[u8]>> {
        let mut at = 0;
        while at <= LONGEST_LINE && self.get(at)?.is_some_and(|byte| !is_line_end(byte)) {
            at = at.saturating_add(1);
        }
        Ok(self.held().get(..at).filter(|line| line.len() <= LONGEST_LINE))
    }

    /// Takes the next line away, however long it is.
    pub(crate) fn pass_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(length) = self.held().iter().position(|byte| is_line_end(*byte)) {
                self.take(length);
                return Ok(());
            }
            self.start = self.held.len();
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    /// Takes so many bytes away, which are held, and the line end behind them.
    pub(crate) fn take(&mut self, length: usize) {
        let end = self.held().get(length).copied();
        self.start = self.start.saturating_add(length).saturating_add(usize::from(end.is_some()));
        self.after_cr = end == Some(b'\r');
    }

    /// Whether the next line has still to come from outside, as far as can be told.
    pub(crate) fn is_drained(&self) -> bool {
        let held = self.held();
        let next = if self.after_cr { held.strip_prefix(b"\n").unwrap_or(held) } else { held };
        !next.iter().any(|byte| is_line_end(*byte))
    }

    /// Reads on; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        self.held.drain(..self.start);
        self.start = 0;
        let count = loop {
            match self.from.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        let arrived = self.chunk.get(..count).unwrap_or_default();
        for byte in arrived {
            let is_end = *byte == b'\r' || (*byte == b'\n' && self.last != Some(b'\r'));
            self.line_ends = self.line_ends.saturating_add(u64::from(is_end));
            self.last = Some(*byte);
        }
        self.held.extend_from_slice(arrived);
        Ok(count > 0)
    }
}

pub(crate) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a line may consist of such bytes alone and say nothing: blanks, line ends, and what stands between columns.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b';')
}

/// What the line `sep=;` tells.
fn separator(line: &[u8]) -> Option<u8> {
    let (name, told) = line.split_at_checked(4)?;
    let is_usable = |byte: &u8| *byte == b'\t' || (byte.is_ascii_punctuation() && *byte != b'"');
    told.first().copied().filter(|byte| name.eq_ignore_ascii_case(b"sep=") && is_usable(byte))
}
