// The page of the example service, state after state, as a visitor sees it who plays with it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start } from "./service.mjs";
import { DESKTOP, PHONE, findings, number, open, picture, until } from "./view.mjs";

let service, view, page;

before(async () => {
  service = await start(process.env.PAYPROOF_CHECKOUT_SERVICE);
  view = await open(service.url);
  page = view.page;
});

after(async () => {
  await view?.browser.close();
  service?.kill();
});

// Each state is looked at as a whole: as pictures, at the width of a phone, and by a tool that knows the rules.
async function looked(state) {
  assert.deepEqual(await picture(page, state), []);
  assert.deepEqual(await findings(page), [], state);
}

const radio = (name) => page.getByRole("radio", { name });
const button = (name) => page.getByRole("button", { name });
const texts = (selector) => page.locator(selector).allInnerTexts();

async function press(control, key) {
  await control.focus();
  await page.keyboard.press(key);
}

test("an idle service says that nothing happened", async () => {
  await until(page, "link", (text) => text === "Live");
  await until(page, "clicks", (text) => text === "0");
  assert.equal(await until(page, "health", (text) => text !== "–"), "Quiet, nothing was asked");
  assert.equal(await page.locator("#breaker").innerText(), "Closed");
  assert.match(await page.locator("#nothing").innerText(), /^Nothing yet/);
  assert.equal(await page.locator("#orders").innerText(), "0");
  await looked("idle");
});

test("every control has a name, and Tab reaches each of them", async () => {
  const wanted = ["Pause", "Healthy", "Store down", "Shoppers", "50 clicks, one key", "50 clicks, 50 keys", "Refund the last order", "All", "Health", "Metrics"];
  await page.locator("body").click({ position: { x: 2, y: 2 } });
  const reached = [];
  for (let presses = 0; presses < 2 * wanted.length && reached.at(-1) !== "Metrics"; presses++) {
    await page.keyboard.press("Tab");
    reached.push(
      await page.evaluate(() => {
        const element = document.activeElement, shown = element.closest(".segments label") ?? element;
        const outlined = getComputedStyle(shown).outlineStyle !== "none" && getComputedStyle(shown).outlineWidth !== "0px";
        const name = element.ariaLabel ?? (element.labels?.[0] ?? element).innerText;
        return outlined ? name.split("\n")[0] : `${name}, without a visible focus`;
      }),
    );
  }
  assert.deepEqual(reached, wanted);
  assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
  assert.equal(await page.getByRole("meter", { name: "Retry budget" }).count(), 1);
  for (const name of [/^Verdicts, last 60 seconds/, /^Where they came from, last 60 seconds/]) {
    assert.equal(await page.getByRole("img", { name }).count(), 1);
  }
});

test("shoppers of a healthy provider get orders, and each verdict shows", async () => {
  await press(page.getByRole("switch", { name: "Shoppers" }), "Space");
  await until(page, "orders", (text) => Number(text) >= 12);
  assert.equal(await until(page, "health", (text) => text === "Answering"), "Answering");
  const [clicks, calls, orders] = [await number(page, "clicks"), await number(page, "calls"), await number(page, "orders")];
  assert.ok(clicks > calls && calls >= orders, `${clicks} clicks, ${calls} calls, ${orders} orders`);
  await page.waitForFunction(() => ["Valid", "Pending", "Action required", "Invalid"].every((word) => document.querySelector("#log").innerText.includes(word)));
  const sums = (await texts("#verdicts .key li")).map((line) => line.replace(/\s+/g, " "));
  const money = (await texts("#log")).join().match(/(USD |\$ ?)?\d+\.\d\d( USD)?/g);
  assert.ok(money.length >= 10 && money.every((text) => /^\d+\.\d\d USD$/.test(text)), `one format of money: ${money}`);
  assert.match(sums[0], /^Valid [1-9]/);
  assert.equal(sums[4], "Could not tell 0");
  await looked("healthy");
});

test("fifty clicks with one key run the handler once, and make one order", async () => {
  await press(button("50 clicks, one key"), "Enter");
  await until(page, "said", (text) => text === "50 clicks made 1 order.");
  await until(page, "burst-orders", (text) => text === "1");
  assert.deepEqual(await texts("#burst .flow b"), ["50", "1", "1", "1"]);
  const answers = await texts("#burst-answers li");
  assert.ok(answers.some((line) => /^201 Created\s+1$/.test(line)), answers.join());
  assert.ok(answers.some((line) => /^201 Created, replayed\s+49$/.test(line)), answers.join());
  assert.ok(answers.some((line) => /^different bodies\s+1$/.test(line)), answers.join());
  await looked("burst-one-key");
});

test("fifty clicks with fifty keys ask the provider once, and make one order", async () => {
  await press(button("50 clicks, 50 keys"), "Space");
  await until(page, "burst-title", (text) => text.endsWith("50 keys"));
  await until(page, "burst-orders", (text) => text === "1");
  assert.deepEqual(await texts("#burst .flow b"), ["50", "50", "1", "1"]);
  await looked("burst-fifty-keys");
});

test("a slow provider is called slow", async () => {
  await press(radio("Healthy"), "ArrowDown");
  assert.ok(await radio("Slow").isChecked());
  await until(page, "health", (text) => text === "Slow");
  await until(page, "recent", (text) => /; median 2\.\d s$/.test(text));
  await looked("slow");
});

test("a failing provider is asked again, and the page says by which rule and after which wait", async () => {
  await press(radio("Slow"), "ArrowDown");
  assert.ok(await radio("Failing").isChecked());
  await page.getByText("Retried or failed").click();
  await page.waitForFunction(() => /status 50[23], transient, .* waited .* by the schedule/.test(document.querySelector("#log").innerText));
  await until(page, "calls-note", (text) => /^\d+ of them retr/.test(text));
  await until(page, "health", (text) => text === "Struggling");
  await looked("failing");
});

test("a provider that limits the rate makes the whole account wait", async () => {
  await press(radio("Failing"), "ArrowDown");
  assert.ok(await radio("Rate-limiting").isChecked());
  await page.waitForFunction(() => /status 429, transient, .* waited .* as (all of this account|Retry-After says)/.test(document.querySelector("#log").innerText));
  await looked("rate-limited");
});

test("a provider that is down opens the breaker, and fifty clicks make no order", async () => {
  await press(radio("Rate-limiting"), "ArrowDown");
  assert.ok(await radio("Down").isChecked());
  await until(page, "breaker", (text) => text === "Open");
  await until(page, "health", (text) => text === "Down, and not asked");
  await until(page, "aside", (text) => /^The breaker is (open|half open)\.$/.test(text));
  await press(button("50 clicks, one key"), "Enter");
  await until(page, "said", (text) => text === "50 clicks made 0 orders.");
  await page.waitForFunction(() => /503 (CIRCUIT_OPEN|PROVIDER_UNAVAILABLE)/.test(document.querySelector("#burst-answers").innerText));
  await looked("down");
});

test("a provider that answers again is asked again", async () => {
  await press(radio("Down"), "ArrowDown");
  assert.ok(await radio("Healthy").isChecked());
  await until(page, "breaker", (text) => text === "Closed");
  await until(page, "health", (text) => text === "Answering");
  await page.getByText("All", { exact: true }).click();
  await looked("recovered");
});

test("a store that is down stops what must happen once, and nothing else", async () => {
  const orders = await number(page, "orders");
  await press(page.getByRole("switch", { name: "Store down" }), "Space");
  await until(page, "said", (text) => text === "The store is down. Of 6 parts 2 go on, 4 refuse.");
  await until(page, "store-health", (text) => text === "Down");
  const rows = (await texts("#parts-rows li")).map((line) => line.replace(/\s+/g, " "));
  const wanted = [
    /^Request with a key refuses 503 IDEMPOTENCY_UNAVAILABLE refused before the handler runs/,
    /^Validation goes on valid, store_down goes on: this process asks the provider by itself/,
    /^Redemption refuses 503 STORE_UNAVAILABLE refused: nothing ships/,
    /^Guarded refund refuses 503 STORE_UNAVAILABLE refused before anything is sent/,
    /^Webhook refuses 503 NOT_FORGOTTEN not acknowledged/,
    /^Health goes on degraded: .*(unreachable|indeterminate_unknown)/,
  ];
  assert.equal(rows.length, wanted.length, rows.join("; "));
  wanted.forEach((row, place) => assert.match(rows[place], row));
  await until(page, "aside", (text) => text === "The store is down.");

  await press(button("50 clicks, one key"), "Enter");
  await until(page, "said", (text) => text === "50 clicks made 0 orders.");
  await until(page, "burst-runs", (text) => text === "0");
  assert.deepEqual(await texts("#burst .flow b"), ["50", "0", "0", "0"]);
  await until(page, "health", (text) => ["Answering", "Quiet, nothing was asked"].includes(text));
  assert.ok((await number(page, "orders")) - orders < 20, "shoppers got no orders meanwhile");
  await looked("store-down");
});

test("a store that is there again is used again", async () => {
  await press(page.getByRole("switch", { name: "Store down" }), "Space");
  await until(page, "said", (text) => text === "The store is up again. Of 6 parts 6 work.");
  await until(page, "store-health", (text) => text === "Answering");
  assert.equal(await page.locator("#parts-title").innerText(), "Store up again, part by part");
  await press(button("50 clicks, one key"), "Enter");
  await until(page, "said", (text) => text === "50 clicks made 1 order.");
  await looked("store-up");
});

test("what is wrong stands beside the switch, and the switches stay in sight", async () => {
  const top = async (selector) => (await page.locator(selector).boundingBox()).y;
  await page.setViewportSize(PHONE);
  await page.evaluate(() => scrollTo(0, 0));
  const [numbers, strip, switches] = [await top("#clicks"), await top(".strip"), await top("#condition")];
  assert.ok(numbers < strip && strip < switches, `${numbers}, ${strip}, ${switches}`);
  const height = await page.evaluate(() => document.querySelector("#condition").getBoundingClientRect().bottom - document.querySelector(".strip").getBoundingClientRect().top);
  assert.ok(height < PHONE.height, `strip and switch are ${height} px together, more than a phone shows`);

  await page.setViewportSize(DESKTOP);
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.waitForTimeout(300);
  const { y, height: tall } = await page.locator(".try").boundingBox();
  assert.ok(y >= 0 && y + tall <= DESKTOP.height, `at the end of the page the switches are at ${y}, and ${tall} px tall`);
  assert.equal(await page.locator(".try").evaluate((element) => element.scrollHeight - element.clientHeight), 0, "and need no scrolling of their own");
  await page.evaluate(() => scrollTo(0, 0));
});

test("a refund's webhook makes the next checkout invalid", async () => {
  await press(button("Refund the last order"), "Enter");
  await until(page, "said", (text) => text.includes("was refunded; the next checkout got"));
  await page.locator("#refunded").waitFor();
  const steps = (await texts("#refund-steps li")).map((line) => line.replace(/\s+/g, " "));
  assert.deepEqual(steps, [
    "checkout before the refund 200 OK",
    "webhook charge.refunded 200 handled",
    "the same event once more 200 duplicate",
    "checkout after the refund 422 PAYMENT_INVALID",
  ]);
  await page.waitForFunction(() => document.querySelector("#log").innerText.includes("refunded in full"));
  await looked("refunded");
});

test("a page that is paused stands still", async () => {
  await press(button("Pause"), "Enter");
  await until(page, "link", (text) => text === "Paused");
  const clicks = await number(page, "clicks");
  await page.waitForTimeout(1500);
  assert.equal(await number(page, "clicks"), clicks);
  await looked("paused");
  await press(button("Pause"), "Enter");
  await until(page, "clicks", (text) => Number(text.replaceAll(",", "")) > clicks);
});

test("nothing was complained about, and nothing was asked for elsewhere", () => {
  assert.deepEqual(view.complaints, []);
  assert.deepEqual(view.strangers, []);
});

test("a service that is interrupted ends in good order, and the page says so", async () => {
  const ended = await Promise.race([service.interrupt(), new Promise((resolve) => setTimeout(resolve, 10_000, "still running").unref())]);
  assert.deepEqual(ended, { code: 0, signal: null });
  await until(page, "link", (text) => text.startsWith("Not connected since"));
  await looked("ended");
});
