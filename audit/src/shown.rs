//! Text of the audited tree made fit to be shown: no control characters, no secrets, one short line.

/// The most characters of a line of source that a report shows.
const MOST: usize = 160;

/// `1 file`, `2 files`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// What stands in the place of a secret.
const MASK: &str = "***";

/// How keys begin that are secrets, or point at an account.
const KEYS: &[&str] = &[
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "whsec_",
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "npm_",
    "shpat_",
    "eyJ",
    "SG.",
    "re_",
    "sntrys_",
];

/// Names whose values are secrets. Compared in lower case, without `_` and `-`.
const NAMES: &[&str] = &["secret", "password", "passwd", "token", "apikey", "privatekey", "credential"];

/// The fewest characters of a run that is taken for a key because it looks random.
const RANDOM: usize = 32;

/// A text of the tree on one line, without secrets and control characters, and cut where it is long.
#[must_use]
pub fn line(text: &str) -> String {
    let masked = masked(&plain(text));
    match masked.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", masked.get(..end).unwrap_or_default().trim_end()),
        None => masked,
    }
}

/// On one line, its spaces joined, without characters that move a terminal's cursor or turn the direction of text.
#[must_use]
pub fn plain(text: &str) -> String {
    let kept: String = text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text with what looks like a secret replaced.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    // Whether the value that comes next belongs to a name of secrets.
    let mut named = false;
    while let Some(first) = rest.chars().next() {
        if matches!(first, '"' | '\'' | '`') {
            let after = rest.get(1..).unwrap_or_default();
            if named && let Some((value, after)) = after.split_once(first) {
                let value = if value.chars().count() >= 6 && !value.contains("${") { MASK } else { value };
                shown.extend([&first.to_string(), value, &first.to_string()]);
                (rest, named) = (after, false);
                continue;
            }
            shown.push(first);
            rest = after;
        } else if is_part(first) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            let secret = is_key(run) || is_random(run) || is_userinfo(&shown, after);
            shown.push_str(if secret { MASK } else { run });
            named = is_name(run) && is_assigned(after);
            rest = after;
        } else {
            // Of `name: "value"` and of `name = "value"`, what stands between.
            named &= first.is_whitespace() || matches!(first, ':' | '=');
            shown.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    shown
}

fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.')
}

fn is_key(run: &str) -> bool {
    KEYS.iter().any(|key| run.strip_prefix(key).is_some_and(|rest| rest.len() >= 8 && !rest.contains("..")))
        && run.chars().any(|c| c.is_ascii_digit())
}

/// Long, with small and large letters and digits mixed, or hexadecimal: no name that a person chose.
fn is_random(run: &str) -> bool {
    let count = |is: fn(char) -> bool| run.chars().filter(|c| is(*c)).count();
    let (digits, small, large) =
        (count(|c| c.is_ascii_digit()), count(|c| c.is_ascii_lowercase()), count(|c| c.is_ascii_uppercase()));
    let is_hex = run.chars().all(|c| c.is_ascii_hexdigit()) && digits >= 4;
    run.len() >= RANDOM && (is_hex || (digits >= 4 && small >= 4 && large >= 4))
}

/// `user:password` before an `@` of an address. What comes before is `//user:`, and after it `@`.
fn is_userinfo(shown: &str, after: &str) -> bool {
    let user = shown.rsplit_once("//").map(|(_, user)| user);
    after.starts_with('@') && user.is_some_and(|user| user.ends_with(':') && !user.contains(['/', ' ', '"', '\'']))
}

fn is_name(run: &str) -> bool {
    let name: String = run.chars().filter(|c| !matches!(c, '_' | '-')).collect::<String>().to_ascii_lowercase();
    NAMES.iter().any(|secret| name.ends_with(secret))
}

fn is_assigned(after: &str) -> bool {
    let after = after.trim_start_matches(['"', '\'']).trim_start();
    after.starts_with(':') || (after.starts_with('=') && !after.starts_with("=="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        // Put together, so that no literal looks like a credential.
        let key = ["sk", "live", "51HxPlantedAbCd"].join("_");
        let signing = ["whsec", "5f2b8c0d9a"].join("_");
        for (text, shown) in [
            (format!("new Stripe('{key}')"), "new Stripe('***')".to_owned()),
            (format!("verify(body, sig, \"{signing}\")"), "verify(body, sig, \"***\")".to_owned()),
            ("const password = 'hunter22'".to_owned(), "const password = '***'".to_owned()),
            ("{ api_key: \"abc-def\" }".to_owned(), "{ api_key: \"***\" }".to_owned()),
            ("postgres://shop:hunter2@db/shop".to_owned(), "postgres://shop:***@db/shop".to_owned()),
            ("d41d8cd98f00b204e9800998ecf8427e".to_owned(), "***".to_owned()),
        ] {
            assert_eq!(masked(&text), shown);
        }
    }

    #[test]
    fn code_stays_as_it_is() {
        for text in [
            "await prisma.order.create({ data: { total: body.total } })",
            "const token = await readToken(request)",
            "const reallyLongFunctionNameThatPeopleWroteForTheirOwnShop = 1",
            "if (password === 'x') return",
            "request.headers.get('Idempotency-Key')",
            "re_export_all()",
            "process.env.STRIPE_SECRET_KEY",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_line_is_one_line_that_moves_no_cursor() {
        assert_eq!(line("a\n\t b\u{1b}[2Jc\u{202e}d"), "a b [2Jc d");
        assert_eq!(line(&"x ".repeat(200)).chars().count(), 160);
    }
}
