// Latents as sliders and codes as grids, to change or to look at.

const PAGE = 32;

/** Element with properties and children; `style` sets custom properties. */
function element(tag, { style = {}, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(style)) made.style.setProperty(name, value);
  made.append(...children);
  return made;
}

/** Sliders for latents; `changed()` after each change of `z`, in place. A hierarchical model has thousands: pages. */
export function editLatents(container, z, changed) {
  // From the latents themselves, as those of a hierarchical model need not be near a unit normal.
  const limit = Math.max(4, Math.ceil(z.reduce((most, value) => Math.max(most, Math.abs(value)), 0)));
  const sliders = element("div", { className: "sliders" });
  const hint = element("p", { className: "hint" });
  const page = (first) => {
    const last = Math.min(first + PAGE, z.length);
    hint.replaceChildren(`Latents ${first} to ${last - 1} of ${z.length}: move one to decode. `);
    if (z.length > PAGE) {
      const turn = (text, to) =>
        element("button", { type: "button", disabled: to < 0 || to >= z.length, onclick: () => page(to) }, text);
      hint.append(turn("Back", first - PAGE), " ", turn("Next", first + PAGE));
    }
    sliders.replaceChildren();
    for (let i = first; i < last; i++) {
      const value = element("output", {}, z[i].toFixed(2));
      const slider = element("input", { type: "range", min: -limit, max: limit, step: 0.01, value: z[i] });
      slider.addEventListener("input", () => {
        z[i] = slider.valueAsNumber;
        value.textContent = z[i].toFixed(2);
        changed();
      });
      sliders.append(element("label", {}, `z${i}`, slider, value));
    }
  };
  page(0);
  container.replaceChildren(hint, sliders);
}

/** Grids of codes [1,h,w], or [1,h,w,d] of a residual quantiser, d grids; `cell(i)` makes the cell of code i. */
function grids(codes, [, height, width, depth = 1], cell) {
  return Array.from({ length: depth }, (_, level) => {
    const cells = Array.from({ length: height * width }, (_, place) => cell(place * depth + level));
    return element("div", { className: "grid", style: { "--columns": width } }, ...cells);
  });
}

function paint(cell, code) {
  cell.textContent = code;
  cell.style.setProperty("--code", code);
  return cell;
}

/**
 * Grids in which a click changes a code; `changed()` after each change of `codes`, in place.
 *
 * `numCodes` is what the codes stay below, or undefined where nobody knows: a file does not say.
 */
export function editCodes(container, codes, shape, numCodes, changed) {
  const brush = element("input", { type: "number", min: 0, max: numCodes ? numCodes - 1 : "", placeholder: "random" });
  const next = (old) => {
    if (brush.value !== "" && brush.checkValidity()) return brush.valueAsNumber;
    // Without a number of codes, one of those in sight: it is surely in the codebook.
    const others = numCodes ? Array.from({ length: numCodes }, (_, code) => code) : [...new Set(codes)];
    const choice = others.filter((code) => code !== old);
    return choice.length ? choice[Math.floor(Math.random() * choice.length)] : old;
  };
  const cell = (i) => {
    const button = paint(element("button", { type: "button", className: "cell" }), codes[i]);
    button.addEventListener("click", () => {
      if (!brush.reportValidity()) return;
      codes[i] = next(codes[i]);
      paint(button, codes[i]);
      changed();
    });
    return button;
  };
  const hint = element("p", { className: "hint" }, "Codes: click one to change it and decode.");
  const label = element("label", { className: "brush" }, "New code ", brush);
  container.replaceChildren(hint, ...grids(codes, shape, cell), label);
}

/** Codes to look at. */
export function showCodes(container, codes, shape) {
  const hint = element("p", { className: "hint" }, "Codes");
  container.replaceChildren(hint, ...grids(codes, shape, (i) => paint(element("span"), codes[i])));
}

/** A posterior: the mean of each latent and one standard deviation about it, and a table of the numbers. */
export function showPosterior(container, mean, logVar) {
  const limit = 4;
  const at = (value) => Math.min(Math.max(limit - value, 0), 2 * limit);
  const spread = Array.from(mean, (value, i) => {
    const deviation = Math.exp(logVar[i] / 2);
    return `M${i + 0.5} ${at(value - deviation)}V${at(value + deviation)}`;
  });
  const means = Array.from(mean, (value, i) => `M${i + 0.1} ${at(value)}h0.8`);
  const plot = element("div");
  plot.innerHTML = `<svg class="posterior" viewBox="0 0 ${mean.length} ${2 * limit}" preserveAspectRatio="none"
    role="img" aria-label="Mean and standard deviation of each latent"><path class="zero" d="M0 ${limit}H${mean.length}"
    /><path class="spread" d="${spread.join("")}" /><path d="${means.join("")}" /></svg>`;
  const row = (tag, ...cells) => element("tr", {}, ...cells.map((text) => element(tag, {}, String(text))));
  const rows = Array.from(mean, (value, i) => row("td", i, value.toFixed(3), logVar[i].toFixed(3)));
  const table = element("table", {}, row("th", "", "mean", "log_var"), ...rows);
  container.replaceChildren(
    element("p", { className: "hint" }, `Mean ± standard deviation of ${mean.length} latents, −${limit} to ${limit}`),
    plot,
    element("details", {}, element("summary", {}, "Numbers"), element("div", { className: "table" }, table)),
  );
}
