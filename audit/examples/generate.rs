//! Writes trees to measure the audit with: `generate shop-ts FOLDER`, `generate shop-axum FOLDER`, `generate tree FOLDER`.
//!
//! A shop has 200 routes, of which each fifth is wrong in a way that is high, with the cure in a comment; the rest are right, with
//! the check one file away. It prints how many are wrong. `tree` has 10,000 files, 200 of which are routes.
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
        _ => Err(io::Error::other("say: shop-ts, shop-axum or tree, and a folder")),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    fs::write(path, text)
}

fn told(wrong: usize) {
    println!("{ROUTES} routes, {wrong} of them wrong");
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

pub(crate) fn shop_ts(folder: &Path) -> io::Result<()> {
    write(folder, "lib/shop.ts", TS_LIB)?;
    write(
        folder,
        "lib/db.ts",
        "import { PrismaClient } from '@prisma/client'\nexport const prisma = new PrismaClient()\n",
    )?;
    write(folder, "tsconfig.json", "{ \"compilerOptions\": { \"paths\": { \"@/*\": [\"./*\"] } } }\n")?;
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
    told(wrong);
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
    told(wrong);
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
