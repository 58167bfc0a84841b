//! What the audit promises of single cases.

use payproof_audit::model::{Judgment, Names};

use crate::tree::{Shop, line};

fn pay(amount: &str, imports: &str) -> Shop {
    let route = format!(
        "import {{ prisma }} from '@/lib/db'\nimport {{ stripe }} from '@/lib/stripe'\n{imports}\n\
         export async function POST(req: Request) {{\n\
           const body = await req.json()\n\
           const price_db = (await prisma.product.findUnique({{ where: {{ id: body.id }} }})).price\n\
           await stripe.paymentIntents.create({{ amount: {amount}, currency: 'eur' }}, {{ idempotencyKey: body.orderId }})\n\
           return Response.json({{ data: 1 }})\n}}\n"
    );
    Shop::with(&[("app/api/pay/route.ts", &route)])
}

fn about_amounts(shop: &Shop) -> Vec<String> {
    shop.said().into_iter().filter(|said| said.contains("amount-from-request")).collect()
}

#[test]
fn a_stored_price_times_a_quantity_is_no_amount_from_the_request() {
    assert_eq!(about_amounts(&pay("price_db * body.qty", "")), Vec::<String>::new());
}

#[test]
fn a_total_of_the_request_is_high_and_a_discount_of_it_is_told() {
    assert_eq!(about_amounts(&pay("body.total", "")), ["high amount-from-request POST /api/pay"]);
    assert_eq!(about_amounts(&pay("price_db - body.discount", "")), ["medium amount-from-request POST /api/pay"]);
}

#[test]
fn a_package_that_may_settle_the_amount_is_named() {
    let shop = pay("settled(body.items)", "import { settled } from '@acme/prices'");
    let judged = shop.judged();
    let finding = judged.findings.iter().find(|finding| finding.rule.id() == "amount-from-request").unwrap();
    assert_eq!(finding.unfollowed.as_deref(), Some("settled"));
    assert_eq!(line(finding), "low amount-from-request POST /api/pay");
}

const REPLAY: &str = "import { protect } from '@acme/auth'\nimport { prisma } from '@/lib/db'\nimport { redis } from '@/lib/redis'\n\
    export async function POST(req: Request) {\n\
      const user = await protect(req)\n\
      const key = req.headers.get('idempotency-key')\n\
      if (!key) return new Response(null, { status: 400 })\n\
      const won = await redis.set(`${user.id}:${key}`, 1, { nx: true })\n\
      if (!won) return Response.json(await redis.get(`${user.id}:${key}`))\n\
      return Response.json(await prisma.order.create({ data: {} }))\n}\n";

#[test]
fn an_unknown_helper_that_may_authenticate_makes_no_route_high() {
    let judged = Shop::with(&[("app/api/orders/route.ts", REPLAY)]).judged();
    let high: Vec<String> = judged.findings.iter().map(line).filter(|said| said.starts_with("high")).collect();
    assert_eq!(high, Vec::<String>::new());
    let named = judged.findings.iter().find(|finding| finding.rule.id() == "replay-before-auth").unwrap();
    assert_eq!(named.unfollowed.as_deref(), Some("protect"));
}

#[test]
fn a_configured_helper_is_a_session() {
    let names = Names { session: vec!["protect".to_owned()], ..Names::default() };
    let judged = Shop::with(&[("app/api/orders/route.ts", REPLAY)]).judged_with(&names);
    assert!(!judged.findings.iter().any(|finding| finding.rule.id() == "replay-before-auth"));
}

#[test]
fn a_headers_name_in_an_imported_constant_is_read() {
    let route = "import { NAMES } from '@/lib/names'\nimport { prisma } from '@/lib/db'\n\
        export async function POST(req: Request) {\n\
          const key = req.headers.get(NAMES.key)\n\
          if (!key) return new Response(null, { status: 400 })\n\
          return Response.json(await prisma.order.create({ data: {} }))\n}\n";
    let names = "const KEY = 'Idempotency-Key'\nexport const NAMES = { key: KEY } as const\n";
    let shop = Shop::with(&[("app/api/orders/route.ts", route), ("lib/names.ts", names)]);
    assert_eq!(shop.said(), Vec::<String>::new());
    // Another name is another header.
    let shop = Shop::with(&[
        ("app/api/orders/route.ts", route),
        ("lib/names.ts", &names.replace("Idempotency-Key", "X-Trace")),
    ]);
    assert_eq!(shop.said(), ["high key-missing POST /api/orders"]);
}

#[test]
fn routes_of_one_service_are_found_whatever_declares_them() {
    let shop = Shop::with(&[
        (
            "app/(shop)/api/items/[id]/route.ts",
            "export const GET = async () => Response.json({ data: 1 })\nasync function post() {}\nexport { post as POST }\n",
        ),
        (
            "pages/api/old/[...rest].ts",
            "export default (req, res) => { if (req.method !== 'POST') return res.status(405).end(); res.end() }\n",
        ),
        (
            "server.ts",
            "import express from 'express'\nimport { api } from './api'\nconst app = express()\napp.use('/v1', api)\napp.route('/x').get((req, res) => res.end()).post((req, res) => res.end())\n",
        ),
        (
            "api.ts",
            "import { Router } from 'express'\nexport const api = Router()\napi.delete('/orders/:id', (req, res) => res.end())\n",
        ),
        (
            "other.ts",
            "import { Hono } from 'hono'\nconst app = new Hono().basePath('/h')\napp.patch('/y', (c) => c.json({ data: 1 }))\n",
        ),
        ("app/actions.ts", "'use server'\nexport async function buy(form: FormData) {}\nfunction inner() {}\n"),
        ("app/api/trpc/[trpc]/route.ts", "export const POST = async (req: Request) => new Response()\n"),
        ("app/api/auth/route.ts", "import { handlers } from '@acme/auth'\nexport const { GET, POST } = handlers\n"),
    ]);
    let found: Vec<String> = shop
        .judged()
        .routes
        .iter()
        .map(|route| format!("{} {} {:?}", route.method, route.path, route.judgment))
        .collect();
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "DELETE /v1/orders/{id} Judged",
            "GET /api/auth Foreign",
            "GET /api/items/{id} Judged",
            "GET /x Judged",
            "PATCH /h/y Judged",
            "POST /api/auth Foreign",
            "POST /api/items/{id} Judged",
            "POST /api/old/{rest} Judged",
            "POST /api/trpc/{trpc} Exempt",
            "POST /x Judged",
            "POST action:buy Judged",
        ]
    );
    assert!(found.len() > 10, "{:?}", Judgment::Judged);
}

#[test]
fn a_call_that_lies_too_deep_is_low_and_named() {
    let mut files = vec![(
        "app/api/orders/route.ts".to_owned(),
        "import { step1 } from '@/lib/step1'\nexport async function POST(req: Request) {\n  return Response.json(await step1())\n}\n".to_owned(),
    )];
    for at in 1..12 {
        let next = at + 1;
        let text = format!(
            "import {{ step{next} }} from '@/lib/step{next}'\nexport async function step{at}() {{ return step{next}() }}\n"
        );
        files.push((format!("lib/step{at}.ts"), text));
    }
    files.push((
        "lib/step12.ts".to_owned(),
        "import { prisma } from '@/lib/db'\nexport async function step12() { return prisma.order.create({ data: {} }) }\n".to_owned(),
    ));
    let deep: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let said = Shop::with(&deep).said();
    assert!(said.iter().all(|said| !said.starts_with("high")), "{said:?}");
    // One that is called within eight calls is seen.
    let near: Vec<(&str, String)> = deep
        .iter()
        .filter(|(path, _)| !["lib/step8.ts", "lib/step9.ts", "lib/step10.ts", "lib/step11.ts"].contains(path))
        .map(|(path, text)| (*path, text.replace("step8", "step12")))
        .collect();
    let near: Vec<(&str, &str)> = near.iter().map(|(path, text)| (*path, text.as_str())).collect();
    assert_eq!(Shop::with(&near).said(), ["high key-missing POST /api/orders"]);
}

#[test]
fn a_finding_stands_in_the_handlers_file_behind_wrappers_and_middleware() {
    let shop = Shop::with(&[
        (
            "server.ts",
            "import express from 'express'\nimport { caught } from './caught'\nimport { signedIn } from './signed-in'\nimport { place } from './orders'\n\
             const app = express()\napp.post('/orders', signedIn, caught(place))\n",
        ),
        (
            "caught.ts",
            "export const caught = (fn) => (req, res, next) => Promise.resolve(fn(req, res, next)).catch(next)\n",
        ),
        (
            "signed-in.ts",
            "export const signedIn = (req, res, next) => { if (!req.headers.authorization) return res.sendStatus(401); next() }\n",
        ),
        (
            "orders.ts",
            "import { prisma } from './lib/db'\nexport const place = async (req, res) => {\n  res.json(await prisma.order.create({ data: {} }))\n}\n",
        ),
    ]);
    let findings = shop.judged().findings;
    let places: Vec<(&str, u32)> = findings.iter().map(|finding| (finding.path.as_str(), finding.line)).collect();
    assert_eq!(places, [("orders.ts", 3)]);
}
