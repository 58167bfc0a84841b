//! The same thing in the many ways in which it is written.

use crate::tree::Shop;

fn high(files: &[(&str, &str)]) -> Vec<String> {
    Shop::with(files).said().into_iter().filter(|said| said.starts_with("high")).collect()
}

const EXPRESS: &str = "import express from 'express'\nimport jwt from 'jsonwebtoken'\nimport { prisma } from './lib/db'\nimport { redis } from './lib/redis'\n\
    const app = express()\napp.use(express.json())\n\
    const signedIn = (req, res, next) => { req.user = jwt.verify(req.headers.authorization, process.env.SECRET); next() }\n";

/// A shop whose answers are recorded by a middleware.
fn recorded(record: &str) -> Vec<String> {
    let server = format!(
        "{EXPRESS}\
         const once = async (req, res, next) => {{\n\
           const name = req.get('idempotency-key')\n\
           if (!name) return res.sendStatus(400)\n\
           const key = `${{req.user.sub}}:${{name}}`\n\
           // await redis.set(key, '', {{ nx: true }})\n\
           const known = await redis.get(key)\n\
           if (known && known.print === req.body.print) return res.json(known.answer)\n\
           {record}\n\
           next()\n}}\n\
         app.post('/orders', signedIn, once, async (req, res) => {{\n\
           res.json(await prisma.order.create({{ data: req.body }}))\n}})\n"
    );
    high(&[("server.ts", &server)])
}

#[test]
fn an_answer_that_is_recorded_when_it_is_sent_is_no_claim() {
    for record in [
        "const json = res.json.bind(res)\n  res.json = (body) => { redis.set(key, body); return json(body) }",
        "res.on('finish', () => redis.set(key, res.locals.answer))",
    ] {
        assert_eq!(recorded(record), ["high claim-not-atomic POST /orders"], "{record}");
    }
    let claimed = "if (!(await redis.set(key, 'taken', { nx: true }))) return res.sendStatus(409)\n\
        const json = res.json.bind(res)\n  res.json = (body) => { redis.set(key, body); return json(body) }";
    assert_eq!(recorded(claimed), [""; 0]);
}

#[test]
fn what_middleware_does_after_it_went_on_comes_after_the_handler() {
    let server = |claim: &str| {
        format!(
            "import Koa from 'koa'\nimport Router from '@koa/router'\nimport {{ prisma }} from './lib/db'\nimport {{ redis }} from './lib/redis'\n\
             const router = new Router()\n\
             router.use(async (ctx, next) => {{\n\
               const key = `${{ctx.state.user.id}}:${{ctx.get('Idempotency-Key')}}`\n\
               {claim}\n\
               const known = await redis.get(key)\n\
               if (known && known.print === ctx.request.body.print) {{ ctx.body = known.answer; return }}\n\
               await next()\n\
               await redis.set(key, ctx.body)\n}})\n\
             router.post('/orders', async (ctx) => {{ ctx.body = await prisma.order.create({{ data: ctx.request.body }}) }})\n"
        )
    };
    let bad = server("// await redis.set(key, 1, { nx: true })");
    assert_eq!(high(&[("server.ts", &bad)]), ["high claim-not-atomic POST /orders"]);
    let good = server("if (!(await redis.set(key, 1, { nx: true }))) ctx.throw(409)");
    assert_eq!(high(&[("server.ts", &good)]), [""; 0]);
}

#[test]
fn a_role_counts_in_whatever_way_it_is_asked_for() {
    for (check, staff) in [
        ("if (!req.user.isAdmin) return res.sendStatus(403)", true),
        ("if (req.user?.role !== 'admin') return res.sendStatus(403)", true),
        ("if (!['admin', 'manager'].includes(req.user.role)) return res.sendStatus(403)", true),
        ("if (req.user.email !== process.env.ADMIN_EMAIL) return res.sendStatus(403)", true),
        ("if (req.body.role !== 'admin') return res.sendStatus(403)", false),
        ("// if (!req.user.isAdmin) return res.sendStatus(403)", false),
        ("console.log('isAdmin')", false),
    ] {
        let server = format!(
            "{EXPRESS}app.put('/orders/:id', signedIn, async (req, res) => {{\n  {check}\n\
             res.json(await prisma.order.update({{ where: {{ id: req.params.id }}, data: {{ isPaid: true }} }}))\n}})\n"
        );
        let expected: &[&str] = if staff { &[] } else { &["high payment-unproven PUT /orders/{id}"] };
        assert_eq!(high(&[("server.ts", &server)]), expected, "{check}");
    }
}

#[test]
fn an_amount_is_found_in_forms_and_in_requests_of_node() {
    for (sent, found) in [
        ("const form = new URLSearchParams({ amount: req.body.total, currency: 'eur' })", true),
        (
            "const form = new URLSearchParams()\n  form.append('line_items[0][price_data][unit_amount]', req.body.total)",
            true,
        ),
        ("const form = new URLSearchParams({ amount: price })", false),
        (
            "const form = new URLSearchParams({ amount: price })\n  form.append('metadata[amount]', req.body.total)",
            false,
        ),
    ] {
        let server = format!(
            "{EXPRESS}const price = 100\napp.post('/pay', async (req, res) => {{\n  {sent}\n\
             await fetch('https://api.stripe.com/v1/payment_intents', {{ method: 'POST', body: form.toString(), headers: {{ 'Idempotency-Key': req.get('idempotency-key') }} }})\n\
             res.end()\n}})\n"
        );
        assert_eq!(!high(&[("server.ts", &server)]).is_empty(), found, "{sent}");
    }
    let server = format!(
        "{EXPRESS}import https from 'https'\napp.post('/pay', (req, res) => {{\n\
         const options = {{ hostname: 'api.paystack.co', path: '/transaction/initialize', method: 'POST' }}\n\
         const sent = https.request(options, (answer) => answer.pipe(res))\n\
         sent.write(JSON.stringify({{ email: req.get('idempotency-key'), amount: req.body.amount }}))\n  sent.end()\n}})\n"
    );
    assert_eq!(high(&[("server.ts", &server)]), ["high amount-from-request POST /pay"]);
}

#[test]
fn a_model_that_extends_a_packages_is_written_under_its_own_name() {
    let server = format!(
        "{EXPRESS}import Order from './order'\napp.post('/orders', async (req, res) => res.json(await Order.create(req.body)))\n"
    );
    let order = "import { Model } from 'sequelize'\nexport default class Order extends Model {}\n";
    assert_eq!(high(&[("server.ts", &server), ("order.ts", order)]), ["high key-missing POST /orders"]);
    let note = order.replace("Order", "Note");
    let server = server.replace("Order", "Note").replace("/orders", "/notes");
    assert_eq!(high(&[("server.ts", &server), ("order.ts", &note)]), [""; 0]);
}
