//! Sources that are made to break the audit: they end, and nothing breaks.

use payproof_audit::script;

use crate::tree::Shop;

fn route(text: &str) -> Shop {
    Shop::with(&[("app/api/orders/route.ts", text)])
}

#[test]
fn a_hundred_thousand_brackets_end_and_are_told() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("f(", ")"), ("() => ", ""), ("!", ""), ("a ? ", "")] {
        let text = format!("export const POST = {}1{}", open.repeat(100_000), close.repeat(100_000));
        let shop = route(&text);
        shop.judged();
    }
    let text = format!("export const POST = {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let read = std::thread::Builder::new().stack_size(256 << 20).spawn(move || script::read("a.ts", &text)).unwrap();
    assert!(read.join().unwrap().not_read.is_some());
}

#[test]
fn chains_and_calls_in_circles_end() {
    let circles = "export async function POST(req) { return a(req) }\nfunction a(x) { b(x); b(x); return b(x) }\nfunction b(x) { c(x); c(x); return c(x) }\nfunction c(x) { d(x); d(x); return a(x) }\nfunction d(x) { c(x); return b(x) }\n";
    route(circles).judged();
    let chain = format!("export const POST = a{}", ".b()".repeat(50_000));
    route(&chain).judged();
    let sums = format!("export async function POST() {{ return {} }}", "1 + ".repeat(50_000) + "1");
    route(&sums).judged();
    let ifs = format!("export async function POST(req) {{ {} }}", "if (req.x) { y() } else ".repeat(20_000) + "z()");
    route(&ifs).judged();
    let shop = Shop::with(&[
        ("app/api/orders/route.ts", "export * from '@/lib/a'"),
        ("lib/a.ts", "export * from './b'\nexport { POST as GET } from './b'"),
        ("lib/b.ts", "export * from './a'\nexport { GET as POST } from './a'"),
    ]);
    shop.judged();
}

#[test]
fn cut_files_never_panic() {
    let whole = include_str!("../fixtures/claim-not-atomic/good/nx/app/api/orders/route.ts");
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)).step_by(7) {
        route(&whole[..end]).judged();
        route(&whole[end..]).judged();
    }
}

#[test]
fn random_bytes_never_panic() {
    let signs: Vec<char> =
        "abc.(){}[]=>;:,'\"`$?!&|+-*/<>\n \u{e9}\u{1f600}async await function class export const return"
            .chars()
            .collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..300 {
        let mut text = String::from("export async function POST(req) {");
        for _ in 0..200 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push(signs[usize::try_from(state % signs.len() as u64).unwrap()]);
        }
        route(&text).judged();
    }
}
