/* Finds faces and reads their expressions, as ferlib.Recognizer.read does with YuNet and tta="flip".
   All is in one function, so that a page can start it in a worker made of its source text. */
"use strict";

/**
 * @param tf      what ferlibRuntime() returns
 * @param wasm    ArrayBuffer: the runtime's WebAssembly module
 * @param finder  the face detector YuNet: {steps, outputs, tensors, data}
 * @param network the network for expressions, in the same form
 * @returns a promise of read({data: RGBA bytes, width, height}) -> {faces: [{box, score, probabilities}], tensors}
 */
function ferlibReader(tf, wasm, finder, network) {
  const SIDE = 48, SCORE = 0.7, OVERLAP = 0.3, MIN_SIZE = 30, BATCH = 16;
  const LONGEST = 1280; // the detector works on a copy that is at most this long
  const COARSE = 320, FINEST = 1280, SEEN = 24; // see ferlib.detect.yunet

  const HALF_EVEN = 1.5 * 2 ** 52; // adding it leaves no room for a fraction, so the sum is rounded half to even
  const even = (value) => value + HALF_EVEN - HALF_EVEN; // Python's round
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // --- networks ----------------------------------------------------------------------------------------------

  function load(graph) {
    const text = atob(graph.data), bytes = new Uint8Array(text.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = text.charCodeAt(k);
    const tensors = graph.tensors.map(([shape, at, scalesAt]) => {
      const count = shape.reduce((product, side) => product * side, 1);
      if (scalesAt === undefined) return tf.tensor(new Float32Array(bytes.buffer, at, count), shape, "float32");
      const channels = shape[shape.length - 1]; // 8 bits, one scale per output channel
      const small = new Int8Array(bytes.buffer, at, count), scales = new Float32Array(bytes.buffer, scalesAt, channels);
      return tf.tensor(Float32Array.from(small, (value, k) => value * scales[k % channels]), shape, "float32");
    });
    const lastUse = new Map(graph.outputs.map((value) => [value, Infinity]));
    graph.steps.forEach((step, k) => step.x.forEach((value) => lastUse.set(value, Math.max(lastUse.get(value) ?? 0, k))));
    return { ...graph, data: null, tensors, lastUse };
  }

  const OPERATIONS = {
    conv: (s, [x], w) => tf.conv2d({ x, filter: w[0], bias: w[1], strides: s.stride, pad: s.pad, activation: s.activation }),
    depthwise: (s, [x], w) => tf.depthwiseConv2d({ x, filter: w[0], bias: w[1], strides: s.stride, pad: s.pad, activation: s.activation }),
    dense: (s, [x], w) => tf.matMul({ a: x, b: w[0], bias: w[1], activation: s.activation }),
    affine: (s, [x], w) => tf.add(tf.mul(x, w[0]), w[1]),
    max_pool: (s, [x]) => tf.maxPool(x, s.size, s.stride, s.pad),
    average_pool: (s, [x]) => tf.avgPool(x, s.size, s.stride, s.pad),
    mean: (s, [x]) => tf.mean(x, [1, 2], s.keep),
    max: (s, [x]) => tf.max(x, [1, 2], s.keep),
    reshape: (s, [x]) => tf.reshape(x, [x.shape[0], ...s.shape]),
    pad: (s, [x]) => tf.pad(x, [[0, 0], ...s.pad, [0, 0]]),
    resize: (s, [x]) => tf.resizeBilinear(x, s.size, false, true),
    double: (s, [x]) => tf.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]),
    add: (s, x) => x.reduce((sum, each) => tf.add(sum, each)),
    multiply: (s, x) => x.reduce((product, each) => tf.mul(product, each)),
    concat: (s, x) => tf.concat(x, -1),
    relu: (s, [x]) => tf.relu(x),
    relu6: (s, [x]) => tf.relu6(x),
    elu: (s, [x]) => tf.elu(x),
    leaky_relu: (s, [x]) => tf.leakyRelu(x, s.slope),
    sigmoid: (s, [x]) => tf.sigmoid(x),
    tanh: (s, [x]) => tf.tanh(x),
    softmax: (s, [x]) => tf.softmax(x),
  };

  function run(graph, input, shape) {
    return tf.tidy(() => {
      const values = [tf.tensor(input, shape, "float32")];
      graph.steps.forEach((step, k) => {
        const made = OPERATIONS[step.op](step, step.x.map((value) => values[value]), (step.w ?? []).map((at) => graph.tensors[at]));
        values.push(made);
        for (const value of new Set(step.x)) if (graph.lastUse.get(value) === k) values[value].dispose();
      });
      return graph.outputs.map((value) => values[value].dataSync());
    });
  }

  // --- pictures: {data, width, height, channels}, 8 bits, as OpenCV computes with them ------------------------

  function withoutAlpha({ data, width, height }) {
    const rgb = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
      rgb[to] = data[from];
      rgb[to + 1] = data[from + 1];
      rgb[to + 2] = data[from + 2];
    }
    return { data: rgb, width, height, channels: 3 };
  }

  function grayCrop(image, [left, top, width, height]) { // the integer weights of cv2.cvtColor
    const gray = new Uint8Array(width * height), { data } = image;
    for (let y = 0, to = 0; y < height; y++) {
      for (let x = 0, from = ((top + y) * image.width + left) * 3; x < width; x++, from += 3, to++) {
        gray[to] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
      }
    }
    return { data: gray, width, height, channels: 1 };
  }

  function resize(image, width, height) { // ferlib.common.images.resize
    if (width === image.width && height === image.height) return image;
    const smaller = width * height < image.width * image.height;
    const across = 1 / (width / image.width), down = 1 / (height / image.height);
    if (!smaller || across < 1 || down < 1) return linear(image, width, height, smaller);
    const whole = Math.abs(across - even(across)) < 2.3e-16 && Math.abs(down - even(down)) < 2.3e-16;
    return whole ? blocks(image, width, height, even(across), even(down)) : area(image, width, height, across, down);
  }

  function blocks(image, width, height, across, down) { // INTER_AREA by a whole number
    const { data, channels } = image, made = new Uint8Array(width * height * channels), row = image.width * channels;
    const share = Math.fround(1 / (across * down)), two = across === 2 && down === 2;
    for (let y = 0, to = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++, to++) {
          let sum = 0;
          for (let j = 0, from = y * down * row + x * across * channels + c; j < down; j++, from += row) {
            for (let i = 0, at = from; i < across; i++, at += channels) sum += data[at];
          }
          made[to] = two ? (sum + 2) >> 2 : even(Math.fround(sum * share));
        }
      }
    }
    return { data: made, width, height, channels };
  }

  function shares(from, to, scale) { // which pixels an interval covers, and how much of it each is
    const table = [];
    for (let k = 0; k < to; k++) {
      const start = k * scale, end = start + scale, cell = Math.min(scale, from - start);
      const last = Math.min(Math.floor(end), from - 1), first = Math.min(Math.ceil(start), last);
      if (first - start > 1e-3) table.push([k, first - 1, Math.fround((first - start) / cell)]);
      for (let s = first; s < last; s++) table.push([k, s, Math.fround(1 / cell)]);
      if (end - last > 1e-3) table.push([k, last, Math.fround(Math.min(end - last, 1, cell) / cell)]);
    }
    return table;
  }

  function area(image, width, height, across, down) { // INTER_AREA by any number
    const { data, channels } = image, made = new Uint8Array(width * height * channels), length = width * channels;
    const columns = shares(image.width, width, across);
    const to = Int32Array.from(columns, ([k]) => k * channels), from = Int32Array.from(columns, ([, s]) => s * channels);
    const weight = Float32Array.from(columns, ([, , share]) => share);
    const line = new Float32Array(length), sum = new Float32Array(length);
    let current = 0;
    const store = () => { for (let k = 0, at = current * length; k < length; k++) made[at + k] = even(sum[k]); };
    for (const [y, source, share] of shares(image.height, height, down)) {
      line.fill(0);
      const start = source * image.width * channels;
      for (let k = 0; k < to.length; k++) {
        const at = to[k], pixel = start + from[k], w = weight[k];
        line[at] += data[pixel] * w;
        if (channels === 1) continue;
        line[at + 1] += data[pixel + 1] * w;
        line[at + 2] += data[pixel + 2] * w;
      }
      if (y !== current) {
        store();
        sum.fill(0);
        current = y;
      }
      for (let k = 0; k < length; k++) sum[k] += share * line[k];
    }
    store();
    return { data: made, width, height, channels };
  }

  function neighbours(from, to, byArea) { // for each place the pixel before it, and both weights in 1/2048
    const inverse = to / from, scale = 1 / inverse;
    return Array.from({ length: to }, (_, k) => {
      let place = byArea ? Math.floor(k * scale) : Math.fround((k + 0.5) * scale - 0.5), part;
      if (byArea) {
        part = Math.fround(k + 1 - (place + 1) * inverse);
        part = part <= 0 ? 0 : part - Math.floor(part);
      } else {
        part = Math.fround(place - Math.floor(place));
        place = Math.floor(place);
      }
      return [place, even(Math.fround(1 - part) * 2048), even(part * 2048)];
    });
  }

  function linear(image, width, height, byArea) { // INTER_LINEAR in integers; also INTER_AREA where a side grows
    const { data, channels } = image, made = new Uint8Array(width * height * channels), length = width * channels;
    const columns = neighbours(image.width, width, byArea), last = image.width - 1;
    const line = (y) => {
      const start = clamp(y, 0, image.height - 1) * image.width * channels, values = new Int32Array(length);
      columns.forEach(([x, a, b], k) => {
        if (x < 0 || x >= last) [x, a, b] = [clamp(x, 0, last), 2048, 0];
        const left = start + x * channels, right = start + Math.min(x + 1, last) * channels;
        for (let c = 0; c < channels; c++) values[k * channels + c] = data[left + c] * a + data[right + c] * b;
      });
      return values;
    };
    const lines = new Map();
    neighbours(image.height, height, byArea).forEach(([y, a, b], row) => {
      for (const each of lines.keys()) if (each < y) lines.delete(each);
      for (const each of [y, y + 1]) if (!lines.has(each)) lines.set(each, line(each));
      const above = lines.get(y), below = lines.get(y + 1);
      for (let k = 0, at = row * length; k < length; k++) {
        made[at + k] = (((a * (above[k] >> 4)) >> 16) + ((b * (below[k] >> 4)) >> 16) + 2) >> 2;
      }
    });
    return { data: made, width, height, channels };
  }

  // --- faces: YuNet as OpenCV's FaceDetectorYN and ferlib.detect.yunet use it ----------------------------------

  function detectAt(image, scale) { // [x, y, width, height, score] in pixels of the picture
    const size = [image.width, image.height].map((side) => Math.max(1, even(side * scale)));
    const small = scale < 1 ? resize(image, ...size) : image;
    const [width, height] = [small.width, small.height].map((side) => 32 * Math.ceil(Math.max(side, 32) / 32));
    const input = new Float32Array(width * height * 3); // blue, green, red
    for (let y = 0, from = 0; y < small.height; y++) {
      for (let x = 0, to = y * width * 3; x < small.width; x++, from += 3, to += 3) {
        input[to] = small.data[from + 2];
        input[to + 1] = small.data[from + 1];
        input[to + 2] = small.data[from];
      }
    }
    const outputs = run(finder, input, [1, height, width, 3]);
    const found = [];
    [8, 16, 32].forEach((stride, level) => {
      const [face, object, boxes] = [outputs[level], outputs[level + 3], outputs[level + 6]];
      const columns = width / stride;
      for (let k = 0; k < face.length; k++) {
        const score = Math.fround(Math.sqrt(Math.fround(clamp(face[k], 0, 1) * clamp(object[k], 0, 1))));
        if (!(score >= Math.fround(SCORE))) continue;
        const [dx, dy, w, h] = boxes.subarray(4 * k, 4 * k + 4);
        const wide = Math.fround(Math.exp(w) * stride), high = Math.fround(Math.exp(h) * stride);
        const x = ((k % columns) + dx) * stride - wide / 2, y = (Math.floor(k / columns) + dy) * stride - high / 2;
        found.push([x, y, wide, high, score]);
      }
    });
    const kept = [];
    for (const face of found.sort((a, b) => b[4] - a[4])) { // whole pixels, as OpenCV compares them
      if (kept.every((other) => overlap(face.slice(0, 4).map(Math.trunc), other.slice(0, 4).map(Math.trunc)) <= OVERLAP)) kept.push(face);
    }
    return kept.filter((face) => face.every(Number.isFinite) && face[2] > 0 && face[3] > 0)
      .map(([x, y, w, h, score]) => [...[x, y, w, h].map((value) => Math.fround(value / scale)), score]);
  }

  function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
    const wide = Math.min(ax + aw, bx + bw) - Math.max(ax, bx), high = Math.min(ay + ah, by + bh) - Math.max(ay, by);
    const both = Math.max(wide, 0) * Math.max(high, 0), either = aw * ah + bw * bh - both;
    return either > 0 ? both / either : 0;
  }

  function isKnown([x, y, w, h], others) { // the centre of one inside the other: the same face, or a part of it
    return others.some(([ox, oy, ow, oh]) => {
      const across = Math.abs(x + w / 2 - ox - ow / 2), down = Math.abs(y + h / 2 - oy - oh / 2);
      return (across < ow / 2 && down < oh / 2) || (across < w / 2 && down < h / 2);
    });
  }

  function clampBox([x, y, w, h], width, height) {
    const left = clamp(x, 0, width), top = clamp(y, 0, height);
    return [left, top, clamp(x + w, left, width) - left, clamp(y + h, top, height) - top];
  }

  function asSquare([x, y, w, h]) {
    const side = 1.094 * Math.sqrt(w * h);
    return [even(x + w / 2 - side / 2), even(y + h / 2 - side / 2 - 0.028 * side), even(side), even(side)];
  }

  function detect(image) { // {box, score} of each face, largest first
    const shrink = Math.min(1, LONGEST / Math.max(image.width, image.height));
    const size = [image.width, image.height].map((side) => Math.max(1, even(side * shrink)));
    const small = shrink < 1 ? resize(image, ...size) : image;
    const least = Math.max(1, even(MIN_SIZE * shrink)), longest = Math.max(small.width, small.height);
    const scales = [Math.min(1, COARSE / longest)], finer = Math.min(1, SEEN / least, FINEST / longest);
    if (least * scales[0] < SEEN && finer > 1.2 * scales[0]) scales.push(finer);
    let found = [];
    for (const scale of scales) found = [...found, ...detectAt(small, scale).filter((face) => !isKnown(face, found))];
    const boxes = found.map((face) => ({ box: clampBox(asSquare(face), small.width, small.height), score: face[4] }));
    const large = boxes.filter(({ box }) => box[2] >= least && box[3] >= least);
    large.sort(({ box: a }, { box: b }) => b[2] * b[3] - a[2] * a[3] || a[1] - b[1] || a[0] - b[0] || a[2] - b[2]);
    return large
      .map(({ box, score }) => ({ box: clampBox(box.map((value) => even(value / shrink)), image.width, image.height), score }))
      .filter(({ box }) => box[2] && box[3]);
  }

  // --- expressions: the mean of the answers to a face and its mirror image -------------------------------------

  function classify(image, boxes) {
    const pixels = SIDE * SIDE, input = new Float32Array(2 * boxes.length * pixels);
    boxes.forEach((box, k) => {
      const face = resize(grayCrop(image, box), SIDE, SIDE).data, at = 2 * k * pixels;
      for (let y = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++) {
          input[at + y * SIDE + x] = face[y * SIDE + x];
          input[at + pixels + y * SIDE + SIDE - 1 - x] = face[y * SIDE + x];
        }
      }
    });
    const [answers] = run(network, input, [2 * boxes.length, SIDE, SIDE, 1]);
    const count = answers.length / boxes.length / 2;
    return boxes.map((_, k) =>
      Array.from({ length: count }, (_, c) => (answers[2 * k * count + c] + answers[(2 * k + 1) * count + c]) / 2));
  }

  function read(picture) {
    const image = withoutAlpha(picture), faces = detect(image);
    for (let k = 0; k < faces.length; k += BATCH) {
      const part = faces.slice(k, k + BATCH), answers = classify(image, part.map(({ box }) => box));
      part.forEach((face, j) => { face.probabilities = answers[j]; });
    }
    return { faces, tensors: tf.memory().numTensors };
  }

  return tf.start(wasm).then(() => {
    finder = load(finder);
    network = load(network);
    return Object.assign(read, { resize, grayCrop, withoutAlpha, classify });
  });
}

/* In a worker: the first message has the networks, each later one a picture. */
function ferlibWorker() {
  let reading;
  self.onmessage = async ({ data }) => {
    try {
      if (data.wasm) reading = ferlibReader(ferlibRuntime(), data.wasm, data.finder, data.network);
      const read = await reading;
      self.postMessage({ id: data.id, answer: data.wasm ? null : read(data.picture) });
    } catch (error) {
      self.postMessage({ id: data.id, error: String(error.message ?? error) });
    }
  };
}
