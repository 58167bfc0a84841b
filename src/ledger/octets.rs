//! Bytes of a record that are written and read in one piece: serde takes a `Vec<u8>` for a list of numbers and goes through it
//! one by one. What stands in the store is the same.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, B: From<&'de [u8]>>(deserializer: D) -> Result<B, D::Error> {
    <&[u8]>::deserialize(deserializer).map(B::from)
}
