//! Writes trees to measure the audit with: `generate shop-ts FOLDER`, `generate shop-axum FOLDER`, `generate tree FOLDER`,
//! `generate routes FOLDER COUNT`, `generate routers FOLDER COUNT`.
//!
//! A shop has 200 routes, of which each fifth is wrong in a way that is high, with the cure in a comment; the rest are right, with
//! the check one file away. It prints how many are wrong. `tree` has 10,000 files, 200 of which are routes. `routes` has as many
//! routes as are asked for, of 50 lines each, with helpers in files of their own; each fifth is wrong. `routers` has as many
//! routers of Express, each in a file of its own.
#![allow(clippy::print_stdout, reason = "it says what it wrote")]

use std::fs;
use std::io;
use std::path::Path;

const ROUTES: usize = 200;
const FILES: usize = 10_000;

/// Each so many routes one is wrong.
const WRONG: usize = 5;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["shop-ts", folder] => shop_ts(Path::new(folder)),
        ["shop-axum", folder] => shop_axum(Path::new(folder)),
        ["tree", folder] => tree(Path::new(folder)),
        ["routes", folder, count] => routes(Path::new(folder), count.parse().map_err(io::Error::other)?),
        ["routers", folder, count] => routers(Path::new(folder), count.parse().map_err(io::Error::other)?),
        _ => Err(io::Error::other(
            "say: shop-ts, shop-axum, tree, routes or routers, a folder, and of the last two how many",
        )),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    fs::write(path, text)
}

fn told(routes: usize, wrong: usize) {
    println!("{routes} routes, {wrong} of them wrong");
}

const TS_LIB: &str = "\
import Redis from 'ioredis'
import { getServerSession } from 'next-auth'
import { prisma } from './db'
const redis = new Redis(process.env.REDIS_URL)
export async function caller() {
  const session = await getServerSession()
  if (!session) throw new Error('unauthenticated')
  return session.user
}
export async function once(request: Request, user: { id: string }) {
  const key = request.headers.get('Idempotency-Key')
  if (!key) throw new Error('no key')
  const claimed = await redis.set(`once:${user.id}:${key}`, '1', 'EX', 86400, 'NX')
  if (!claimed) throw new Error('in progress')
}
export async function place(user: { id: string }, items: string[]) {
  return prisma.order.create({ data: { userId: user.id, items, status: 'open' } })
}
";

/// What the routes stand on.
fn lib(folder: &Path) -> io::Result<()> {
    write(folder, "lib/shop.ts", TS_LIB)?;
    write(
        folder,
        "lib/db.ts",
        "import { PrismaClient } from '@prisma/client'\nexport const prisma = new PrismaClient()\n",
    )?;
    write(folder, "tsconfig.json", "{ \"compilerOptions\": { \"paths\": { \"@/*\": [\"./*\"] } } }\n")
}

pub(crate) fn shop_ts(folder: &Path) -> io::Result<()> {
    lib(folder)?;
    let mut wrong = 0_usize;
    for number in 0..ROUTES {
        let is_wrong = number.checked_rem(WRONG) == Some(0);
        wrong = wrong.saturating_add(usize::from(is_wrong));
        let guard = if is_wrong { "// await once(request, user)" } else { "await once(request, user)" };
        let text = format!(
            "import {{ caller, once, place }} from '@/lib/shop'\nexport async function POST(request: Request) {{\n  \
             const user = await caller()\n  {guard}\n  const body = await request.json()\n  \
             const order = await place(user, body.items)\n  return Response.json({{ data: order }}, {{ status: 201 }})\n}}\n"
        );
        write(folder, &format!("app/api/orders/{number}/route.ts"), &text)?;
    }
    told(ROUTES, wrong);
    Ok(())
}

const RUST_LIB: &str = "\
use axum::http::{HeaderMap, StatusCode};
use sqlx::PgPool;
pub async fn once(headers: &HeaderMap, pool: &PgPool, user: i64) -> Result<(), StatusCode> {
    let key = headers.get(\"Idempotency-Key\").ok_or(StatusCode::BAD_REQUEST)?.to_str().unwrap_or_default();
    sqlx::query(\"INSERT INTO claims (user_id, key) VALUES ($1, $2) ON CONFLICT DO NOTHING\").bind(user).bind(key).execute(pool).await.map_err(|_| StatusCode::CONFLICT)?;
    Ok(())
}
pub async fn place(pool: &PgPool, user: i64, items: &[String]) -> Result<(), StatusCode> {
    sqlx::query(\"INSERT INTO orders (user_id, items) VALUES ($1, $2)\").bind(user).bind(items).execute(pool).await.map_err(|_| StatusCode::CONFLICT)?;
    Ok(())
}
";

pub(crate) fn shop_axum(folder: &Path) -> io::Result<()> {
    let (mut main, mut wrong) = (String::new(), 0_usize);
    let mut routes = String::new();
    for number in 0..ROUTES {
        let is_wrong = number.checked_rem(WRONG) == Some(0);
        wrong = wrong.saturating_add(usize::from(is_wrong));
        let guard = if is_wrong {
            "// once(&headers, &pool, user.id).await?;"
        } else {
            "once(&headers, &pool, user.id).await?;"
        };
        let text = format!(
            "use axum::{{Json, extract::State, http::{{HeaderMap, StatusCode}}}};\nuse sqlx::PgPool;\n\
             use crate::shop::{{once, place}};\npub async fn create(user: AuthUser, State(pool): State<PgPool>, headers: HeaderMap, \
             Json(claim): Json<Claim>) -> Result<StatusCode, StatusCode> {{\n    {guard}\n    \
             place(&pool, user.id, &claim.items).await?;\n    Ok(StatusCode::CREATED)\n}}\n"
        );
        write(folder, &format!("src/orders_{number}.rs"), &text)?;
        main.extend([format!("mod orders_{number};\n")]);
        routes.extend([format!("        .route(\"/orders/{number}\", post(orders_{number}::create))\n")]);
    }
    write(folder, "src/shop.rs", RUST_LIB)?;
    let text = format!(
        "{main}mod shop;\nuse axum::{{Router, routing::post}};\npub fn app() -> Router {{\n    Router::new()\n{routes}}}\n"
    );
    write(folder, "src/main.rs", &text)?;
    told(ROUTES, wrong);
    Ok(())
}

/// As a large repository has them: components that the audit has to look at and put aside.
fn tree(folder: &Path) -> io::Result<()> {
    shop_ts(folder)?;
    for number in ROUTES..FILES {
        let mut rows = String::new();
        rows.extend((0..40).map(|row| format!("      <li key={{{row}}}>{{items[{row}].name}}</li>\n")));
        let text = format!(
            "import React from 'react'\nexport function List{number}({{ items }}: {{ items: {{ name: string }}[] }}) {{\n  \
             return (\n    <ul>\n{rows}    </ul>\n  )\n}}\n"
        );
        write(folder, &format!("components/{}/List{number}.tsx", number.checked_rem(100).unwrap_or_default()), &text)?;
    }
    Ok(())
}

/// The rest of a large route: what it reads, checks, computes, writes and answers.
const ROUTE: &str = "\
import { NextResponse } from 'next/server'
import Stripe from 'stripe'
import { z } from 'zod'
import { caller, once } from '@/lib/shop'
import { prisma } from '@/lib/db'
import { priced } from '@/services/prices'
import { notify } from '@/services/mail'

const stripe = new Stripe(process.env.STRIPE_SECRET_KEY!)
const Checkout = z.object({
  cart: z.string().min(1),
  items: z.array(z.object({ id: z.string(), quantity: z.number().int().positive() })),
  note: z.string().max(500).optional(),
})

export async function POST(request: Request, { params }: { params: { shop: string } }) {
  const user = await caller()
  // GUARD
  const parsed = Checkout.safeParse(await request.json())
  if (!parsed.success) {
    return NextResponse.json({ error: { code: 'MALFORMED', message: 'the checkout is malformed' } }, { status: 400 })
  }
  const { cart, items, note } = parsed.data
  const stored = await prisma.cart.findUnique({ where: { id: cart, userId: user.id } })
  if (!stored || stored.shop !== params.shop) {
    return NextResponse.json({ error: { code: 'NO_CART', message: 'there is no such cart' } }, { status: 404 })
  }
  const lines = await priced(items)
  let total = 0
  for (const line of lines) {
    if (line.stock < line.quantity) {
      return NextResponse.json({ error: { code: 'SOLD_OUT', message: `${line.name} is sold out` } }, { status: 409 })
    }
    total += line.price * line.quantity
  }
  const intent = await stripe.paymentIntents.create(
    { amount: total, currency: stored.currency, metadata: { cart, shop: params.shop } },
    { idempotencyKey: `checkout-NUMBER-${cart}` },
  )
  const order = await prisma.order.create({
    data: { userId: user.id, shop: params.shop, items: lines, total, note: note ?? '', payment: intent.id, status: 'open' },
  })
  await notify(user, order)
  return NextResponse.json({ data: { id: order.id, total, secret: intent.client_secret } }, { status: 201 })
}

export async function GET(request: Request, { params }: { params: { shop: string } }) {
  const user = await caller()
  const orders = await prisma.order.findMany({ where: { userId: user.id, shop: params.shop } })
  return NextResponse.json({ data: orders })
}
";

const PRICES: &str = "\
import { prisma } from '@/lib/db'
export async function priced(items: { id: string, quantity: number }[]) {
  const products = await prisma.product.findMany({ where: { id: { in: items.map((item) => item.id) } } })
  return items.map((item) => {
    const product = products.find((product) => product.id === item.id)
    if (!product) throw new Error('no such product')
    return { ...product, quantity: item.quantity }
  })
}
";

const MAIL: &str = "\
import { Resend } from 'resend'
const resend = new Resend(process.env.RESEND_KEY)
export async function notify(user: { email: string }, order: { id: string }) {
  await resend.emails.send({ to: user.email, subject: `Order ${order.id}`, text: 'Thank you.' })
}
";

/// A repository that has nothing but routes.
fn routes(folder: &Path, count: usize) -> io::Result<()> {
    lib(folder)?;
    write(folder, "services/prices.ts", PRICES)?;
    write(folder, "services/mail.ts", MAIL)?;
    let mut wrong = 0_usize;
    for number in 0..count {
        let is_wrong = number.checked_rem(WRONG) == Some(0);
        wrong = wrong.saturating_add(usize::from(is_wrong));
        let guard = if is_wrong { "// await once(request, user)" } else { "await once(request, user)" };
        let text = ROUTE.replace("// GUARD", guard).replace("NUMBER", &number.to_string());
        write(folder, &format!("app/api/checkout/{number}/[shop]/route.ts"), &text)?;
    }
    told(count, wrong);
    Ok(())
}

const EXPRESS_LIB: &str = "\
import Redis from 'ioredis'
const redis = new Redis(process.env.REDIS_URL)
export async function once(req, res, next) {
  const key = req.get('Idempotency-Key')
  if (!key) return res.status(400).json({ error: { code: 'NO_KEY', message: 'no key' } })
  const claimed = await redis.set(`once:${req.user.id}:${key}`, '1', 'EX', 86400, 'NX')
  if (!claimed) return res.status(409).json({ error: { code: 'BUSY', message: 'in progress' } })
  next()
}
";

const ROUTER: &str = "\
import { Router } from 'express'
import passport from 'passport'
import Stripe from 'stripe'
import { prisma } from '../lib/db'
import { once } from '../lib/once'
import { priced } from '../services/prices'

const router = Router()
const stripe = new Stripe(process.env.STRIPE_SECRET_KEY)

router.get('/NUMBER', passport.authenticate('jwt'), async (req, res) => {
  const orders = await prisma.order.findMany({ where: { userId: req.user.id } })
  res.json({ data: orders })
})

router.post('/NUMBER', passport.authenticate('jwt'), GUARD async (req, res) => {
  const { cart, items } = req.body
  const stored = await prisma.cart.findUnique({ where: { id: cart, userId: req.user.id } })
  if (!stored) {
    return res.status(404).json({ error: { code: 'NO_CART', message: 'there is no such cart' } })
  }
  const lines = await priced(items)
  let total = 0
  for (const line of lines) {
    if (line.stock < line.quantity) {
      return res.status(409).json({ error: { code: 'SOLD_OUT', message: `${line.name} is sold out` } })
    }
    total += line.price * line.quantity
  }
  const intent = await stripe.paymentIntents.create(
    { amount: total, currency: stored.currency, metadata: { cart } },
    { idempotencyKey: `checkout-NUMBER-${cart}` },
  )
  const order = await prisma.order.create({
    data: { userId: req.user.id, items: lines, total, payment: intent.id, status: 'open' },
  })
  res.status(201).json({ data: { id: order.id, total, secret: intent.client_secret } })
})

export default router
";

/// A server that mounts routers of many files.
fn routers(folder: &Path, count: usize) -> io::Result<()> {
    lib(folder)?;
    write(folder, "lib/once.ts", EXPRESS_LIB)?;
    write(folder, "services/prices.ts", PRICES)?;
    let (mut wrong, mut imports, mut mounts) = (0_usize, String::new(), String::new());
    for number in 0..count {
        let is_wrong = number.checked_rem(WRONG) == Some(0);
        wrong = wrong.saturating_add(usize::from(is_wrong));
        let text = ROUTER.replace("GUARD", if is_wrong { "/* once, */" } else { "once," });
        write(folder, &format!("routes/r{number}.ts"), &text.replace("NUMBER", &number.to_string()))?;
        imports.extend([format!("import r{number} from './routes/r{number}'\n")]);
        mounts.extend([format!("app.use('/v1', r{number})\n")]);
    }
    let server = format!("{imports}const app = express()\napp.use(express.json())\n{mounts}");
    write(folder, "server.ts", &format!("import express from 'express'\n{server}"))?;
    told(count, wrong);
    Ok(())
}
