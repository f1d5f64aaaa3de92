// Images between a model and canvases of the model's own size: float32 [H,W,C] in [0, 1], C of 1 or 3.

function context(canvas) {
  return canvas.getContext("2d", { alpha: false, willReadFrequently: true });
}

/** Gives a canvas the size of an image of this shape, [1,H,W,C]; what was on it goes. */
export function resize(canvas, [, height, width]) {
  canvas.width = width;
  canvas.height = height;
}

/** Shows an image. */
export function show(canvas, image, shape) {
  if (!image.every(Number.isFinite)) throw new Error("The model gave an image of numbers that are not finite.");
  resize(canvas, shape);
  const [, height, width, channels] = shape;
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = 255 * image[channels * i + (channels === 3 ? c : 0)];
    pixels.data[4 * i + 3] = 255;
  }
  context(canvas).putImageData(pixels, 0, 0);
}

/** The image on a canvas; in grey where the model has one channel. */
export function read(canvas, [, height, width, channels]) {
  const { data } = context(canvas).getImageData(0, 0, width, height);
  const image = new Float32Array(height * width * channels);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    if (channels === 3) image.set([red / 255, green / 255, blue / 255], 3 * i);
    else image[i] = (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  }
  return image;
}

/** Takes what is on one canvas to another of the same size. */
export function copy(from, to) {
  context(to).drawImage(from, 0, 0);
}

/** Fills a canvas with the middle of a picture file. */
export async function showFile(canvas, file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch (error) {
    throw new Error(`${file.name} is not a picture that this browser can read.`, { cause: error });
  }
  const scale = Math.max(canvas.width / picture.width, canvas.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const target = context(canvas);
  target.imageSmoothingQuality = "high";
  target.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  picture.close();
}

/** Lets a pointer draw on a canvas in the colour that `colour()` gives; `done()` after each stroke. */
export function draw(canvas, colour, done) {
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * canvas.width,
      ((event.clientY - box.top) / box.height) * canvas.height,
    ];
  };
  const line = (event) => {
    const to = place(event);
    const target = context(canvas);
    target.strokeStyle = colour();
    target.lineCap = "round";
    // About the stroke of MNIST's digits: 2.3 of 28 pixels.
    target.lineWidth = canvas.width / 12;
    target.beginPath();
    target.moveTo(...last);
    target.lineTo(...to);
    target.stroke();
    last = to;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last && event.isPrimary) line(event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (last) done();
      last = null;
    });
  }
}
