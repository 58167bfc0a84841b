//! Keys of every kind.

use super::trial::{TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::Store;

/// The longest key of the contract, in bytes.
const LONGEST: usize = 512;

/// Endings that a store may fold into one, cut off, or read as something else.
const ENDINGS: &[&str] = &[
    "key",
    "Key",
    "KEY",
    "key ",
    " key",
    "key  ",
    "key\0",
    "\0key",
    "key\n",
    "key\r\n",
    "key\t",
    "key:",
    ":key",
    "k:e:y",
    "k::e::y",
    "{key}",
    "{}",
    "}{",
    "\"key\"",
    "'key'",
    "`key`",
    "ke\\y",
    "key*",
    "key?",
    "k[e]y",
    "[^k]ey",
    "*",
    "?",
    "key/..",
    "../key",
    "/key/",
    "key?a=b&c=d",
    "key#part",
    "%6bey",
    "key%00",
    "key%20",
    "key+",
    "clé",
    "cle\u{301}",
    "ключ",
    "鍵",
    "🔑",
    "\u{200b}key",
    "\u{feff}key",
    "ẞ",
    "ß",
    "ss",
    "$key",
    "KEYS[1]",
    "key; DROP TABLE records",
    "key' OR '1'='1",
    "<key>",
    "key\u{7f}",
    "key\u{1b}[31m",
];

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::KeysAreDistinct);
    let mut keys: Vec<String> = ENDINGS.iter().map(|ending| trial.key(format!("odd {ending}"))).collect();
    let room = LONGEST.saturating_sub(trial.key("").len());
    keys.push(trial.key("x".repeat(room)));
    keys.push(trial.key("x".repeat(room.saturating_sub(1)) + "y"));
    keys.push(trial.key("x".repeat(room.saturating_sub(1))));
    for (number, key) in keys.iter().enumerate() {
        at.claimed(key, number.to_string().as_bytes(), TTL).await?;
    }
    for (number, key) in keys.iter().enumerate() {
        let (before, after) = (number.to_string(), format!("{number} again"));
        at.holds(key, before.as_bytes()).await?;
        at.held(key, b"other", TTL, before.as_bytes()).await?;
        at.swapped(key, before.as_bytes(), after.as_bytes(), TTL).await?;
    }
    // Each removal takes one key and no other, whatever stands in it.
    for (number, key) in keys.iter().enumerate() {
        at.removed(key, format!("{number} again").as_bytes()).await?;
        at.absent(key).await?;
    }
    Ok(())
}
