/* Reading by the server of this page: a smaller copy goes to api/predict, as a JPEG. */
"use strict";

const QUALITY = 0.92;

function ask(address, options = {}) {
  return fetch(address, { ...options, signal: AbortSignal.timeout(30000), cache: "no-store" }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
}

const source = {
  ready: Promise.resolve(),
  sample: async () => (await ask("static/sample.jpg")).blob(),

  async read(picture, width, height, ofCamera) {
    const copy = drawn(picture, width, height, ofCamera ? CAMERA_WIDTH : SHOWN); // enough for small faces, few bytes
    const body = await new Promise((done, failed) => copy.toBlob(
      (blob) => (blob ? done(blob) : failed(new Error("This picture cannot be sent."))), "image/jpeg", QUALITY));
    const answer = await ask("api/predict", { method: "POST", body });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const error = new Error(told.error ? `The server says: ${told.error}.` : `The server says no (${answer.status}).`);
      throw Object.assign(error, { busy: answer.status === 503 });
    }
    const faces = told.faces.map((face) => ({ ...face, probabilities: classNames.map((name) => face.probabilities[name]) }));
    return { ...told, faces };
  },
};
