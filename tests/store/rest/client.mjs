// What the service's own clients see of the stand-in: @upstash/redis, and @vercel/kv on top of it. Reads what it needs as
// JSON from the environment; any difference ends it with an error.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const { peers, url, token, readOnlyToken, script, digest, recordKey, recordValue } = JSON.parse(process.env.PEER);
process.env.UPSTASH_DISABLE_TELEMETRY = "1";
const { Redis } = await import(`${peers}/node_modules/@upstash/redis/nodejs.mjs`);
const { createClient } = await import(`${peers}/node_modules/@vercel/kv/dist/index.js`);

const plain = { url, retry: { retries: 0 }, automaticDeserialization: false };
const redis = new Redis({ ...plain, token, enableAutoPipelining: false });
const rejects = (promise, words) => assert.rejects(promise, (error) => error.message.includes(words));

const values = ["", "a", "OK", "T0s=", "line\r\nline", "nul\u0000tab\t\"'\\", "grüße 😀", "[1,2]", "x".repeat(300_000)];
for (const [index, value] of values.entries()) {
  assert.equal(await redis.set(`value:${index}`, value), "OK");
  assert.equal(await redis.get(`value:${index}`), value);
}
assert.equal(await redis.get("nothing"), null);
assert.equal(await redis.del("value:0", "value:1", "nothing"), 2);
assert.equal(await redis.get("value:0"), null);

assert.equal(await redis.set("once", "first", { nx: true, px: 60_000 }), "OK");
assert.equal(await redis.set("once", "second", { nx: true }), null);
assert.equal(await redis.set("never", "x", { xx: true }), null);
assert.equal(await redis.set("once", "third", { xx: true, ex: 60, get: true }), "first");
const left = await redis.pttl("once");
assert.ok(left > 0 && left <= 60_000, `${left}`);
assert.deepEqual([await redis.pttl("value:2"), await redis.pttl("nothing")], [-1, -2]);
assert.equal(await redis.ping(), "PONG");
const [seconds] = await redis.time();
assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 60);

const batch = redis.pipeline().set("p", "1").get("p").get("nothing").pttl("p").exec();
assert.deepEqual(await batch, ["OK", "1", null, -1]);
const failing = await redis.pipeline().set("p", "2").eval("return 1", ["p"], []).get("p").exec({ keepErrors: true });
assert.deepEqual(failing.map(({ result }) => result), ["OK", undefined, "2"]);
assert.ok(failing[1].error.includes("stand-in"));
assert.deepEqual(await redis.multi().set("m", "1", { px: 5_000 }).get("m").del("m").exec(), ["OK", "1", 1]);
await rejects(redis.multi().set("m", "1").incr("m").exec(), "EXECABORT");
assert.equal(await redis.get("m"), null);

await rejects(redis.evalsha("0".repeat(40), ["s"], ["get"]), "NOSCRIPT");
await rejects(redis.eval("return 1", ["s"], []), "stand-in");
assert.equal(createHash("sha1").update(script).digest("hex"), digest);
assert.equal(await redis.scriptLoad(script), digest);
assert.deepEqual(await redis.scriptExists(digest, "0".repeat(40)), [1, 0]);
assert.equal(await redis.evalsha(digest, ["s"], ["get"]), ":none");
assert.equal(await redis.eval(script, ["s"], ["claim", "pp1:YQ==", "60000"]), ":done");
const held = await redis.eval(script, ["s"], ["claim", "pp1:Yg==", "60000"]);
assert.match(held, /^:held:\d+:pp1:YQ==$/);
assert.match(await redis.evalsha(digest, ["s"], ["replace", "pp1:Yg==", "pp1:Yw==", "60000"]), /^:held:/);
assert.equal(await redis.evalsha(digest, ["s"], ["replace", "pp1:YQ==", "pp1:Yw==", "60000"]), ":done");
assert.equal(await redis.get("s"), "pp1:Yw==");
assert.match(await redis.evalsha(digest, ["s"], ["remove", "pp1:YQ=="]), /^:held:/);
assert.equal(await redis.evalsha(digest, ["s"], ["remove", "pp1:Yw=="]), ":done");
assert.equal(await redis.evalsha(digest, ["p"], ["get"]), ":foreign");
// Written by the store before; and written here, to be read by the store.
assert.equal(await redis.get(recordKey), recordValue);
assert.equal(await redis.set("from the client", recordValue, { px: 60_000 }), "OK");

await rejects(new Redis({ ...plain, token: "wrong" }).get("p"), "WRONGPASS");
const reader = new Redis({ ...plain, token: readOnlyToken, enableAutoPipelining: false });
assert.equal(await reader.get("p"), "2");
await rejects(reader.set("p", "3"), "NOPERM");
await rejects(reader.eval(script, ["s"], ["get"]), "NOPERM");

// Both batch by default; their sync tokens and decoding are then those of /pipeline. What reads and what writes go as two
// requests, of which either may come first.
const batching = new Redis({ ...plain, token });
assert.deepEqual(await Promise.all([batching.set("b", "1"), batching.set("c", "2")]), ["OK", "OK"]);
assert.deepEqual(await Promise.all([batching.get("b"), batching.get("c"), batching.ping()]), ["1", "2", "PONG"]);
const kv = createClient({ url, token, retry: { retries: 0 } });
assert.equal(await kv.set("kv", { total: 19.99 }), "OK");
assert.deepEqual(await Promise.all([kv.get("kv"), kv.get("nothing")]), [{ total: 19.99 }, null]);
console.log("the clients agree");
