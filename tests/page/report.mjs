// The report of `payproof reconcile` as a page, of a shop whose payments are in a sandbox.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { PHONE, findings, open, picture } from "./view.mjs";

const program = process.env.PAYPROOF_COMMAND_LINE;
const HOSTILE = `<img src=x onerror="document.title='taken'">`;
const LONG = `${"0123456789".repeat(12)}`;
const DAY = 86_400;

let folder, sandbox, view, page;

const day = (days) => new Date(Date.now() - days * DAY * 1000).toISOString().slice(0, 10);

// Payments of this moment: paid without an order, and with one that is not marked; and orders of two weeks without payments.
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "payproof-report-"));
  sandbox = spawn(program, ["sandbox", "--port", "0", "--mode", "live"], { env: {}, stdio: ["pipe", "pipe", "inherit"] });
  const said = createInterface(sandbox.stdout)[Symbol.asyncIterator]();
  const word = async () => (await said.next()).value.slice(16).split(" ")[0];
  const [url, key] = [await word(), await word()];
  const payments = [1, 2, 3].map((number) => `paid pi_lost${number} 4250 eur store_42 lost-${number}`);
  payments.push("paid pi_unmarked 1999 usd store_42 1000");
  for (const line of payments) {
    sandbox.stdin.write(`${line}\n`);
    for (let changed = ""; !changed.startsWith("changed: "); ) changed = (await said.next()).value;
  }
  const noon = (days) => `${day(days)}T12:00:00Z`;
  const order = (number, payment, state, days) => `"${number.replaceAll('"', '""')}",${payment},19.99,usd,${state},${noon(days)}`;
  const lines = ["order,payment,amount,currency,state,created", order("1000", "pi_unmarked", "open", 1), order(HOSTILE, "", "paid", 3), order(LONG, "", "paid", 4)];
  for (const [at, days] of [13, 13, 12, 9, 9, 9, 8, 6, 2, 2, 2, 2, 1].entries()) lines.push(order(`2${at}`, `pi_none${at}`, "paid", days));
  // It names neither an order nor a payment, so what it says of is unknown.
  lines.push(",,19.99,usd,paid,soon");
  await writeFile(join(folder, "orders.csv"), lines.join("\n"));
  // What happened in the second of the export may be missing in it.
  await new Promise((resolve) => setTimeout(resolve, 1_100));

  // It ends after the export does, which a work folder allows.
  const window = ["--since", day(14), "--until", day(-1), "--orders-as-of", new Date().toISOString(), "--too-recent", "0s", "--work", join(folder, "work")];
  const report = join(folder, "report.html");
  const run = spawn(program, ["reconcile", "--orders", join(folder, "orders.csv"), ...window, "--tenant", "store_42", "--pace", "1000", "--html", report, "--only-account"], {
    env: { STRIPE_API_BASE: url, STRIPE_SECRET_KEY: key },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = await once(run, "exit");
  assert.equal(code, 2, "a line cannot be used");
  view = await open(pathToFileURL(report).href);
  page = view.page;
});

after(async () => {
  await view?.browser.close();
  sandbox?.kill();
  await rm(folder, { recursive: true, force: true });
});

test("it fits every screen, breaks no rule, and is looked at in both themes", async () => {
  assert.deepEqual(await picture(page, "report"), []);
  assert.deepEqual(await findings(page), []);
});

test("texts of orders stand there as they are", async () => {
  assert.match(await page.title(), /^Payments and orders, /);
  const text = await page.locator("body").innerText();
  assert.ok(text.includes(HOSTILE) && text.includes(LONG), text);
  assert.equal(await page.locator("img, script, iframe, form, a").count(), 0);
});

test("each row of bars has a name and a description, and its numbers stand in the table", async () => {
  const rows = page.getByRole("img");
  assert.ok((await rows.count()) >= 3);
  await page.getByRole("img", { name: "Ordered, not paid, by day" }).waitFor();
  const description = await page.locator("#ordered_not_paid-desc").textContent();
  assert.match(description, /^15 in all, on 9 of 15 days\. The most, 4, on /);
  const bars = await page.locator("svg:has(#ordered_not_paid-title) rect").count();
  const cells = await page.getByRole("table", { name: "Discrepancies of each day and class" }).getByRole("row", { name: "Ordered, not paid" }).count();
  assert.deepEqual([bars, cells], [9, 9]);
  const [least, most] = await page.locator("svg:has(#ordered_not_paid-title) rect").evaluateAll((bars) => {
    const heights = bars.map((bar) => bar.getBoundingClientRect().height);
    return [Math.min(...heights), Math.max(...heights)];
  });
  assert.ok(Math.abs(most / least - 4) < 0.1, `four are four times as high as one: ${most}, ${least}`);
});

test("what it comes to is said in words beside its color", async () => {
  assert.match(await page.locator(".state").innerText(), /^Incomplete: \d+ discrepancies, and there may be more$/);
  await page.setViewportSize(PHONE);
  const { y, height } = await page.locator(".state").boundingBox();
  assert.ok(y + height < PHONE.height / 2, "a phone shows it first");
});

test("nothing runs, nothing is asked for, and nothing was complained about", async () => {
  const blocked = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "globalThis.ran = true";
    document.body.append(script);
    script.remove();
    return globalThis.ran !== true;
  });
  assert.ok(blocked, "the policy lets a script run");
  assert.deepEqual(view.strangers, []);
  // The complaint about that script alone.
  assert.ok(view.complaints.every((text) => text.includes("Content Security Policy") && text.includes("inline script")), view.complaints.join());
});
