//! Text in another encoding than UTF-8, as its byte order mark or the caller says, read as UTF-8.

use std::io::{self, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

/// Read at a time.
const CHUNK: usize = 16 * 1024;

/// Stands where bytes are no text in their encoding. It is not UTF-8, so that the field that it stands in is refused.
const NO_TEXT: u8 = 0xff;

/// The encoding of this name, by the names that browsers know.
pub(super) fn encoding(name: &str) -> Result<&'static Encoding, &'static str> {
    Encoding::for_label_no_replacement(name.as_bytes())
        .ok_or("is not known; usual are windows-1252, iso-8859-15, windows-1250, utf-16le and shift_jis")
}

/// A byte order mark goes before what the caller says. Without either it is UTF-8, which is handed on as it is.
pub(super) fn decoded<'r>(mut from: impl Read + 'r, said: Option<&'static Encoding>) -> io::Result<Box<dyn Read + 'r>> {
    let mut beginning = Vec::new();
    from.by_ref().take(3).read_to_end(&mut beginning)?;
    let encoding = Encoding::for_bom(&beginning).map(|(encoding, _)| encoding).or(said);
    let whole = Cursor::new(beginning).chain(from);
    Ok(match encoding {
        Some(encoding) if encoding != UTF_8 => Box::new(Decoding {
            from: whole,
            decoder: encoding.new_decoder_with_bom_removal(),
            text: Vec::new(),
            taken: 0,
            is_over: false,
        }),
        _ => Box::new(whole),
    })
}

struct Decoding<R> {
    from: R,
    decoder: Decoder,
    text: Vec<u8>,
    /// How much of the text was handed on.
    taken: usize,
    is_over: bool,
}

impl<R: Read> Decoding<R> {
    /// Decodes the next bytes; at the end of the input, what is left of them.
    fn decode(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let count = self.from.read(&mut chunk)?;
        let mut bytes = chunk.get(..count).unwrap_or_default();
        self.is_over = count == 0;
        self.text.clear();
        self.taken = 0;
        loop {
            let start = self.text.len();
            let room = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(CHUNK);
            self.text.resize(start.saturating_add(room), 0);
            let into = self.text.get_mut(start..).unwrap_or_default();
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(bytes, into, self.is_over);
            self.text.truncate(start.saturating_add(written));
            bytes = bytes.get(read..).unwrap_or_default();
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.text.push(NO_TEXT),
            }
        }
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() && !self.is_over {
            self.decode()?;
        }
        let count = self.text.get(self.taken..).unwrap_or_default().read(into)?;
        self.taken = self.taken.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], said: Option<&str>) -> Vec<u8> {
        let mut text = Vec::new();
        let said = said.map(|name| encoding(name).unwrap());
        decoded(bytes, said).unwrap().read_to_end(&mut text).unwrap();
        text
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn utf_16_is_read_by_its_mark_and_by_its_name() {
        // Longer than a chunk, and with characters of each length.
        let text = "tenant é € 😀\r\n".repeat(5_000);
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let marked = utf_16(&format!("\u{feff}{text}"), bytes);
            assert_eq!(read(&marked, None), text.as_bytes());
            assert_eq!(read(&marked, Some("windows-1252")), text.as_bytes(), "the mark goes before");
        }
        assert_eq!(read(&utf_16(&text, u16::to_le_bytes), Some("utf-16le")), text.as_bytes());
        assert_eq!(read(&utf_16(&text, u16::to_be_bytes), Some("utf-16be")), text.as_bytes());
    }

    /// Gives a byte at a time.
    struct Dripping<'b>(&'b [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = into.len().min(1);
            self.0.read(into.get_mut(..length).unwrap_or_default())
        }
    }

    #[test]
    fn how_the_bytes_arrive_makes_no_difference() {
        let marked = utf_16("\u{feff}é € 😀\n", u16::to_le_bytes);
        for (bytes, expected) in [(&*marked, "é € 😀\n"), (b"a", "a"), (b"\xff\xfea\0", "a"), (b"ab\n", "ab\n")] {
            let mut text = Vec::new();
            decoded(Dripping(bytes), None).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn utf_8_is_handed_on_as_it_is() {
        let bytes = [&b"\xef\xbb\xbf"[..], "é".as_bytes(), b"\xff"].concat();
        for said in [None, Some("utf-8"), Some("windows-1252")] {
            assert_eq!(read(&bytes, said), bytes, "{said:?}");
        }
        assert_eq!(read(b"\xe9", None), b"\xe9");
        assert_eq!(read(b"", None), b"");
    }

    #[test]
    fn what_is_no_text_in_its_encoding_is_marked() {
        assert_eq!(read(b"M\xfcller \x80", Some("windows-1252")), "Müller €".as_bytes());
        // Half of a surrogate pair, then half of a character.
        assert_eq!(read(b"\xff\xfea\x00\x3d\xd8b\x00c", None), b"a\xffb\xff");
        assert!(encoding("utf-7").is_err() && encoding("iso-2022-kr").is_err());
    }
}
