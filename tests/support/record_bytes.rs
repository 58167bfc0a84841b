//! Records as another process writes them: with a checksum that is right.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

/// What stands before the checksum.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    let (body, checksum) = bytes.split_last_chunk::<4>().unwrap();
    assert_eq!(*checksum, crc32(body));
    body
}

/// A record with this before its checksum.
pub(crate) fn with_checksum(body: &[u8]) -> Vec<u8> {
    [body, &crc32(body)].concat()
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let register = bytes.iter().fold(u32::MAX, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |left, _| (left >> 1) ^ if left & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    (!register).to_le_bytes()
}
