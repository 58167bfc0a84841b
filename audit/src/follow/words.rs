//! Words of names: `paymentIntent_id` is payment, intent, id.

/// The words of a name in lower case.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for sign in name.chars() {
        if !sign.is_alphanumeric() {
            before = ' ';
            continue;
        }
        let starts = before == ' ' || (sign.is_uppercase() && !before.is_uppercase());
        match words.last_mut() {
            Some(word) if !starts => word.extend(sign.to_lowercase()),
            _ => words.push(sign.to_lowercase().collect()),
        }
        before = sign;
    }
    words
}

/// Whether one of a name's words is in the list, in the plural too.
pub(crate) fn has_word(name: &str, list: &[&str]) -> bool {
    if !name.is_ascii() {
        return words(name).iter().any(|word| is_listed(word.as_bytes(), list));
    }
    // Asked of each name several times: the words are compared where they stand.
    let mut rest = name.as_bytes();
    while let Some(start) = rest.iter().position(u8::is_ascii_alphanumeric) {
        let word = rest.get(start..).unwrap_or_default();
        let goes_on = |pair: &[u8]| match pair {
            [before, sign] => {
                sign.is_ascii_alphanumeric() && (!sign.is_ascii_uppercase() || before.is_ascii_uppercase())
            }
            _ => false,
        };
        let length = word.windows(2).take_while(|pair| goes_on(pair)).count().saturating_add(1);
        let (word, after) = word.split_at(length.min(word.len()));
        if is_listed(word, list) {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether a word, or what it is the plural of, is in the list.
fn is_listed(word: &[u8], list: &[&str]) -> bool {
    let without = |ending: &[u8]| {
        let (stem, end) = word.split_at(word.len().saturating_sub(ending.len()));
        (end.eq_ignore_ascii_case(ending)).then_some(stem)
    };
    let (single, single_y) = (without(b"s"), without(b"ies"));
    list.iter().any(|known| {
        let known = known.as_bytes();
        is_lower(word, known)
            || single.is_some_and(|single| is_lower(single, known))
            || single_y.is_some_and(|stem| known.strip_suffix(b"y").is_some_and(|known| is_lower(stem, known)))
    })
}

/// Whether this is what a word is in lower case.
fn is_lower(word: &[u8], lower: &[u8]) -> bool {
    word.len() == lower.len() && word.iter().zip(lower).all(|(sign, lower)| sign.to_ascii_lowercase() == *lower)
}

/// The last name of a path: `create` of `stripe#default.charges.create`.
pub(crate) fn last_part(path: &str) -> &str {
    path.rsplit(['#', '.']).next().unwrap_or_default()
}

/// A name in lower case without its separators.
pub(crate) fn plain_name(name: &str) -> String {
    name.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_style() {
        assert_eq!(words("paymentIntent_id"), ["payment", "intent", "id"]);
        assert_eq!(words("orders"), ["orders"]);
        assert!(has_word("OrderItems", &["order"]));
        assert!(has_word("inventories", &["inventory"]));
        assert!(!has_word("border", &["order"]));
        assert!(has_word("bestellungÜberPost", &["post"]));
    }

    #[test]
    fn words_where_they_stand_are_those_that_are_taken_apart() {
        for name in [
            "paymentIntent_id",
            "orders",
            "HTTPServer",
            "a1B2",
            "_x",
            "x_",
            "",
            "ab.cdEf#GH-i",
            "userIDs",
            "QTY",
            "iesS",
        ] {
            for word in words(name) {
                assert!(has_word(name, &[word.as_str()]), "{name} {word}");
            }
            let joined: String = words(name).concat();
            assert_eq!(has_word(name, &[joined.as_str()]), words(name).contains(&joined), "{name}");
        }
    }
}
