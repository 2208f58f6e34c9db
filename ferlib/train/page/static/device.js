/* Reading on this device, in a worker where there can be one. */
"use strict";

const MOST_PIXELS = 50e6; // as in ferlib

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer;
}

// A worker made of the scripts' own text: a worker's file could not be loaded from file://.
function inWorker({ wasm, finder, network }) {
  return new Promise((done, failed) => {
    const text = `${[ferlibRuntime, ferlibReader, ferlibWorker].join("\n")}\nferlibWorker();`;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(address), waiting = new Map();
    let count = 0;
    const ask = (message, transfer = []) => new Promise((resolve, reject) => {
      waiting.set(++count, { resolve, reject });
      worker.postMessage({ ...message, id: count }, transfer);
    });
    worker.onmessage = ({ data: { id, answer, error } }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      error === undefined ? resolve(answer) : reject(new Error(error));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const error = new Error(event.message || "the worker stopped");
      for (const { reject } of waiting.values()) reject(error);
      failed(error);
    };
    const read = (image) => ask({ picture: image }, [image.data.buffer]);
    ask({ wasm: bytesOf(wasm), finder, network }).then(() => {
      URL.revokeObjectURL(address);
      done({ read, place: "worker" });
    }, failed);
  });
}

async function inPage({ wasm, finder, network }) {
  const read = await ferlibReader(ferlibRuntime(), bytesOf(wasm), finder, network);
  return { read: async (image) => (await pause(0), read(image)), place: "page" };
}

const reader = inWorker(ferlibData).catch(() => inPage(ferlibData)).catch((error) => {
  throw new Error(`This browser cannot run the network (${error.message}). Try a current Firefox, Chrome, Edge or Safari.`);
});

const source = {
  ready: reader,
  sample: async () => bytesOf(ferlibData.sample),

  // At its full size: the browser's own scaling would change the answers.
  async read(picture, width, height) {
    if (width * height > MOST_PIXELS) throw new Error(`${width}×${height} pixels are too many. Make the picture smaller.`);
    const { data } = drawn(picture, width, height).getContext("2d").getImageData(0, 0, width, height);
    return (await reader).read({ data, width, height });
  },
};
