// Serves @humanwhocodes/upstash-redis-server over a Redis, on a free port of 127.0.0.1: its own command would bind every
// interface. Says the port on the first line, and ends when its standard input closes.
const [peers, redisUrl, token] = process.argv.slice(2);
const { createApp } = await import(`${peers}/node_modules/@humanwhocodes/upstash-redis-server/dist/index.js`);
const { serve } = await import(`${peers}/node_modules/@hono/node-server/dist/index.mjs`);

const app = createApp({ token, redisUrl });
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, (address) => console.log(address.port));
// It prints a page for every token it refuses, which tests have it do.
console.error = () => {};
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
