//! Values of every kind and size, and how exactly they are compared.

use super::trial::{TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::Store;

const KIB: usize = 1024;

/// What a store may take for something else: nothing, a number, a protocol's own word, text in another form.
const LOOKALIKES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"007",
    b"1e3",
    b"9223372036854775808",
    b"NaN",
    b"OK",
    b"QUEUED",
    b"nil",
    b"null",
    b"(nil)",
    b"undefined",
    b"true",
    b"false",
    b"{}",
    b"[]",
    b"\"\"",
    br#"{"result":"OK"}"#,
    br#"{"error":"ERR no"}"#,
    b"T0s=",
    b"aGVsbG8=",
    b"aGVsbG8",
    b"$-1\r\n",
    b"+OK\r\n",
    b"-ERR no\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b" ",
    b" both ",
    b"\n",
    b"\r\n",
    b"\0",
    b"\0\0\0",
    b"a\0b",
    b"%00",
    b"%7B%7D",
    b"\\x00",
    b"\xff",
    b"\xff\xfe\xfd",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    "🦀".as_bytes(),
];

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    values_are_whole(trial).await?;
    compare_is_exact(trial).await
}

async fn values_are_whole<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::ValuesAreWhole);
    let mut values: Vec<Vec<u8>> = LOOKALIKES.iter().map(|value| value.to_vec()).collect();
    values.push((0..=u8::MAX).collect());
    values.push((0..=u8::MAX).rev().collect());
    values.extend([4 * KIB, 64 * KIB + 1, 256 * KIB, KIB * KIB].map(noise));
    for (number, value) in values.iter().enumerate() {
        let key = trial.key(format!("value {number}"));
        at.claimed(&key, value, TTL).await?;
        at.holds(&key, value).await?;
        at.held(&key, b"other", TTL, value).await?;
        at.lost(at.remove(&key, b"other").await?, Some(value))?;
        // Through a replacement as well, to these bytes and from them.
        at.swapped(&key, value, b"other", TTL).await?;
        at.swapped(&key, b"other", value, TTL).await?;
        at.holds(&key, value).await?;
        at.removed(&key, value).await?;
        at.absent(&key).await?;
    }
    Ok(())
}

async fn compare_is_exact<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::CompareIsExact);
    let long = noise(KIB);
    let mut long_but_last = long.clone();
    if let Some(last) = long_but_last.last_mut() {
        *last ^= 1;
    }
    let pairs: &[(&[u8], &[u8])] = &[
        (b"a", b"A"),
        (b"a", b"a "),
        (b"a", b" a"),
        (b"a", b"a\n"),
        (b"a", b"a\0"),
        (b"a\0", b"a\0\0"),
        (b"a\0b", b"a\0c"),
        (b"", b"\0"),
        (b"", b" "),
        (b"1", b"01"),
        (b"1", b"1.0"),
        (b"0", b""),
        (b"\xff", b"\xfe"),
        // Both are the replacement character once a store reads them as text.
        (b"\xff", b"\xef\xbf\xbd"),
        // The same letter, composed and not.
        ("é".as_bytes(), "e\u{301}".as_bytes()),
        (b"OK", b"T0s="),
        (&long, &long_but_last),
        (&long, long.get(..KIB.saturating_sub(1)).unwrap_or_default()),
    ];
    for (number, (one, other)) in pairs.iter().flat_map(|&(one, other)| [(one, other), (other, one)]).enumerate() {
        let key = trial.key(format!("pair {number}"));
        at.claimed(&key, one, TTL).await?;
        at.lost(at.replace(&key, other, b"third", TTL).await?, Some(one))?;
        at.lost(at.remove(&key, other).await?, Some(one))?;
        at.removed(&key, one).await?;
    }
    Ok(())
}

/// Bytes without a pattern that a compression or a text encoding would leave alone.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
