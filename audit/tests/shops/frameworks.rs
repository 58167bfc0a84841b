//! Routes of every framework that is read, each once with a mistake and its cure in a comment, and once with the cure in place.

use crate::tree::Shop;

/// The worst of what is said of a shop.
fn high(files: &[(&str, &str)]) -> Vec<String> {
    Shop::with(files).said().into_iter().filter(|said| said.starts_with("high")).collect()
}

/// A shop whose route is given `CHECK`, with nothing in its place and with the check.
fn judged(files: &[(&str, &str)], cure: &str) -> (Vec<String>, Vec<String>) {
    let filled = |with: &str| -> Vec<(String, String)> {
        files.iter().map(|(path, text)| ((*path).to_owned(), text.replace("CHECK", with))).collect()
    };
    let told = |files: Vec<(String, String)>| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        high(&files)
    };
    (told(filled(&format!("// {cure}"))), told(filled(cure)))
}

#[test]
fn sveltekit_serves_what_a_server_file_exports_and_its_form_actions() {
    let (bad, good) = judged(
        &[
            (
                "src/routes/(shop)/pay/+server.ts",
                "import { stripe } from '$lib/stripe'\n\
                 export const POST = async ({ request, locals }) => {\n\
                   const body = await request.json()\n\
                   let amount = body.total\n\
                   CHECK\n\
                   const key = request.headers.get('idempotency-key')\n\
                   await stripe.paymentIntents.create({ amount, currency: 'eur' }, { idempotencyKey: key })\n\
                   return new Response()\n}\n",
            ),
            (
                "src/routes/orders/[id]/+page.server.ts",
                "import { prisma } from '../../../../lib/db'\n\
                 export const actions = {\n\
                   paid: async ({ request, params }) => {\n\
                     const form = await request.formData()\n\
                     await prisma.order.update({ where: { id: params.id }, data: { paymentId: form.get('paymentId') } })\n\
                   },\n}\n",
            ),
            ("src/lib/stripe.ts", "import Stripe from 'stripe'\nexport const stripe = new Stripe(process.env.KEY!)\n"),
        ],
        "amount = prices[body.item]",
    );
    let action = "high payment-unproven POST /orders/{id}?/paid";
    assert_eq!(bad, ["high amount-from-request POST /pay", action]);
    assert_eq!(good, [action]);
}

#[test]
fn an_action_of_remix_is_a_route_by_its_files_name() {
    let (bad, good) = judged(
        &[(
            "app/routes/_shop.orders.$id.pay.tsx",
            "import type { ActionFunctionArgs } from '@remix-run/node'\nimport { prisma } from '../../lib/db'\nimport { stripe } from '../../lib/stripe'\n\
             export async function action({ request, params }: ActionFunctionArgs) {\n\
               const { paymentId } = await request.json()\n\
               CHECK\n\
               return prisma.order.update({ where: { id: params.id }, data: { paymentId } })\n}\n",
        )],
        "await stripe.paymentIntents.retrieve(paymentId)",
    );
    assert_eq!(bad, ["high payment-unproven POST /orders/{id}/pay"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn nuxt_serves_files_by_their_names() {
    let (bad, good) = judged(
        &[(
            "server/api/pay.post.ts",
            "import { stripe } from '~/lib/stripe'\n\
             export default defineEventHandler(async (event) => {\n\
               const key = getRequestHeader(event, 'idempotency-key')\n\
               let { amount } = await readBody(event)\n\
               CHECK\n\
               return stripe.paymentIntents.create({ amount, currency: useRuntimeConfig(event).currency }, { idempotencyKey: key })\n})\n",
        )],
        "amount = prices[1]",
    );
    assert_eq!(bad, ["high amount-from-request POST /api/pay"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn routers_of_koa_have_their_prefix_and_their_middleware() {
    let (bad, good) = judged(
        &[
            (
                "server.js",
                "const Koa = require('koa')\nconst orders = require('./orders')\nconst app = new Koa()\napp.use(orders.routes()).use(orders.allowedMethods())\n",
            ),
            (
                "orders.js",
                "const Router = require('@koa/router')\nconst { prisma } = require('./lib/db')\n\
                 const router = new Router({ prefix: '/shop' })\n\
                 router.post('/orders', async (ctx) => {\n\
                   CHECK\n\
                   ctx.body = await prisma.order.create({ data: ctx.request.body })\n})\nmodule.exports = router\n",
            ),
        ],
        "if (!ctx.get('Idempotency-Key')) ctx.throw(400)",
    );
    assert_eq!(bad, ["high key-missing POST /shop/orders"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn controllers_of_nest_are_read_with_what_they_inject_and_guard() {
    let controller = "import { Body, Controller, Headers, Param, Post, Put, UseGuards } from '@nestjs/common'\n\
        import { Orders } from './orders.service'\nimport { StaffGuard } from './staff.guard'\n\
        @Controller('orders')\nexport class OrdersController {\n\
          constructor(private readonly orders: Orders) {}\n\
          @Post()\n  place(@Headers('idempotency-key') key: string, @Body() order: OrderDto) { return this.orders.place(order, key) }\n\
          @Put(':id/paid')\n  CHECK\n  paid(@Param('id') id: string) { return this.orders.paid(id) }\n}\n";
    let (bad, good) = judged(
        &[
            ("src/orders.controller.ts", controller),
            (
                "src/orders.service.ts",
                "import { Repository } from 'typeorm'\nimport { Order } from './order.entity'\nexport class Orders {\n\
                 constructor(@InjectRepository(Order) private readonly stored: Repository<Order>) {}\n\
                 place(order, key) { if (!key) throw new Error('key'); return this.stored.save(order) }\n\
                 paid(id) { return this.stored.update(id, { status: 'paid' }) }\n}\n",
            ),
            (
                "src/staff.guard.ts",
                "export class StaffGuard {\n  canActivate(context) { return context.switchToHttp().getRequest().user.role === 'staff' }\n}\n",
            ),
            ("src/order.entity.ts", "export class Order {}\n"),
        ],
        "@UseGuards(StaffGuard)",
    );
    assert_eq!(bad, ["high payment-unproven PUT /orders/{id}/paid"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn functions_of_firebase_are_served_by_the_names_of_their_exports() {
    let (bad, good) = judged(
        &[(
            "functions/index.js",
            "const functions = require('firebase-functions')\nconst admin = require('firebase-admin')\nconst stripe = require('stripe')(process.env.KEY)\n\
             exports.stripeWebhook = functions.https.onRequest(async (req, res) => {\n\
               let event = req.body\n\
               CHECK\n\
               await admin.firestore().collection('orders').doc(event.data.object.metadata.order).update({ status: 'paid' })\n\
               res.json({})\n})\n\
             exports.refund = functions.https.onCall(async (data, context) => {\n\
               await stripe.refunds.create({ payment_intent: data.payment, amount: data.amount }, { idempotencyKey: data.idempotencyKey })\n})\n",
        )],
        "event = stripe.webhooks.constructEvent(req.rawBody, req.headers['stripe-signature'], process.env.SECRET)",
    );
    let refund = "high amount-from-request POST /refund";
    assert_eq!(bad, ["high webhook-unsigned ANY /stripeWebhook", refund]);
    assert_eq!(good, [refund]);
}

#[test]
fn a_handler_among_fastifys_options_is_one() {
    let (bad, good) = judged(
        &[(
            "server.ts",
            "import fastify from 'fastify'\nimport { prisma } from './lib/db'\nconst app = fastify()\n\
             app.post('/orders', { schema: {}, handler: async (request, reply) => {\n\
               CHECK\n\
               return prisma.order.create({ data: request.body })\n} })\n",
        )],
        "if (!request.headers['idempotency-key']) return reply.code(400).send()",
    );
    assert_eq!(bad, ["high key-missing POST /orders"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn what_a_container_resolves_is_followed_to_a_table_of_dynamodb() {
    let (bad, good) = judged(
        &[
            (
                "server.ts",
                "import express from 'express'\nimport { container } from 'tsyringe'\nimport { Orders } from './orders'\n\
                 const app = express()\nconst orders = container.resolve(Orders)\napp.post('/orders', orders.place)\n",
            ),
            (
                "orders.ts",
                "import { PutCommand } from '@aws-sdk/lib-dynamodb'\nimport { client } from './client'\nexport class Orders {\n\
                 place = async (req, res) => {\n\
                   CHECK\n\
                   await client.send(new PutCommand({ TableName: 'orders', Item: req.body }))\n    res.json({})\n  }\n}\n",
            ),
            (
                "client.ts",
                "import { DynamoDBClient } from '@aws-sdk/client-dynamodb'\nexport const client = new DynamoDBClient({})\n",
            ),
        ],
        "if (!req.get('idempotency-key')) return res.sendStatus(400)",
    );
    assert_eq!(bad, ["high key-missing POST /orders"]);
    assert_eq!(good, [""; 0]);
}

#[test]
fn exports_named_after_methods_are_routes_of_astro_and_of_functions() {
    let handler = |given: &str| {
        format!(
            "import {{ prisma }} from '../lib/db'\nexport const POST = async ({given}) => {{\n  // request.headers.get('idempotency-key')\n  \
             await prisma.order.create({{ data: await request.json() }})\n  return new Response()\n}}\n"
        )
    };
    let astro = handler("{ request }").replace("../lib", "../../../lib");
    let found =
        high(&[("src/pages/api/orders.ts", &astro), ("package.json", "{}"), ("api/orders.ts", &handler("request"))]);
    assert_eq!(found, ["high key-missing POST /api/orders", "high key-missing POST /api/orders"]);
}
