//! Records as files in tests/golden/records, so that a change of their bytes shows.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::kind::{RecordKind, Release};
use super::versioned::{Converted, Versioned};
use super::{Key, Nonce, Record, Seal, State};

/// Set to anything, it has the files written instead of compared.
const WRITES: &str = "PAYPROOF_WRITE_GOLDEN_FILES";

/// How a record ends: with a checksum, or sealed by one of two keys.
const ENDS: [(&str, &[u8]); 3] = [("unsealed", &[]), ("key 1", &[1]), ("key 2", &[2])];

impl Versioned<'_> for () {}

/// Compares a record of this payload with the file of that name, in both directions, and flips each of its bits.
pub(crate) fn is_golden<P>(kind: RecordKind, version: u8, variant: &str, state: State, marks: bool, payload: &P)
where
    P: Versioned<'static> + PartialEq + Debug,
{
    let name = kind.layout().name;
    let key = Key { text: format!("payproof:{name}:{{golden}}").into(), kind, version };
    let written = payload.write(version).unwrap();
    let (nonce, marks) = (Nonce::of([0x11; 16]), marks.then(|| Nonce::of([0x22; 16])));
    let (ttl_ms, lease_ms, tail) = (86_400_000, 155_000, Vec::new());
    let record = Record { version, state, nonce, marks, ttl_ms, lease_ms, payload: written, tail };
    let codec =
        |keys: &[u8]| Codec::new(keys.iter().map(|key| Seal::new(&[*key; 32])).collect(), Release::Current, Vec::new());
    let lines = ENDS.map(|(end, keys)| format!("{end}: {}\n", hex(&codec(keys).encode(&record, &key).unwrap())));
    let file = format!("records/{name}-{version}-{variant}.txt");
    let stood = compared(&file, &lines.concat());
    for ((end, keys), line) in ENDS.iter().zip(stood.lines()) {
        let bytes = unhex(line.rsplit(' ').next().unwrap());
        let read = codec(keys).decode(&bytes, &key).unwrap();
        assert_eq!(read, record, "{file}, {end}");
        let bytes_of_payload: &'static [u8] = Box::leak(read.payload.into_boxed_slice());
        match P::read(version, bytes_of_payload) {
            Converted::Whole(read) => assert_eq!(read, *payload, "{file}, {end}"),
            other => panic!("{file}, {end}: {other:?}"),
        }
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(codec(keys).decode(&flipped, &key).is_err(), "{file}, {end}: bit {bit} of byte {at} says nothing");
        }
    }
}

/// Compares a value's JSON with the file of that name, in both directions.
pub(crate) fn is_golden_json<T>(file: &str, value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let stood = compared(&format!("json/{file}.json"), &(serde_json::to_string_pretty(value).unwrap() + "\n"));
    assert_eq!(serde_json::from_str::<T>(&stood).unwrap(), *value, "{file}");
}

/// What stands in the file, if it is what is written today.
fn compared(file: &str, today: &str) -> String {
    let path = folder().join(file);
    if std::env::var_os(WRITES).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, today).unwrap();
    }
    let stood = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stood, today, "{} holds something else; tests/golden/README.md says what follows", path.display());
    stood
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_version_that_is_read_has_golden_files() {
    let files: Vec<String> = std::fs::read_dir(folder().join("records"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for kind in RecordKind::ALL {
        let layout = kind.layout();
        for version in layout.reads {
            let begins = format!("{}-{version}-", layout.name);
            assert!(files.iter().any(|file| file.starts_with(&begins)), "{begins}…: none of {files:?}");
        }
    }
}
