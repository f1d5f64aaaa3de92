// Drives a page of zoo.applications.explore in a headless Chromium, and prints as JSON what it did.
// node explore_page.mjs --chromium FILE --page ADDRESS [--screenshot FILE]

import { chromium } from "playwright-core";
import { parseArgs } from "node:util";

const names = ["chromium", "page", "screenshot"];
const { values: flags } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });

const browser = await chromium.launch({ executablePath: flags.chromium, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
const problems = [];
page.on("pageerror", (error) => problems.push(error.message));
const requests = [];
page.on("request", (request) => request.url().startsWith("data:") || requests.push(request.url()));

/** The grey levels of a canvas, a number for each pixel. */
const grey = (id) =>
  page.$eval(`#${id}`, (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: data.length / 4 }, (_, pixel) => data[4 * pixel]);
  });
const slide = (index, value) =>
  page.$$eval(
    "#sliders input",
    (inputs, [index, value]) => {
      inputs[index].value = value;
      inputs[index].dispatchEvent(new Event("input"));
    },
    [index, value],
  );
const shown = async () => ({
  chosen: await page.textContent("#chosen"),
  image: await grey("image"),
  reconstruction: await grey("reconstruction"),
  decoded: await grey("decoded"),
  sliders: await page.$$eval("#sliders output", (outputs) => outputs.map((output) => output.textContent)),
});

/** The position of an example on the screen. */
const where = (index) =>
  page.evaluate((index) => {
    const data = JSON.parse(document.getElementById("data").textContent);
    const canvas = document.getElementById("map").getBoundingClientRect();
    const [x, y] = [0, 1].map((axis) => {
      const values = data.points.map((point) => point[axis]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const margin = (high - low || 1) * 0.04;
      return (data.points[index][axis] - low + margin) / (high - low + 2 * margin);
    });
    return [canvas.left + 1 + x * (canvas.width - 2), canvas.top + 1 + (1 - y) * (canvas.height - 2)];
  }, index);

try {
  await page.goto(flags.page);
  await page.waitForSelector("body:not([data-state=loading])", { timeout: 120_000 });
  const result = { state: await page.getAttribute("body", "data-state"), first: await shown() };
  await page.mouse.move(...(await where(5)));
  result.hovered = await shown();
  await slide(0, await page.$eval("#sliders input", (input) => input.max));
  await page.waitForTimeout(300);
  result.slid = await shown();
  result.decoded = await page.evaluate(() => window.lastDecoded);
  if (result.state === "live") {
    await page.mouse.click(...(await where(5)));
    await slide(1, 1.5);
    await page.waitForTimeout(500);
    result.clicked = await shown();
    result.live = await page.evaluate(() => window.lastDecoded);
  }
  if (flags.screenshot) await page.screenshot({ path: flags.screenshot, fullPage: true });
  result.error = await page.textContent("#error");
  console.log(JSON.stringify({ ...result, problems, requests }));
} finally {
  await browser.close();
}
