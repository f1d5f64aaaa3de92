// Drives the page in a headless Chromium and prints as JSON what its signatures gave: tests/examples/test_web.py runs
// it beside `npm ci` and a server, and compares with Python.
//
//   node test.mjs --chromium /usr/bin/chromium --page http://127.0.0.1:8000/examples/web/ --model URL --good FILE
//     --wrong FILE [--screenshot PNG] [--width 1000] [--dark]

import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const text = Object.fromEntries(
  ["chromium", "page", "model", "good", "wrong", "screenshot", "width"].map((name) => [name, { type: "string" }]),
);
const { values: flags } = parseArgs({ options: { ...text, dark: { type: "boolean" } } });
const quiet = ["quic", "background-networking", "component-update", "sync"].map((name) => `--disable-${name}`);
const browser = await chromium.launch({
  executablePath: flags.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", ...quiet],
});
const page = await browser.newPage({
  viewport: { width: Number(flags.width ?? 1000), height: 800 },
  colorScheme: flags.dark ? "dark" : "light",
});
const results = { unhandled: [] };
page.on("pageerror", (error) => results.unhandled.push(String(error)));

/** Waits until the page has done all it was asked to; its state, "ready" or "error". */
async function settled() {
  await page.waitForFunction(() => document.body.dataset.state !== "busy", null, { timeout: 120_000 });
  return page.evaluate(() => document.body.dataset.state);
}

/** The last inputs and outputs of all signatures that have run. */
const last = () =>
  page.evaluate(() => {
    const plain = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, [...array]]));
    const entries = Object.entries(window.lastResult);
    return Object.fromEntries(entries.map(([key, { inputs, outputs }]) => [key, [plain(inputs), plain(outputs)]]));
  });

const open = async (model, rest = "") => {
  await page.goto(`${flags.page}?model=${encodeURIComponent(model)}${rest}`);
  return settled();
};

/** Asks the page for all it can do. */
async function visit() {
  // A sample; then one latent or code changed by hand.
  results.state = await open(flags.model, "&seed=0&temperature=1&label=3");
  results.error = await page.textContent("#error");
  results.sampled = await last();
  if (results.state !== "ready") return;
  if (await page.isVisible("#latents .grid")) {
    await page.fill(".brush input", "1");
    await page.click(".grid button >> nth=2");
  } else {
    await page.fill(".sliders input >> nth=2", "1.5");
  }
  await settled();

  // A stroke like a seven, on the drawing's own scale.
  await page.locator("#drawing").scrollIntoViewIfNeeded();
  const { x, y, width, height } = await page.locator("#drawing").boundingBox();
  const corners = [[0.25, 0.25], [0.75, 0.25], [0.45, 0.8]];
  const stroke = corners.map(([across, down]) => [x + across * width, y + down * height]);
  await page.mouse.move(...stroke[0]);
  await page.mouse.down();
  for (const point of stroke.slice(1)) await page.mouse.move(...point, { steps: 5 });
  await page.mouse.up();
  results.drawn_state = await settled();
  results.drawn = await last();
  if (flags.screenshot) await page.screenshot({ path: flags.screenshot, fullPage: true });

  // What was encoded, in the sliders or the grid.
  await page.click("#use");
  await settled();
  results.used = await last();

  // A file that is no model, one that is cut off, and after them a good one.
  for (const [name, file] of [["wrong", flags.wrong], ["good", flags.good]]) {
    await page.setInputFiles("#file", file);
    const state = await settled();
    const visible = await page.isVisible("#error");
    results[name] = { state, visible, error: await page.textContent("#error"), last: await last() };
  }
  const missing = await open("no-such-file.tflite");
  results.missing = { state: missing, error: await page.textContent("#error") };
  const seed = await open(flags.model, "&seed=2147483648");
  results.bad_seed = { state: seed, error: await page.textContent("#error") };
}

try {
  await visit();
} finally {
  await browser.close();
}
console.log(JSON.stringify(results));
