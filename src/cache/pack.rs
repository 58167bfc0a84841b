//! Values compressed for the store, with the feature `cache-lz4`. Without it, what another process compressed is left alone.

#[cfg(feature = "cache-lz4")]
use super::space::LARGEST_VALUE;

/// Shorter values gain too little.
#[cfg(feature = "cache-lz4")]
const LEAST: usize = 1024;

/// Why a process without the feature cannot use what it found.
pub(super) const IS_PACKED: &str = "is compressed; build with the feature `cache-lz4`";

/// Whether compressed values are read here.
pub(super) const UNPACKS: bool = cfg!(feature = "cache-lz4");

/// A value's bytes as they are stored, with their length before they were compressed, if they were: above 1 KiB, where that
/// saves a tenth.
#[cfg(feature = "cache-lz4")]
pub(super) fn packed(body: &[u8]) -> (Option<u32>, Vec<u8>) {
    if body.len() > LEAST {
        let packed = lz4_flex::block::compress(body);
        let most = body.len().saturating_sub(body.len() / 10);
        if let Some(length) = u32::try_from(body.len()).ok().filter(|_| packed.len() <= most) {
            return (Some(length), packed);
        }
    }
    (None, body.to_vec())
}

#[cfg(not(feature = "cache-lz4"))]
pub(super) fn packed(body: &[u8]) -> (Option<u32>, Vec<u8>) {
    (None, body.to_vec())
}

/// The bytes that these were compressed from. Room is made for them once the length that is stated may be one of a value.
#[cfg(feature = "cache-lz4")]
pub(super) fn unpacked(body: &[u8], from: u32) -> Option<Vec<u8>> {
    let length = usize::try_from(from).ok().filter(|length| *length <= LARGEST_VALUE)?;
    let mut unpacked = vec![0; length];
    let written = lz4_flex::block::decompress_into(body, &mut unpacked);
    written.is_ok_and(|written| written == length).then_some(unpacked)
}

#[cfg(not(feature = "cache-lz4"))]
pub(super) fn unpacked(_: &[u8], _: u32) -> Option<Vec<u8>> {
    None
}

#[cfg(all(test, feature = "cache-lz4"))]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn text(length: usize) -> Vec<u8> {
        b"price ".iter().copied().cycle().take(length).collect()
    }

    #[test]
    fn what_saves_a_tenth_above_a_kibibyte_is_compressed_and_reads_back() {
        let mut rng = StdRng::seed_from_u64(1);
        let noise: Vec<u8> = (0..8_192).map(|_| rng.random()).collect();
        for (body, is_packed) in [(text(LEAST), false), (text(LEAST + 1), true), (noise, false)] {
            let (from, stored) = packed(&body);
            assert_eq!(from, is_packed.then_some(u32::try_from(body.len()).unwrap()), "{} bytes", body.len());
            let read = from.map_or(Some(stored.clone()), |from| unpacked(&stored, from));
            assert_eq!(read.as_ref(), Some(&body));
            assert!(!is_packed || stored.len() * 10 <= body.len() * 9);
        }
    }

    #[test]
    fn a_length_that_no_value_has_makes_no_room() {
        let (_, stored) = packed(&text(20_000));
        let most = u32::try_from(LARGEST_VALUE).unwrap();
        for from in [most + 1, u32::MAX] {
            let used = allocation_counter::measure(|| assert_eq!(unpacked(&stored, from), None));
            assert_eq!(used.count_total, 0, "{from}");
        }
        for (stored, from) in [(&stored[..], 19_999), (&stored, 20_001), (&stored[..20], 20_000), (&[], 0), (&[], 9)] {
            assert_eq!(unpacked(stored, from), None, "{from}");
        }
    }
}
