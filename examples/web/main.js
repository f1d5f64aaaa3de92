// The page: what is on it follows from the signatures of the model that is loaded.

import * as image from "./image.js";
import * as latents from "./latents.js";
import { Model } from "./model.js";

const NEEDED = ["sample", "decode", "encode", "reconstruct"];
const address = new URLSearchParams(location.search);
const $ = (id) => document.getElementById(id);

let model;
let entry; // of models.json, or {name} of another file
let shape; // of the images, [1,H,W,C]
let editing; // latents or codes that the sliders or the grid hold, {z} or {codes}

// Last inputs and outputs of each signature, for tests and for the console.
window.lastResult = {};

// One task at a time. A newer one of the same name takes the place of one that still waits, so that a slider that
// is dragged never falls behind.
const waiting = new Map();
let busy = false;

async function enqueue(name, task) {
  waiting.set(name, task);
  if (busy) return;
  busy = true;
  document.body.dataset.state = "busy";
  $("error").hidden = true;
  let failed = false;
  while (waiting.size) {
    const [[next, present]] = waiting;
    waiting.delete(next);
    try {
      await present();
    } catch (error) {
      console.info(error);
      $("error").textContent = error.message;
      $("error").hidden = false;
      failed = true;
    }
  }
  busy = false;
  document.body.dataset.state = failed ? "error" : "ready";
}

/** Outputs of a signature, which are also noted. */
async function run(signature, values) {
  const start = performance.now();
  const outputs = await model.run(signature, values);
  const names = Object.keys(model.signatures[signature].inputs);
  window.lastResult[signature] = { inputs: Object.fromEntries(names.map((name) => [name, values[name]])), outputs };
  $("status").textContent = `${entry.name}: ${signature} took ${Math.round(performance.now() - start)} ms`;
  return outputs;
}

/** The seed, as an array; an error where it is no int32. */
function seed() {
  if (!$("seed").checkValidity()) throw new Error(`Seed: ${$("seed").validationMessage}`);
  return [$("seed").valueAsNumber];
}

const label = (select) => [Number($(select).value)];

/** The one latent that a signature gives or takes besides the image: its name and shape, of z or codes. */
function latent(tensors) {
  const name = "codes" in tensors ? "codes" : "z";
  return [name, tensors[name].shape];
}

/** Takes latents or codes into the sliders or the grid. */
function edit(values) {
  const [name, size] = latent(model.signatures.decode.inputs);
  editing = { [name]: values };
  const changed = () => enqueue("decode", decode);
  if (name === "z") latents.editLatents($("latents"), values, changed);
  else latents.editCodes($("latents"), values, size, entry.codes, changed);
}

async function sample() {
  const values = { seed: seed(), temperature: [$("temperature").valueAsNumber], labels: label("sample-label") };
  const outputs = await run("sample", values);
  image.show($("generated"), outputs.image, shape);
  // A copy, as the sliders write into it.
  if (model.has("decode")) edit((outputs.codes ?? outputs.z).slice());
}

async function decode() {
  const values = { labels: label("sample-label") };
  for (const [name, array] of Object.entries(editing)) values[name] = array.slice();
  const outputs = await run("decode", values);
  image.show($("generated"), outputs.image, shape);
}

async function encode() {
  const values = { image: image.read($("drawing"), shape), labels: label("own-label") };
  if (model.has("reconstruct")) {
    image.show($("reconstruction"), (await run("reconstruct", values)).image, shape);
  }
  if (model.has("encode")) {
    const { codes, mean, log_var: logVar } = await run("encode", values);
    if (codes) latents.showCodes($("encoded"), codes, model.signatures.encode.outputs.codes.shape);
    else latents.showPosterior($("encoded"), mean, logVar);
    $("use").hidden = !model.has("decode");
  }
  if (model.has("log_prob")) {
    const [value] = (await run("log_prob", { ...values, seed: seed() })).log_prob;
    $("log-prob").textContent = `log_prob with the seed above: ${value.toFixed(1)} nats`;
    $("log-prob").hidden = false;
  }
}

/** Shows the labels of a part of the page if one of its signatures takes any. */
function setLabels(select, signatures) {
  $(select).parentElement.hidden = !signatures.some((signature) => model.has(signature, "labels"));
  const classes = entry.classes ?? 10;
  $(select).replaceChildren(...Array.from({ length: classes }, (_, label) => new Option(label, label)));
  const wanted = Number(address.get("label") ?? 0);
  if (wanted < classes) $(select).value = wanted;
}

/** Lays the page out for a new model. */
function layOut() {
  const found = NEEDED.filter((signature) => model.has(signature));
  if (!found.length) {
    const names = Object.keys(model.signatures).join(", ");
    throw new Error(`Expected one of the signatures ${NEEDED.join(", ")} in ${entry.name}. It has: ${names}.`);
  }
  const { inputs, outputs } = model.signatures[found[0]];
  shape = Array.from((inputs.image ?? outputs.image).shape);
  if (shape.length !== 4 || ![1, 3].includes(shape[3])) {
    throw new Error(`Expected images [1,H,W,C] of 1 or 3 channels in ${entry.name}. They are [${shape}].`);
  }
  window.lastResult = {};
  for (const name of ["generated", "drawing", "reconstruction"]) image.resize($(name), shape);
  $("encoded").replaceChildren();
  $("latents").replaceChildren();
  $("use").hidden = $("log-prob").hidden = true;
  $("sample").hidden = !model.has("sample");
  $("generate").hidden = !model.has("sample") && !model.has("decode");
  $("generate").querySelector("h2").textContent = model.has("sample") ? "Sample" : "Decode";
  $("own").hidden = !model.has("encode") && !model.has("reconstruct");
  $("pen").hidden = shape[3] === 1;
  if (shape[3] === 1) $("colour").value = "#ffffff";
  setLabels("sample-label", ["sample", "decode"]);
  setLabels("own-label", ["encode", "reconstruct", "log_prob"]);
}

/** A first image: a sample, else what latents or codes of zeros decode to. */
async function first() {
  if (model.has("sample")) return sample();
  if (!model.has("decode")) return;
  const [name, size] = latent(model.signatures.decode.inputs);
  const count = size.reduce((product, length) => product * length, 1);
  edit(name === "z" ? new Float32Array(count) : new Int32Array(count));
  return decode();
}

/** Loads the model whose bytes `fetched()` gives. What was loaded before stays where that fails. */
function load(chosen, fetched) {
  return enqueue("load", async () => {
    $("status").textContent = `Loading ${chosen.name} …`;
    try {
      const bytes = await fetched();
      const start = performance.now();
      const loaded = await Model.load(bytes, chosen.name);
      model?.delete();
      [model, entry] = [loaded, chosen];
      const size = (bytes.length / 1e6).toFixed(1);
      $("status").textContent = `${entry.name}: ${size} MB, loaded in ${Math.round(performance.now() - start)} ms`;
    } catch (error) {
      $("status").textContent = model ? `Still ${entry.name}` : "No model";
      throw error;
    }
    try {
      layOut();
    } catch (error) {
      $("generate").hidden = $("own").hidden = true;
      throw error;
    }
    await first();
  });
}

async function download(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} could not be fetched: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** What there is to choose from: models.json, and the model that the address names, first. */
async function list() {
  const source = new URL("models.json", import.meta.url);
  const entries = JSON.parse(new TextDecoder().decode(await download(source)));
  for (const entry of entries) entry.url = new URL(entry.file, source).href;
  if (address.has("model")) {
    const url = new URL(address.get("model"), location).href;
    const at = entries.findIndex((entry) => entry.url === url);
    entries.unshift(at < 0 ? { ...unlisted(), name: url.split("/").pop(), url } : entries.splice(at, 1)[0]);
  }
  return entries;
}

/** What the address says of a file that models.json does not know. */
function unlisted() {
  const number = (name) => (address.has(name) ? Number(address.get(name)) : undefined);
  return { classes: number("classes"), codes: number("codes") };
}

function wire(entries) {
  const choose = () => {
    const chosen = entries[$("models").selectedIndex];
    $("file").value = "";
    load(chosen, () => download(chosen.url));
  };
  $("models").replaceChildren(...entries.map(({ name }) => new Option(name)));
  $("models").addEventListener("change", choose);
  $("file").addEventListener("change", () => {
    const [file] = $("file").files;
    if (!file) return;
    // None of the list, so that each of them can be chosen again.
    $("models").selectedIndex = -1;
    load({ ...unlisted(), name: file.name }, async () => new Uint8Array(await file.arrayBuffer()));
  });

  const again = () => enqueue("sample", sample);
  $("sample").addEventListener("submit", (event) => {
    event.preventDefault();
    again();
  });
  $("next").addEventListener("click", () => {
    // From the largest to the smallest, as int32 does.
    $("seed").value = ($("seed").valueAsNumber + 1) | 0;
    again();
  });
  const showTemperature = () => ($("temperature-value").textContent = $("temperature").valueAsNumber.toFixed(2));
  $("temperature").addEventListener("input", showTemperature);
  $("temperature").addEventListener("change", again);
  // The same latents as another label, where the decoder takes labels; else a sample of it.
  $("sample-label").addEventListener("change", () =>
    model.has("decode", "labels") ? enqueue("decode", decode) : again(),
  );

  const changed = () => enqueue("encode", encode);
  image.draw($("drawing"), () => $("colour").value, changed);
  $("own-label").addEventListener("change", changed);
  $("clear").addEventListener("click", () => {
    image.resize($("drawing"), shape);
    changed();
  });
  $("take").addEventListener("click", () => {
    image.copy($("generated"), $("drawing"));
    $("own-label").value = $("sample-label").value;
    changed();
  });
  $("picture").addEventListener("change", () => {
    const [file] = $("picture").files;
    if (!file) return;
    enqueue("encode", async () => {
      await image.showFile($("drawing"), file);
      await encode();
    });
  });
  $("use").addEventListener("click", () => {
    const { codes, mean } = window.lastResult.encode.outputs;
    edit((codes ?? mean).slice());
    enqueue("decode", decode);
  });

  for (const name of ["seed", "temperature"]) if (address.has(name)) $(name).value = address.get(name);
  showTemperature();
  choose();
}

let entries;
await enqueue("list", async () => (entries = await list()));
if (entries) wire(entries);
