// The HTML report in a real browser: axe finds nothing, in the light and in the dark, on a desk and on a phone; filtering
// and sorting work; no request leaves the page; its content security policy is not offended.
//
//   node report.mjs MODULES REPORT.html [FOLDER FOR SCREENSHOTS]

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, page_file, screenshots] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/node_modules/x.js`));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const problems = [];
const check = (holds, what) => holds || problems.push(what);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
for (const [name, options] of Object.entries({
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true },
})) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("request", (request) => check(request.url().startsWith("file:"), `${name}: a request to ${request.url()}`));
  page.on("console", (message) => problems.push(`${name}: the console says: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  page.on("dialog", (dialog) => problems.push(`${name}: a dialog: ${dialog.message()}`));
  await page.goto(pathToFileURL(page_file).href);
  if (screenshots) await page.screenshot({ path: `${screenshots}/report-${name}.png`, fullPage: true });
  const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(width <= 0, `${name}: the page is ${width} pixels too wide`);
  // The debugger's world is not bound by the page's policy.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of found.violations) problems.push(`${name}: ${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
  check(found.passes.length > 10, `${name}: axe looked at nothing`);
  const rows = page.locator("#findings-table tbody tr");
  const total = await rows.count();
  check(total > 1, `${name}: there are ${total} rows`);
  const visible = () => page.locator("#findings-table tbody tr:visible").count();
  await page.fill("#search", "no such package anywhere");
  check((await visible()) === 0, `${name}: the search filters nothing`);
  await page.fill("#search", "");
  check((await visible()) === total, `${name}: not everything comes back`);
  await page.selectOption("#level", "5");
  const levels = await page.locator("#findings-table tbody tr:visible td.level").allTextContents();
  check(levels.length > 0 && levels.every((level) => level === "critical"), `${name}: from critical on: ${levels}`);
  await page.selectOption("#level", "0");
  if (!name.startsWith("phone")) {
    await page.click("#findings-table th:nth-child(3) button");
    const names = await page.locator("#findings-table tbody td:nth-child(3)").allTextContents();
    const sorted = [...names].sort(new Intl.Collator("en", { numeric: true }).compare);
    check(JSON.stringify(names) === JSON.stringify(sorted), `${name}: sorted by package: ${names}`);
    const state = await page.getAttribute("#findings-table th:nth-child(3)", "aria-sort");
    check(state === "ascending", `${name}: aria-sort is ${state}`);
  }
  await page.emulateMedia({ media: "print" });
  check(!(await page.locator("#controls").isVisible()), `${name}: the controls are printed`);
  await context.close();
}
// Without scripts, everything is there.
const context = await browser.newContext({ javaScriptEnabled: false });
const page = await context.newPage();
await page.goto(pathToFileURL(page_file).href);
check((await page.locator("#findings-table tbody tr:visible").count()) > 1, "without scripts: no rows");
check(!(await page.locator("#controls").isVisible()), "without scripts: controls that do nothing");
await browser.close();
for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);
