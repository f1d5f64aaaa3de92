const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const [height, width] = data.size;
const hidden = new Set();
const state = { example: 0, start: 0, pinned: false };

function floats(text) {
  return new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

async function picture({ src, columns }) {
  const image = new Image();
  image.src = src;
  await image.decode();
  return { image, columns };
}

/** Draws the image with this number of a sprite sheet. */
function show(canvas, sheet, index) {
  const [left, top] = [(index % sheet.columns) * width, Math.floor(index / sheet.columns) * height];
  canvas.getContext("2d").drawImage(sheet.image, left, top, width, height, 0, 0, width, height);
}

for (const id of ["image", "reconstruction", "decoded"]) Object.assign(at(id), { width, height });
const sheets = {};
for (const name of ["images", "reconstructions", "frames"]) sheets[name] = await picture(data[name]);

// The map.

const map = at("map");
const bounds = [0, 1].map((axis) => {
  const values = data.points.map((point) => point[axis]);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const margin = (high - low || 1) * 0.04;
  return [low - margin, high + margin];
});

function place([x, y]) {
  const [[left, right], [bottom, top]] = bounds;
  return [((x - left) / (right - left)) * map.clientWidth, (1 - (y - bottom) / (top - bottom)) * map.clientHeight];
}

const visible = (index) => !data.labels || !hidden.has(data.labels[index]);
const colour = (index) => data.colours[data.labels ? data.labels[index] : 0];

function drawMap() {
  const ratio = window.devicePixelRatio || 1;
  Object.assign(map, { width: map.clientWidth * ratio, height: map.clientHeight * ratio });
  const context = map.getContext("2d");
  context.scale(ratio, ratio);
  const radius = data.points.length > 400 ? 3 : 5;
  data.points.forEach((point, index) => {
    if (!visible(index)) return;
    context.fillStyle = colour(index);
    context.globalAlpha = 0.8;
    context.beginPath();
    context.arc(...place(point), radius, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
  context.strokeStyle = getComputedStyle(document.body).color;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(...place(data.points[state.example]), radius + 4, 0, 2 * Math.PI);
  context.stroke();
}

function nearest(event) {
  const box = map.getBoundingClientRect();
  let [best, distance] = [-1, 20 ** 2];
  data.points.forEach((point, index) => {
    if (!visible(index)) return;
    const [x, y] = place(point);
    const away = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
    if (away < distance) [best, distance] = [index, away];
  });
  return best;
}

function choose(index) {
  state.example = index;
  const label = data.labels ? `, label ${data.classes[data.labels[index]]}` : "";
  at("chosen").textContent = `Example ${index}${label}`;
  show(at("image"), sheets.images, index);
  show(at("reconstruction"), sheets.reconstructions, index);
  drawMap();
}

map.addEventListener("pointermove", (event) => {
  const index = nearest(event);
  if (index >= 0 && index !== state.example && !state.pinned) choose(index);
});
map.addEventListener("pointerdown", (event) => {
  const index = nearest(event);
  state.pinned = index >= 0 && !(state.pinned && index === state.example);
  if (index < 0) return;
  choose(index);
  if (live && state.pinned) startFrom(index);
});
map.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  choose((state.example + step + data.points.length) % data.points.length);
});
new ResizeObserver(drawMap).observe(map);
at("axes").textContent = `Right: ${data.axes[0]}. Up: ${data.axes[1] || "nothing"}.`;

data.classes.forEach((name, index) => {
  const dot = document.createElement("i");
  dot.style.setProperty("--colour", data.colours[index]);
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(dot, name);
  button.setAttribute("aria-pressed", "true");
  button.addEventListener("click", () => {
    if (!hidden.delete(index)) hidden.add(index);
    button.setAttribute("aria-pressed", String(!hidden.has(index)));
    drawMap();
  });
  at("legend").append(button);
});

// The sliders.

let live = null;
const middle = data.steps.findIndex((step) => step >= -1e-6);
const sliders = data.latents.map(({ latent, kl }, index) => {
  const input = Object.assign(document.createElement("input"), { type: "range" });
  const output = document.createElement("output");
  const label = document.createElement("label");
  const size = kl === null ? "" : ` (${kl.toFixed(2)} nats)`;
  label.append(`Latent ${latent}${size}`, input, output);
  at("sliders").append(label);
  input.addEventListener("input", () => moved(index));
  return { input, output };
});

/** Sets the range of all sliders: positions that are stored, or any number of standard deviations. */
function rangeOf({ input }) {
  const last = data.steps.length - 1;
  const range = live ? { min: data.steps[0], max: data.steps[last], step: 0.01 } : { min: 0, max: last, step: 1 };
  Object.assign(input, range);
}

const deviations = ({ input }) => (live ? input.valueAsNumber : data.steps[input.valueAsNumber]);

function write() {
  for (const slider of sliders) slider.output.textContent = `${deviations(slider).toFixed(2)} sd`;
}

function reset() {
  for (const { input } of sliders) input.value = live ? 0 : middle;
  moved(0);
}

function moved(index) {
  if (live) return decode();
  sliders.forEach(({ input }, other) => other !== index && (input.value = middle));
  write();
  const each = data.latents.length * data.steps.length;
  show(at("decoded"), sheets.frames, state.start * each + index * data.steps.length + sliders[index].input.valueAsNumber);
}

function nameOf(start) {
  const label = data.labels ? `, label ${data.classes[data.labels[Math.max(start, 0)]]}` : "";
  if (start < 0) return `${data.centre}${data.conditional ? label : ""}`;
  return `example ${start}${label}`;
}

function startFrom(example) {
  const known = data.starts.indexOf(example);
  if (known < 0) {
    data.starts.push(example);
    at("start").append(new Option(nameOf(example), data.starts.length - 1));
  }
  at("start").value = state.start = known < 0 ? data.starts.length - 1 : known;
  reset();
}

data.starts.forEach((start, index) => at("start").append(new Option(nameOf(start), index)));
at("start").addEventListener("input", () => {
  state.start = Number(at("start").value);
  if (data.starts[state.start] >= 0) choose(data.starts[state.start]);
  reset();
});
at("reset").addEventListener("click", reset);

// Decoding by LiteRT.js, where the page is served with the model beside it.

let printed = [];

async function load({ model, litert }) {
  // LiteRT.js prints the reason of a failure instead of throwing it.
  globalThis.Module = { printErr: (line) => line.startsWith("ERROR: ") && printed.push(line.slice(7)) };
  const { Tensor, loadAndCompile, loadLiteRt } = await import("@litertjs/core");
  await loadLiteRt(new URL(litert, document.baseURI).href);
  const compiled = await loadAndCompile(new URL(model, document.baseURI).href, { accelerator: "wasm" });
  const inputs = compiled.signatures.decode.getInputDetails();
  const embeddings = floats(data.embeddings);
  const size = embeddings.length / data.points.length;
  return { Tensor, compiled, inputs, embeddings, size, base: floats(data.base) };
}

/** The inputs of `decode` for the present sliders. */
function position() {
  const start = data.starts[state.start];
  const z = start < 0 ? live.base.slice() : live.embeddings.slice(start * live.size, (start + 1) * live.size);
  sliders.forEach((slider, index) => {
    const { latent, std } = data.latents[index];
    z[latent] += deviations(slider) * std;
  });
  const label = data.conditions ? data.conditions[Math.max(start, 0)] : 0;
  return { z, labels: [label].flat() };
}

let [running, waiting] = [false, false];

async function decode() {
  write();
  if (running) return (waiting = true);
  running = true;
  const tensors = [];
  try {
    printed = [];
    const [given, values] = [{}, position()];
    for (const { name, dtype, shape } of live.inputs) {
      const array = (dtype === "int32" ? Int32Array : Float32Array).from(values[name]);
      tensors.push((given[name] = new live.Tensor(array, shape)));
    }
    const outputs = await live.compiled.run("decode", given);
    tensors.push(...Object.values(outputs));
    if (printed.length) throw new Error(printed.join("; "));
    const decoded = outputs.image.toTypedArray();
    window.lastDecoded = { ...values, z: Array.from(values.z), image: Array.from(decoded) };
    paint(decoded);
  } catch (error) {
    fail(error);
  } finally {
    tensors.forEach((tensor) => tensor.delete());
    running = false;
  }
  if (waiting) {
    waiting = false;
    decode();
  }
}

function paint(values) {
  const [image, channels] = [new ImageData(width, height), values.length / (width * height)];
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * values[channels * i + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  at("decoded").getContext("2d").putImageData(image, 0, 0);
}

function fail(error) {
  Object.assign(at("error"), { hidden: false, textContent: error.message });
}

const served = globalThis.ZOO_LIVE;
if (served && data.embeddings) {
  try {
    live = await load(served);
  } catch (error) {
    fail(new Error(`LiteRT.js could not load the model: ${error.message}`));
  }
}
at("mode").textContent = live
  ? "Hover over a point to see it, click it to decode from it. The sliders decode on this device, all at once."
  : "Hover over a point to see it, click it to keep it. A slider shows stored images: it moves one latent at a time.";
sliders.forEach(rangeOf);
choose(0);
reset();
document.body.dataset.state = live ? "live" : "stored";
