// A .tflite file, run by LiteRT.js: named signatures, from arrays to arrays.

const ARRAYS = { float32: Float32Array, int32: Int32Array };

// What the runtime printed as errors during the present call.
let printed = [];
let runtime;

async function start() {
  // LiteRT.js does not throw when a run fails: it prints the reason and gives outputs of zeros. So read what it prints.
  globalThis.Module = {
    printErr: (line) => {
      if (line.startsWith("ERROR: ")) printed.push(line.slice(7));
      else console.debug(line);
    },
  };
  try {
    const litert = await import("@litertjs/core");
    await litert.loadLiteRt(new URL("node_modules/@litertjs/core/wasm/", import.meta.url).href);
    return litert;
  } catch (error) {
    throw new Error("LiteRT.js could not be loaded. Was `npm ci` run in examples/web?", { cause: error });
  }
}

/** Result of `call`, or an error where the runtime printed one. */
async function checked(call) {
  printed = [];
  const result = await call();
  if (printed.length) throw new Error(printed.join("; "));
  return result;
}

/**
 * The model in the bytes of a .tflite file.
 *
 * `signatures` has the inputs and outputs of each by name: {sample: {inputs: {seed: {dtype, shape}, …}, outputs: …}}.
 */
export class Model {
  #compiled;
  #Tensor;

  static async load(bytes, name) {
    // The runtime would only say that it failed, so look at the format's own mark first.
    if (String.fromCharCode(...bytes.subarray(4, 8)) !== "TFL3") throw new Error(`${name} is not a .tflite file.`);
    runtime ??= start();
    const litert = await runtime;
    const model = new Model();
    try {
      // The CPU on purpose, where a seed gives the same image as on other devices.
      model.#compiled = await checked(() => litert.loadAndCompile(bytes, { accelerator: "wasm" }));
    } catch (error) {
      throw new Error(`LiteRT.js cannot load ${name}: ${error.message}`, { cause: error });
    }
    model.#Tensor = litert.Tensor;
    const byName = (details) => Object.fromEntries(details.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
    model.signatures = {};
    for (const [key, runner] of Object.entries(model.#compiled.signatures)) {
      model.signatures[key] = { inputs: byName(runner.getInputDetails()), outputs: byName(runner.getOutputDetails()) };
    }
    return model;
  }

  /** Whether the model has this signature and, if asked, it takes this input. */
  has(signature, input) {
    return signature in this.signatures && (!input || input in this.signatures[signature].inputs);
  }

  /** Outputs of a signature as typed arrays; of `values`, what it takes as inputs is picked by name. */
  async run(signature, values) {
    const tensors = [];
    try {
      const inputs = {};
      for (const [name, { dtype, shape }] of Object.entries(this.signatures[signature].inputs)) {
        if (!(name in values)) throw new Error(`Signature ${signature} takes "${name}", which this page has not.`);
        inputs[name] = new this.#Tensor(ARRAYS[dtype].from(values[name]), shape);
        tensors.push(inputs[name]);
      }
      const outputs = await checked(async () => {
        const outputs = await this.#compiled.run(signature, inputs);
        tensors.push(...Object.values(outputs));
        return outputs;
      });
      // Copies, as the runtime's memory may move.
      return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.toTypedArray().slice()]));
    } finally {
      tensors.forEach((tensor) => tensor.delete());
    }
  }

  delete() {
    this.#compiled.delete();
  }
}
