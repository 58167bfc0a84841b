//! Patterns of paths, as a matcher of Next.js and Clerk's `createRouteMatcher` have them: `/admin/:path*`, `/((?!api|_next).*)`.

/// Steps that one pattern may take: real ones take some hundred.
const MOST_STEPS: u32 = 20_000;
/// Groups in groups that are read.
const DEEPEST: u32 = 12;

/// Whether a pattern covers a path. What cannot be told counts as covered.
pub(crate) fn covers(pattern: &str, path: &str) -> bool {
    let plain: Vec<char> = as_expression(pattern.trim_end_matches('/')).chars().collect();
    let mut reader = Reader { signs: &plain, at: 0 };
    let Some(whole) = reader.alternatives(DEEPEST).filter(|_| reader.at == plain.len()) else { return true };
    let path = path.trim_end_matches('/');
    // A route's own parts that vary are any text.
    let path: Vec<char> = path.replace(['{', '}'], "").chars().collect();
    let mut left = MOST_STEPS;
    let found = any_of(&whole, &path, &mut left, &mut |rest, _| rest.is_empty());
    found || left == 0
}

/// `:path*` and its like as the expression that they stand for; a dot of the path itself is a dot.
fn as_expression(pattern: &str) -> String {
    let signs: Vec<char> = pattern.chars().collect();
    let (mut out, mut at, mut inside) = (String::new(), 0_usize, 0_usize);
    while let Some(sign) = signs.get(at).copied() {
        at = at.saturating_add(1);
        match sign {
            '\\' => {
                out.push(sign);
                out.extend(signs.get(at));
                at = at.saturating_add(1);
            }
            '.' if inside == 0 => out.push_str("\\."),
            ':' if inside == 0 => {
                let name = signs.iter().skip(at).take_while(|sign| sign.is_alphanumeric() || **sign == '_').count();
                at = at.saturating_add(name);
                if signs.get(at) == Some(&'(') {
                    // Its own expression follows.
                    continue;
                }
                match signs.get(at).copied().filter(|sign| matches!(sign, '*' | '+' | '?')) {
                    Some(many) => {
                        at = at.saturating_add(1);
                        if out.ends_with('/') {
                            out.pop();
                        }
                        out.push_str("(?:/[^/]+)");
                        out.push(many);
                    }
                    None => out.push_str("[^/]+"),
                }
            }
            _ => {
                match sign {
                    '(' => inside = inside.saturating_add(1),
                    ')' => inside = inside.saturating_sub(1),
                    _ => {}
                }
                out.push(sign);
            }
        }
    }
    out
}

/// A piece of an expression.
enum Piece {
    One(char),
    Any,
    /// Whether it is another sign than these.
    Class(bool, Vec<(char, char)>),
    Group(Vec<Vec<Piece>>),
    /// What must follow, or must not.
    Ahead(bool, Vec<Vec<Piece>>),
    Many(Box<Piece>, usize, usize),
    End,
}

struct Reader<'p> {
    signs: &'p [char],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let sign = self.signs.get(self.at).copied()?;
        self.at = self.at.saturating_add(1);
        Some(sign)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found =
            text.chars().enumerate().all(|(at, sign)| self.signs.get(self.at.saturating_add(at)) == Some(&sign));
        if found {
            self.at = self.at.saturating_add(text.len());
        }
        found
    }

    /// Up to the bracket that closes, or to the end; `None` if it is not understood.
    fn alternatives(&mut self, levels: u32) -> Option<Vec<Vec<Piece>>> {
        let levels = levels.checked_sub(1)?;
        let mut all = vec![Vec::new()];
        while let Some(sign) = self.signs.get(self.at).copied() {
            if sign == ')' {
                break;
            }
            self.at = self.at.saturating_add(1);
            if sign == '|' {
                all.push(Vec::new());
                continue;
            }
            let piece = self.piece(sign, levels)?;
            let piece = self.repeated(piece);
            all.last_mut()?.push(piece);
        }
        Some(all)
    }

    fn piece(&mut self, sign: char, levels: u32) -> Option<Piece> {
        Some(match sign {
            '.' => Piece::Any,
            '$' => Piece::End,
            '^' => Piece::Group(vec![Vec::new()]),
            '[' => self.class()?,
            '\\' => escaped(self.next()?),
            '(' => {
                let ahead = if self.eat("?!") {
                    Some(false)
                } else if self.eat("?=") {
                    Some(true)
                } else {
                    self.eat("?:");
                    None
                };
                let inner = self.alternatives(levels)?;
                self.eat(")").then_some(())?;
                match ahead {
                    Some(wanted) => Piece::Ahead(wanted, inner),
                    None => Piece::Group(inner),
                }
            }
            sign => Piece::One(sign),
        })
    }

    fn repeated(&mut self, piece: Piece) -> Piece {
        let (least, most) = match self.signs.get(self.at) {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            _ => return piece,
        };
        self.at = self.at.saturating_add(1);
        self.eat("?");
        Piece::Many(Box::new(piece), least, most)
    }

    fn class(&mut self) -> Option<Piece> {
        let other = self.eat("^");
        let mut ranges = Vec::new();
        loop {
            let sign = match self.next()? {
                ']' => return Some(Piece::Class(other, ranges)),
                '\\' => match escaped(self.next()?) {
                    Piece::One(sign) => sign,
                    Piece::Class(false, inner) => {
                        ranges.extend(inner);
                        continue;
                    }
                    _ => return None,
                },
                sign => sign,
            };
            if self.signs.get(self.at) == Some(&'-') && self.signs.get(self.at.saturating_add(1)) != Some(&']') {
                self.at = self.at.saturating_add(1);
                ranges.push((sign, self.next()?));
            } else {
                ranges.push((sign, sign));
            }
        }
    }
}

fn escaped(sign: char) -> Piece {
    match sign {
        'd' => Piece::Class(false, vec![('0', '9')]),
        'w' => Piece::Class(false, vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
        's' => Piece::Class(false, vec![(' ', ' '), ('\t', '\r')]),
        'W' => Piece::Class(true, vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
        sign => Piece::One(sign),
    }
}

/// What is to hold of the rest of a path.
type Then<'t> = &'t mut dyn FnMut(&[char], &mut u32) -> bool;

fn any_of(all: &[Vec<Piece>], path: &[char], left: &mut u32, then: Then<'_>) -> bool {
    all.iter().any(|pieces| each_of(pieces, path, left, then))
}

fn each_of(pieces: &[Piece], path: &[char], left: &mut u32, then: Then<'_>) -> bool {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return false;
    }
    match pieces.split_first() {
        None => then(path, left),
        Some((first, rest)) => one(first, path, left, &mut |path, left| each_of(rest, path, left, then)),
    }
}

fn one(piece: &Piece, path: &[char], left: &mut u32, then: Then<'_>) -> bool {
    let step = |fits: bool| path.split_first().filter(|_| fits).map(|(_, rest)| rest);
    let first = path.first().copied();
    let rest = match piece {
        Piece::One(sign) => step(first == Some(*sign)),
        Piece::Any => step(true),
        Piece::Class(other, ranges) => {
            let within = first.is_some_and(|first| ranges.iter().any(|(from, to)| (*from..=*to).contains(&first)));
            step(first.is_some() && within != *other)
        }
        Piece::End => path.is_empty().then_some(path),
        Piece::Ahead(wanted, inner) => (any_of(inner, path, left, &mut |_, _| true) == *wanted).then_some(path),
        Piece::Group(inner) => return any_of(inner, path, left, then),
        Piece::Many(inner, least, most) => return many(inner, *least, *most, path, left, then),
    };
    rest.is_some_and(|rest| then(rest, left))
}

fn many(piece: &Piece, least: usize, most: usize, path: &[char], left: &mut u32, then: Then<'_>) -> bool {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return false;
    }
    let more = most > 0
        && one(piece, path, left, &mut |rest, left| {
            // What takes nothing would do so for ever.
            rest.len() < path.len() && many(piece, least.saturating_sub(1), most.saturating_sub(1), rest, left, then)
        });
    more || (least == 0 && then(path, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        for (pattern, path, covered) in [
            ("/admin/:path*", "/admin", true),
            ("/admin/:path*", "/admin/api/orders", true),
            ("/admin/:path*", "/api/admin", false),
            ("/api/:path+", "/api", false),
            ("/api/orders/:id", "/api/orders/{id}", true),
            ("/api/orders/:id", "/api/orders/{id}/pay", false),
            ("/((?!api|_next/static|_next/image|favicon.ico).*)", "/api/orders", false),
            ("/((?!api|_next/static|_next/image|favicon.ico).*)", "/account", true),
            ("/((?!_next|[^?]*\\.(?:html?|css|js(?!on)|jpe?g|png)).*)", "/api/orders", true),
            ("/((?!_next|[^?]*\\.(?:html?|css|js(?!on)|jpe?g|png)).*)", "/logo.png", false),
            ("/(api|trpc)(.*)", "/api/orders", true),
            ("/(api|trpc)(.*)", "/shop", false),
            ("/api/webhooks(.*)", "/api/webhooks/stripe", true),
            ("/((?!.*\\..*|_next).*)", "/api/orders", true),
            ("/:lang(en|de)/shop", "/de/shop", true),
            ("/:lang(en|de)/shop", "/fr/shop", false),
            ("/", "/", true),
            ("/", "/api", false),
            ("/dashboard", "/dashboard/", true),
        ] {
            assert_eq!(covers(pattern, path), covered, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_not_understood_or_never_ends_covers() {
        assert!(covers("/((", "/api"));
        assert!(covers("/((a*)*)*b(c", "/api"));
        assert!(covers("/(a|a|a|aa)+(a|aa)+(a|aa)+(a|aa)+(a|aa)+z", &format!("/{}", "a".repeat(60))));
    }
}
