//! The strict CSV reader of the command line beside Python's csv in strict mode and rust-csv.
//!
//! Many small files with what goes wrong in exports: quotes in the wrong place, cut and added columns, all line ends, empty
//! columns behind the last, rows of separators. Where the reader accepts a whole file, both peers give the same records, apart
//! from columns and rows in which nothing stands. Where it marks lines as unusable, no other line is lost or changed. And
//! always each line is accounted for.
#![cfg(feature = "cli")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not go as expected fails the test"
)]

#[path = "../../src/bin/payproof/lines/records.rs"]
#[allow(dead_code, reason = "the command line also asks whether something is held")]
mod records;
#[path = "../../src/bin/payproof/lines/text.rs"]
#[allow(dead_code, reason = "the command line reads JSON lines with it too")]
mod text;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use records::{CsvRecords, Flaw};
use text::{InputText, LONGEST_LINE};

const FILES: u64 = 100_000;

/// So many more hold bytes in no order at all.
const GARBAGE: u64 = 10_000;

type Fields = Vec<Vec<u8>>;

/// What came of a file: each record or flaw with the number of its line.
#[derive(Debug, Default)]
struct Reading {
    header: Option<Result<Fields, Flaw>>,
    entries: Vec<(u64, Result<Fields, Flaw>)>,
    lines: [u64; 3],
}

impl Reading {
    fn of(file: impl Read) -> Self {
        Self::by(b',', InputText::open(file).unwrap(), 1)
    }

    fn by(delimiter: u8, text: InputText<impl Read>, first: u64) -> Self {
        let mut records = CsvRecords::new(text, delimiter, first);
        let mut reading = Self::default();
        while let Some(record) = records.next().unwrap() {
            let (line, fields) =
                (record.line, record.fields.map(|fields| fields.map(<[u8]>::to_vec).collect::<Fields>()));
            if reading.header.is_some() {
                reading.entries.push((line, fields));
                continue;
            }
            if let Ok(header) = &fields {
                records.width = Some(header.len());
            }
            let is_usable = fields.is_ok();
            reading.header = Some(fields);
            if !is_usable {
                // The program goes no further, and neither do the counts.
                return reading;
            }
        }
        reading.lines = records.lines();
        let [read, blank, continued] = reading.lines;
        let told = u64::from(reading.header.is_some()) + reading.entries.len() as u64;
        assert_eq!(read, first - 1 + told + blank + continued, "{reading:?}");
        reading
    }

    /// The records, header row included, if every line is usable.
    fn whole(&self) -> Option<Vec<&Fields>> {
        let header = self.header.iter().map(Result::as_ref);
        header.chain(self.entries.iter().map(|(_, fields)| fields.as_ref())).collect::<Result<_, _>>().ok()
    }
}

/// How many lines these bytes are, or begin.
fn line_ends(bytes: &[u8]) -> u64 {
    let is_end = |(at, byte): (usize, &u8)| *byte == b'\r' || (*byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
    bytes.iter().enumerate().filter(|place| is_end(*place)).count() as u64
}

struct Draw(StdRng);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn text(&mut self, longest: usize, from: &[&[u8]]) -> Vec<u8> {
        let length = self.below(longest + 1);
        (0..length).flat_map(|_| self.of(from).to_vec()).collect()
    }

    /// A field as it is, and as it is written.
    fn field(&mut self, is_first: bool) -> (Vec<u8>, Vec<u8>) {
        match self.below(6) {
            0 | 1 => {
                let within: [&[u8]; 9] = [b"a", b"b", b" ", b",", b"\"", b"\n", b"\r\n", b"\r", b"\xe9"];
                // After a stray quote, one before a comma, or one that begins a line and has a line end or another quote
                // behind it, could as well be the closing one, so that such texts can be read in two ways.
                let mut text = self.text(6, &within);
                while text.first().is_some_and(|byte| *byte == b',' || (is_first && b"\r\n\"".contains(byte))) {
                    text.remove(0);
                }
                let written = text.iter().flat_map(|byte| if *byte == b'"' { vec![b'"', b'"'] } else { vec![*byte] });
                let written = [b"\"".to_vec(), written.collect(), b"\"".to_vec()].concat();
                (text, written)
            }
            2 => {
                // At its end, a quote outside of a quoted field could as well be a closing one.
                let text = [b"a", &*self.text(2, &[b"\"", b"b", b" "]), b"b"].concat();
                (text.clone(), text)
            }
            _ => {
                let begin: &[u8] = if is_first { b"x" } else { b"" };
                let text = [begin, &self.text(4, &[b"a", b"b", b"0", b" ", b"\xff", b"\0"])].concat();
                (text.clone(), text)
            }
        }
    }

    fn line_end(&mut self) -> Vec<u8> {
        self.of(&[&b"\n"[..], b"\r\n", b"\r"]).to_vec()
    }

    /// What goes wrong with a record in an export.
    fn spoil(&mut self, record: &mut Vec<u8>) {
        let at = self.below(record.len() + 1);
        let inside = at.min(record.len().saturating_sub(1));
        match self.below(8) {
            0 | 1 => record.insert(at, b'"'),
            2 => {
                let last = record.iter().rposition(|byte| *byte == b',').map_or(0, |comma| comma + 1);
                record.insert(last, b'"');
            }
            3 => record.insert(at, b','),
            4 => drop(record.splice(at..at, self.line_end())),
            _ if record.is_empty() => {}
            5 | 6 => drop(record.remove(inside)),
            _ => record[inside] = self.of(b"\",x"),
        }
    }
}

/// A record, or the header row, or a blank line.
struct Piece {
    bytes: Vec<u8>,
    end: Vec<u8>,
    fields: Fields,
    is_spoiled: bool,
}

/// A file as it should be.
fn good(draw: &mut Draw) -> Vec<Piece> {
    let width = draw.below(4) + 3;
    let (end, is_mixed) = (draw.line_end(), draw.below(4) == 0);
    let count = draw.below(6) + 2;
    let mut pieces = Vec::new();
    for number in 0..count {
        if draw.below(8) == 0 {
            let bytes = draw.text(5, &[b",", b" "]);
            pieces.push(Piece { bytes, end: end.clone(), fields: Vec::new(), is_spoiled: false });
        }
        let columns = (0..width).map(|column| match number {
            0 => (format!("h{column}").into_bytes(), format!("h{column}").into_bytes()),
            _ => draw.field(column == 0),
        });
        let (mut fields, written): (Vec<_>, Vec<_>) = columns.unzip();
        if is_bare(&fields) {
            fields = Vec::new();
        }
        let behind = if number > 0 && draw.below(4) == 0 { draw.text(3, &[b",", b", ", b",\"\""]) } else { Vec::new() };
        let end = if is_mixed { draw.line_end() } else { end.clone() };
        pieces.push(Piece { bytes: [written.join(&b','), behind].concat(), end, fields, is_spoiled: false });
    }
    pieces
}

/// Whether nothing stands in any field, so that the record is a blank line.
fn is_bare(fields: &[Vec<u8>]) -> bool {
    fields.iter().all(|field| field.trim_ascii().is_empty())
}

/// A peer's records without what says nothing: bare ones, and bare columns behind the header row's last.
fn without_bare(mut records: Vec<Fields>) -> Vec<Fields> {
    records.retain(|fields| !is_bare(fields));
    let width = records.first().map_or(0, Vec::len);
    for fields in &mut records {
        if fields.len() > width && is_bare(&fields[width..]) {
            fields.truncate(width);
        }
    }
    records
}

fn bytes_of(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| [&*piece.bytes, &*piece.end]).collect::<Vec<_>>().concat()
}

/// Every line that was not spoiled is there as it was, and nothing else is told but of lines that were.
fn check_the_others(pieces: &[Piece], reading: &Reading) {
    let (mut before, mut told) = (Vec::new(), reading.entries.iter().peekable());
    let mut is_header = true;
    for piece in pieces {
        let first = line_ends(&before) + 1;
        before.extend_from_slice(&piece.bytes);
        before.extend_from_slice(&piece.end);
        let next = line_ends(&before) + 1;
        let show = || format!("line {first} of {:?}: {reading:?}", String::from_utf8_lossy(&bytes_of(pieces)));
        if piece.is_spoiled {
            while told.next_if(|(line, _)| *line < next).is_some() {}
        } else if piece.fields.is_empty() {
        } else if is_header {
            is_header = false;
            assert_eq!(reading.header, Some(Ok(piece.fields.clone())), "{}", show());
        } else {
            let (line, fields) = told.next().unwrap_or_else(|| panic!("lost: {}", show()));
            assert_eq!((*line, fields), (first, &Ok(piece.fields.clone())), "{}", show());
        }
    }
    assert!(told.next().is_none());
}

/// Bytes in no order at all.
fn garbage(draw: &mut Draw) -> Vec<u8> {
    let from: [&[u8]; 8] = [b"a", b"b", b",", b"\"", b"\n", b"\r\n", b"\r", b",\"x\""];
    draw.text(24, &from)
}

/// As Python answers: for each record its number of fields, and each field behind its length.
fn canonical<'r>(records: impl IntoIterator<Item = &'r Fields>) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        write!(text, "{};", record.len()).unwrap();
        for field in record {
            write!(text, "{}:", field.len()).unwrap();
            text.extend_from_slice(field);
        }
    }
    text
}

const PYTHON: &str = r#"
import csv, io, sys
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
while head := read(4):
    text = read(int.from_bytes(head, "big")).decode("latin-1")
    try:
        is_bare = lambda fields: not any(field.strip(" \t\n\f\r") for field in fields)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if not is_bare(row)]
        width = len(rows[0]) if rows else 0
        rows = [row[:width] if is_bare(row[width:]) else row for row in rows]
        said = "".join(f"{len(row)};" + "".join(f"{len(field)}:{field}" for field in row) for row in rows)
    except csv.Error as error:
        said = f"error: {error}"
    said = said.encode("latin-1")
    write(len(said).to_bytes(4, "big") + said)
"#;

/// What Python's csv in strict mode makes of each file.
fn python(files: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut python = Command::new("python3");
    let child = python.args(["-c", PYTHON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("python3 is missing; run: sudo apt-get install python3");
    let mut input = child.stdin.take().unwrap();
    let framed = |file: &&[u8]| [&u32::try_from(file.len()).unwrap().to_be_bytes(), *file].concat();
    let asked: Vec<u8> = files.iter().flat_map(framed).collect();
    let feeding = thread::spawn(move || input.write_all(&asked));
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    let is_fed = feeding.join().unwrap().is_ok();
    assert!(is_fed && child.wait().unwrap().success(), "python3 failed; version 3.11 or newer is needed");
    let (mut answers, mut rest) = (Vec::new(), &*said);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (answer, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        answers.push(answer.to_vec());
        rest = behind;
    }
    answers
}

/// What rust-csv makes of each file. Its tables take longer to make than a file to read, so it reads all of them in one go,
/// with a record between them that no file has.
fn rust_csv(files: &[&[u8]]) -> Vec<Vec<u8>> {
    const BETWEEN: &[u8] = b"between two files";
    let all = files.join(&[b"\n", BETWEEN, b"\n"].concat()[..]);
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*all);
    let records = reader.into_byte_records().map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect());
    let records: Vec<Fields> = records.collect();
    let files = records.split(|record| *record == [BETWEEN]);
    files.map(|records| canonical(&without_bare(records.to_vec()))).collect()
}

#[test]
fn peers_agree_on_what_is_accepted_and_no_other_line_is_lost_or_changed() {
    let (mut accepted, mut unusable) = (Vec::new(), 0);
    for seed in 0..FILES + GARBAGE {
        let mut draw = Draw(StdRng::seed_from_u64(seed));
        let (file, reading) = if seed < GARBAGE {
            let file = garbage(&mut draw);
            let reading = Reading::of(&*file);
            (file, reading)
        } else {
            let mut pieces = good(&mut draw);
            // Not where a text has a line that could be a record, which is unusable by itself.
            while Reading::of(&*bytes_of(&pieces)).whole().is_none() {
                pieces = good(&mut draw);
            }
            let records = pieces.iter_mut().filter(|piece| !piece.fields.is_empty()).skip(1);
            for piece in records.filter(|_| draw.below(4) == 0).collect::<Vec<_>>() {
                piece.is_spoiled = true;
                (0..=draw.below(2)).for_each(|_| draw.spoil(&mut piece.bytes));
            }
            let file = bytes_of(&pieces);
            let reading = Reading::of(&*file);
            check_the_others(&pieces, &reading);
            (file, reading)
        };
        match reading.whole() {
            None => unusable += 1,
            Some(records) => accepted.push((seed, file, canonical(records))),
        }
    }
    let files: Vec<&[u8]> = accepted.iter().map(|(_, file, _)| &**file).collect();
    for (peer, answers) in [("Python", python(&files)), ("rust-csv", rust_csv(&files))] {
        assert_eq!(answers.len(), accepted.len(), "{peer}");
        for ((seed, file, records), answer) in accepted.iter().zip(&answers) {
            assert_eq!(answer, records, "seed {seed}, {peer}: {:?}", String::from_utf8_lossy(file));
        }
    }
    // Each side of it was tried.
    assert!(accepted.len() > 20_000 && unusable > 20_000, "{} accepted, {unusable} not", accepted.len());
}

/// Gives a byte at a time, so that each place in a file is once at the end of what has arrived.
struct Dripping<'b>(&'b [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = into.len().min(1);
        self.0.read(&mut into[..length])
    }
}

#[test]
fn how_the_bytes_arrive_makes_no_difference() {
    for seed in 0..2_000 {
        let mut draw = Draw(StdRng::seed_from_u64(seed));
        let file = if seed % 2 == 0 { garbage(&mut draw) } else { bytes_of(&good(&mut draw)) };
        let (at_once, dripping) = (Reading::of(&*file), Reading::of(Dripping(&file)));
        assert_eq!((&at_once.header, &at_once.entries), (&dripping.header, &dripping.entries), "seed {seed}");
        assert_eq!(at_once.lines, dripping.lines, "seed {seed}");
    }
}

/// The same with semicolons for commas, and commas for semicolons.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    let swap = |byte: &u8| match byte {
        b',' => b';',
        b';' => b',',
        byte => *byte,
    };
    bytes.iter().map(swap).collect()
}

#[test]
fn a_first_line_that_tells_the_separator_moves_the_others_by_one_and_changes_nothing() {
    for seed in 0..2_000 {
        let mut draw = Draw(StdRng::seed_from_u64(seed));
        let mut file = if seed % 2 == 0 { garbage(&mut draw) } else { bytes_of(&good(&mut draw)) };
        if file.starts_with(b"\n") {
            // Behind CR it would be the same line's end.
            file.insert(0, b'x');
        }
        let said = [draw.of(&[&b"sep=;"[..], b"SEP=;"]), &draw.line_end(), &swapped(&file)].concat();
        let mut text = InputText::open(&*said).unwrap();
        assert_eq!(text.take_separator().unwrap(), Some(b';'));
        let (plain, said) = (Reading::of(&*file), Reading::by(b';', text, 2));
        let swap = |fields: &Result<Fields, Flaw>| match fields {
            Ok(fields) => Ok(fields.iter().map(|field| swapped(field)).collect()),
            Err(Flaw::TextAfterQuote { column, line }) => Err(Flaw::TextAfterQuote { column: *column, line: line + 1 }),
            Err(Flaw::RunsOver { column, line }) => Err(Flaw::RunsOver { column: *column, line: line + 1 }),
            Err(flaw) => Err(*flaw),
        };
        assert_eq!(said.header, plain.header.as_ref().map(swap), "seed {seed}");
        let moved = plain.entries.iter().map(|(line, fields)| (line + 1, swap(fields)));
        assert_eq!(said.entries, moved.collect::<Vec<_>>(), "seed {seed}");
    }
    for none in ["sep", "sep=", "sep=ab\n", "sep=;x", "sep=\"\n", "sep=a\n", "x\nsep=;\n", "\nsep=;\n", "sep;"] {
        let mut text = InputText::open(none.as_bytes()).unwrap();
        assert_eq!(text.take_separator().unwrap(), None, "{none}");
        assert_eq!(text.held(), none.as_bytes(), "{none}");
    }
}

#[test]
fn a_line_of_the_longest_length_is_read_and_a_longer_one_is_not() {
    for (length, quotes) in
        [(LONGEST_LINE, false), (LONGEST_LINE + 1, false), (LONGEST_LINE, true), (LONGEST_LINE + 1, true)]
    {
        let text = "x".repeat(length - if quotes { 6 } else { 4 });
        let long = if quotes { format!("a,\"{text}\",c") } else { format!("a,{text},c") };
        let reading = Reading::of(format!("a,b,c\n{long}\n1,2,3").as_bytes());
        let [(2, long), (3, Ok(_))] = &*reading.entries else { panic!("{length} {:?}", reading.entries.len()) };
        let expected = if length == LONGEST_LINE { Ok(3) } else { Err(Flaw::TooLong) };
        assert_eq!(long.as_ref().map(Vec::len).map_err(|flaw| *flaw), expected, "{length} {quotes}");
    }
}
