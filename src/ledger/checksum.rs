//! CRC-32, as zip and Ethernet count it: it finds every damage of up to 32 bits in a row, one flipped bit among them.

/// The polynomial, its lowest power first.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// What each byte, pushed through the register, leaves in it.
const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "counted at compile time")]
const fn table() -> [u32; 256] {
    let (mut table, mut byte, mut rest) = ([0; 256], 0_usize, 0_u32);
    while byte < table.len() {
        let (mut left, mut bit) = (rest, 0);
        while bit < 8 {
            left = (left >> 1) ^ if left & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[byte] = left;
        byte += 1;
        rest += 1;
    }
    table
}

/// The checksum of some bytes.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |register, byte| {
        let [low, ..] = (register ^ u32::from(*byte)).to_le_bytes();
        (register >> 8) ^ TABLE.get(usize::from(low)).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_what_others_count() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414F_A339);
    }
}
