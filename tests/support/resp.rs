//! What a client of Redis sends and gets, counted: commands by name, the round trips that carry them, bytes each way.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::arithmetic_side_effects, reason = "counts of a test")]

/// What went over a connection, or over several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RespTraffic {
    /// The commands in capitals, in the order in which they were sent.
    pub(crate) commands: Vec<String>,
    /// Which of them were the first that a client sent after it was answered.
    pub(crate) bursts: Vec<usize>,
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

impl RespTraffic {
    /// Calls to the store: a transaction is one, and so are reads in a row, which go out together.
    pub(crate) fn calls(&self) -> usize {
        let (mut calls, mut in_transaction, mut reads) = (0, false, false);
        for command in &self.commands {
            let is_read = !in_transaction && matches!(&**command, "GET" | "PTTL");
            let goes_along = in_transaction || is_read && reads;
            calls += usize::from(!goes_along);
            in_transaction = command == "MULTI" || in_transaction && command != "EXEC";
            reads = is_read;
        }
        calls
    }

    /// Round trips of reads, of one caller who asks for one thing after the other.
    pub(crate) fn rounds_of_reads(&self) -> usize {
        let first = self.bursts.iter().filter_map(|at| self.commands.get(*at));
        first.filter(|command| matches!(&***command, "GET" | "PTTL")).count()
    }
}

/// Reads commands as Redis does: `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`.
#[derive(Debug, Default)]
pub(crate) struct RespReader(Vec<u8>);

impl RespReader {
    /// The names of the commands that these bytes complete.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend(bytes);
        let mut names = Vec::new();
        while let Some((name, length)) = first_command(&self.0) {
            names.push(name);
            self.0.drain(..length);
        }
        names
    }
}

/// The first command's name and length in bytes, if it is there whole.
fn first_command(bytes: &[u8]) -> Option<(String, usize)> {
    let (words, mut at) = number_after(bytes, 0, b'*')?;
    let mut name = None;
    for _ in 0..words {
        let (length, begin) = number_after(bytes, at, b'$')?;
        let word = bytes.get(begin..begin + length)?;
        name = name.or_else(|| Some(String::from_utf8_lossy(word).to_uppercase()));
        at = begin + length + 2;
    }
    (at <= bytes.len()).then_some((name?, at))
}

/// A number behind its mark, and where the line after it begins.
fn number_after(bytes: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?.strip_prefix(&[mark])?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?;
    Some((number, at + 1 + end + 2))
}
