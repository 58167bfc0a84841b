// The page in a real browser, and everything it must never do.
import { createRequire } from "node:module";
import { mkdir } from "node:fs/promises";

const { PAYPROOF_PAGE_TOOLS: tools, PAYPROOF_PAGE_SCREENSHOTS: screenshots, PAYPROOF_CHROMIUM: chromium } = process.env;
const load = createRequire(`${tools}/package.json`);
const playwright = load("playwright-core");
const axe = load.resolve("axe-core");

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
// Phones that are smaller have no pictures of their own: everything has to fit there, too.
const SMALLEST = { width: 320, height: 640 };
// The states take seconds, and the machine may be busy.
export const PATIENCE = 45_000;

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function open(url) {
  await mkdir(screenshots, { recursive: true });
  const browser = await playwright.chromium.launch({ executablePath: chromium, args: FLAGS });
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [], strangers = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) strangers.push(request.url());
  });
  await page.goto(url);
  return { browser, page, complaints, strangers };
}

// One picture for each width and scheme; what does not fit the phone is named.
export async function picture(page, state) {
  const wide = [];
  for (const [width, size] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    await page.setViewportSize(size);
    await page.evaluate(() => scrollTo(0, 0));
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      // Two frames: one to lay out, one to draw the chart at its new width.
      await page.waitForTimeout(700);
      await page.screenshot({ path: `${screenshots}/${state}-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
  for (const size of [DESKTOP, PHONE, SMALLEST]) {
    await page.setViewportSize(size);
    const overhang = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overhang > 0) wide.push(`${state}, ${size.width} px: ${overhang} px too wide`);
  }
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia({ colorScheme: "light" });
  return wide;
}

// What axe finds, as "rule: where".
export async function findings(page) {
  const found = [];
  for (const size of [DESKTOP, PHONE]) {
    await page.setViewportSize(size);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      if (!(await page.evaluate(() => "axe" in globalThis))) {
        // By the debugger, past the page's policy, which lets nothing in.
        const source = await (await import("node:fs/promises")).readFile(axe, "utf8");
        await page.evaluate(source);
      }
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, nodes } of violations) {
        found.push(`${size.width} px, ${colorScheme}: ${id}: ${nodes.slice(0, 4).map(({ html }) => html.slice(0, 120)).join(" | ")}`);
      }
    }
  }
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia({ colorScheme: "light" });
  return found;
}

// What is written there, when it is so.
export async function until(page, id, holds) {
  const element = page.locator(`#${id}`), begin = Date.now();
  let text;
  do {
    text = (await element.textContent()).trim();
    if (holds(text)) return text;
    await page.waitForTimeout(100);
  } while (Date.now() - begin < PATIENCE);
  throw new Error(`#${id} still says "${text}"`);
}

export const number = async (page, id) => Number((await page.locator(`#${id}`).textContent()).replaceAll(",", ""));
