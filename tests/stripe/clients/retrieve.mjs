// Retrieves and lists payments with Stripe's own library for Node. Standard input has where from and what, as JSON; standard output
// gets what the library made of each, in order, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { library, host, port, key, calls } = JSON.parse(readFileSync(0, "utf8"));
const Stripe = createRequire(`${library}/package.json`)("stripe");
const stripe = new Stripe(key, { host, port, protocol: "http", maxNetworkRetries: 0, telemetry: false });

const retrieve = async ({ payment, expand }) => {
  try {
    return JSON.parse(JSON.stringify(await stripe.paymentIntents.retrieve(payment, expand && { expand })));
  } catch (error) {
    return { error: { status: error.statusCode, code: error.code ?? null, message: error.message } };
  }
};
// All that a list has, over all its pages.
const walk = async ({ list, params }) => {
  const entries = [];
  const name = list.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  for await (const entry of stripe[name].list(params)) entries.push(JSON.parse(JSON.stringify(entry)));
  return entries;
};
const answers = [];
for (const call of calls) answers.push(await (call.list ? walk(call) : retrieve(call)));
console.log(JSON.stringify(answers));
