// Signs and verifies webhooks with Stripe's own library for Node: a line of JSON in, a line of JSON out, until standard input
// closes. The questions and answers are those of official.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/package.json`);
const Stripe = require("stripe");

const answered = async ({ secret, body, time, header, key, host, port }) => {
  const stripe = new Stripe(key ?? "sk_test_unused", { host, port, protocol: "http", maxNetworkRetries: 0, telemetry: false });
  if (time !== undefined) {
    return { header: stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: time }) };
  }
  try {
    if (JSON.parse(body).object !== "v2.core.event") {
      const event = stripe.webhooks.constructEvent(body, header, secret);
      return { event: event.id, type: event.type, object: event.data.object.id };
    }
    const event = stripe.parseEventNotification(body, header, secret);
    const fetched = host && event.related_object ? await event.fetchRelatedObject() : null;
    return {
      event: event.id,
      type: event.type,
      object: event.related_object?.id,
      context: event.context ? String(event.context) : null,
      payment: fetched?.payment_intent,
    };
  } catch (error) {
    return { refused: error.constructor.name };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answered(JSON.parse(line))));
}
