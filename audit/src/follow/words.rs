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
    words(name).iter().any(|word| {
        let single = word.strip_suffix('s').unwrap_or(word);
        let single_y = word.strip_suffix("ies");
        list.iter().any(|known| {
            *known == word || *known == single || single_y.is_some_and(|stem| known.strip_suffix('y') == Some(stem))
        })
    })
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
    }
}
