//! Trees of many files: what is said of one does not depend on the others, and what is known of it is let go of.

use std::sync::{Arc, Mutex, Weak};

use payproof_audit::model::{FileFacts, Names, Sources};
use payproof_audit::{judge, script};

use crate::tree::Shop;

/// More files than are judged together on all threads.
const MANY: usize = 1_500;

fn name(number: usize) -> String {
    format!("app/api/{number:04}/route.ts")
}

/// A file that holds itself in every way there is: by a closure at its top, a class, a list, an object and a map.
const CIRCLES: &str = "\
import { prisma } from '@/lib/db'
const all = []
const known = new Map()
class Orders {
  place = (body) => this.create(body)
  constructor() { this.self = this; all.push(this); known.set('a', known) }
  create(body) { { const inner = () => inner; all.push(inner) } return prisma.order.create({ data: body }) }
}
const orders = new Orders()
const held = { orders }
held.held = held
export const GET = () => Response.json({ data: all })
export async function POST(request) {
  const mine = { orders }
  mine.mine = mine
  known.set('mine', mine)
  all.push(mine, () => mine)
  return Response.json({ data: await orders.place(await request.json()) }, { status: 201 })
}
";

/// Reads a file whenever it is asked for, and counts how many are held by anything at once.
struct Counted {
    held: Mutex<(Vec<Weak<FileFacts>>, usize)>,
}

impl Sources for Counted {
    fn each_name(&self, _: &mut dyn FnMut(&str)) {}

    fn exists(&self, path: &str) -> bool {
        path.ends_with("/route.ts")
    }

    fn facts(&self, path: &str) -> Option<Arc<FileFacts>> {
        let facts = self.exists(path).then(|| Arc::new(script::read(path, CIRCLES)))?;
        let mut held = self.held.lock().unwrap();
        held.0.retain(|facts| facts.strong_count() > 0);
        held.0.push(Arc::downgrade(&facts));
        held.1 = held.1.max(held.0.len());
        Some(facts)
    }

    fn text(&self, _: &str) -> Option<Arc<str>> {
        None
    }
}

#[test]
fn what_a_route_holds_is_let_go_of_when_it_is_judged() {
    let sources = Counted { held: Mutex::default() };
    let candidates: Vec<String> = (0..MANY).map(name).collect();
    let judged = judge(&sources, &candidates, &Names::default()).unwrap();
    assert_eq!(judged.findings.len(), MANY);
    let (left, most) = sources.held.into_inner().unwrap();
    assert!(most < MANY / 2, "{most} files were held at once");
    let left = left.iter().filter(|facts| facts.strong_count() > 0).count();
    assert_eq!(left, 0, "files are held for ever");
}

#[test]
fn routers_are_put_together_from_files_that_lie_far_apart() {
    let post =
        "async (request, response) => response.json({ data: await prisma.order.create({ data: request.body }) })";
    let mut shop = Shop::with(&[
        (
            "a/server.ts",
            "import express from 'express'\nimport orders from '../z/orders'\nconst app = express()\napp.use('/v1', orders)\n",
        ),
        (
            "app/api/[[...route]]/route.ts",
            "import { handle } from 'hono/vercel'\nimport { app } from '@/z/hono'\nexport const POST = handle(app)\n",
        ),
    ]);
    let orders = format!(
        "import {{ Router }} from 'express'\nimport {{ prisma }} from '@/lib/db'\nconst router = Router()\nrouter.post('/orders', {post})\nexport default router\n"
    );
    let hono = "import { Hono } from 'hono'\nimport { prisma } from '@/lib/db'\nexport const app = new Hono().basePath('/api')\n\
        app.post('/carts', async (c) => c.json({ data: await prisma.order.create({ data: await c.req.json() }) }))\n";
    shop.files.insert("z/orders.ts".to_owned(), orders);
    shop.files.insert("z/hono.ts".to_owned(), hono.to_owned());
    for number in 0..200 {
        shop.files.insert(name(number), "export const GET = () => Response.json({ data: [] })\n".to_owned());
    }
    let judged = shop.judged();
    assert_eq!(shop.said(), ["high key-missing POST /api/carts", "high key-missing POST /v1/orders"]);
    assert_eq!(judged.routes.len(), 202);
}
