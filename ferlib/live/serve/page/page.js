// The page: a picture or camera frames go to api/predict, boxes and bars come back. Nothing is kept.
"use strict";

const LONGEST = 1600; // a picture's longer side as it is sent: enough for small faces, few bytes
const CAMERA_WIDTH = 640;
const SPEAK_EVERY = 2500; // ms between two announcements while the camera runs
// seaborn's "colorblind" palette, as ferlib.overlay has it; the name always stands beside the colour
const COLOURS = {
  angry: "#d55e00", disgust: "#029e73", fear: "#cc78bc", happy: "#ece133", sad: "#0173b2", surprise: "#56b4e9",
  neutral: "#949494", rest: "#ca9161",
};
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const stage = $("stage"), picture = $("picture"), video = $("video"), overlay = $("overlay");

let turn = 0; // rises with each new picture or camera start: answers to older ones are not shown
let stream = null;
let shown = null; // what the overlay shows: {faces, width, height, mirrored}
let spokenAt = -Infinity; // when the camera's result was last announced

// --- words ---------------------------------------------------------------------------------------------------

function say(words, bad = false) {
  const status = $("status");
  status.classList.toggle("bad", bad);
  if (status.textContent !== words) status.textContent = words;
}

const percent = (p) => `${Math.round(100 * p)} %`;

function summary(answer) {
  const { faces, left_out: more } = answer;
  if (!faces.length) return "No face found. A face works best from the front, in even light.";
  const named = faces.slice(0, 4).map((f) => `${f.emotion}, ${percent(f.probability)}`).join("; ");
  const count = faces.length === 1 ? "One face" : `${faces.length} faces`;
  return `${count}: ${named}${faces.length > 4 ? " …" : "."}${more ? ` ${more} more were not read.` : ""}`;
}

// --- asking the server ---------------------------------------------------------------------------------------

async function ask(blob) {
  let answer;
  try {
    const signal = AbortSignal.timeout(30000);
    answer = await fetch("api/predict", { method: "POST", body: blob, signal, cache: "no-store" });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const error = new Error(body.error ? `The server says: ${body.error}.` : `The server says no (${answer.status}).`);
  error.busy = answer.status === 503;
  throw error;
}

const asJpeg = (canvas, quality) =>
  new Promise((done, failed) =>
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("This picture cannot be sent."))), "image/jpeg", quality));

function drawn(source, width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const brush = canvas.getContext("2d");
  brush.fillStyle = "#fff"; // under transparent parts
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// --- a picture -----------------------------------------------------------------------------------------------

async function usePicture(file) {
  stopCamera();
  const mine = ++turn;
  clear();
  say("Reading …");
  try {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file); // turned as its EXIF says
    } catch {
      throw new Error(`Your browser cannot open “${file.name}” as a picture. JPEG, PNG and WebP work everywhere.`);
    }
    const copy = drawn(bitmap, bitmap.width, bitmap.height, LONGEST);
    bitmap.close();
    if (mine !== turn) return;
    picture.width = copy.width;
    picture.height = copy.height;
    picture.getContext("2d").drawImage(copy, 0, 0);
    fit(picture, copy.width, copy.height);
    show(picture);
    const answer = await ask(await asJpeg(copy, 0.92));
    if (mine !== turn) return;
    present(answer, false);
    say(summary(answer));
    picture.setAttribute("aria-label", `Your picture. ${summary(answer)}`);
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

// --- the camera ----------------------------------------------------------------------------------------------

const CAMERA_WORDS = {
  NotAllowedError: "The camera was not allowed. Allow it beside the address of this page, then try again, or choose a picture.",
  NotFoundError: "No camera was found. Connect one, or choose a picture.",
  OverconstrainedError: "No camera was found that fits. Choose a picture instead.",
  NotReadableError: "The camera is in use by another program. Close that, then try again.",
};

async function startCamera() {
  const mine = ++turn;
  clear();
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    const why = window.isSecureContext
      ? "This browser gives no page the camera."
      : "Browsers give the camera only to secure pages: https, or a server on this same computer.";
    return say(`${why} You can choose a picture; a phone then offers to take one.`, true);
  }
  say("Waiting for the camera …");
  try {
    const wanted = { width: { ideal: CAMERA_WIDTH }, height: { ideal: 480 }, facingMode: "user" };
    const got = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (mine !== turn) return got.getTracks().forEach((track) => track.stop());
    stream = got;
  } catch (error) {
    if (mine === turn) say(CAMERA_WORDS[error.name] ?? `The camera does not start (${error.name}).`, true);
    return;
  }
  const track = stream.getVideoTracks()[0];
  track.addEventListener("ended", () => mine === turn && (stopCamera(), say("The camera has stopped.", true)));
  const mirrored = track.getSettings().facingMode !== "environment"; // as in a mirror, but for a rear camera
  video.classList.toggle("mirrored", mirrored);
  video.srcObject = stream;
  pressed(true);
  show(video);
  await video.play().catch(() => {});
  spokenAt = -Infinity;
  await watch(mine, mirrored);
}

// One frame at a time: the next is taken when the answer to the last is there.
async function watch(mine, mirrored) {
  while (mine === turn && stream) {
    if (document.hidden || !video.videoWidth) {
      await pause(200);
      continue;
    }
    try {
      const frame = drawn(video, video.videoWidth, video.videoHeight, CAMERA_WIDTH);
      const answer = await ask(await asJpeg(frame, 0.85));
      if (mine !== turn) return;
      present(answer, mirrored);
      speak(answer);
      await pause(30);
    } catch (error) {
      if (mine !== turn) return;
      if (!error.busy) say(error.message, true);
      await pause(1000);
    }
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A screen reader should not speak ten times a second; the eye has the bars.
function speak(answer) {
  say(answer.faces.length ? "The camera is on." : summary(answer));
  const now = performance.now();
  if (!answer.faces.length || now - spokenAt < SPEAK_EVERY) return;
  spokenAt = now;
  const words = summary(answer);
  if ($("spoken").textContent !== words) $("spoken").textContent = words;
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  pressed(false);
}

function pressed(on) {
  $("camera").setAttribute("aria-pressed", String(on));
  $("camera").textContent = on ? "Stop the camera" : "Use the camera";
}

// --- showing -------------------------------------------------------------------------------------------------

function show(what) {
  for (const each of [picture, video]) each.hidden = each !== what;
  $("empty").hidden = what !== null;
  stage.classList.toggle("full", what !== null);
}

// As wide as there is room, not higher than most of the window, and small pictures at most three times as large.
function fit(what, width, height) {
  what.style.width = `min(100%, ${(70 * width) / height}vh, ${3 * width}px)`;
}

function clear() {
  shown = null;
  $("spoken").textContent = "";
  drawOverlay();
  $("faces").replaceChildren();
  show(null);
}

function present(answer, mirrored) {
  shown = { ...answer, mirrored };
  drawOverlay();
  const list = $("faces");
  while (list.children.length > answer.faces.length) list.lastChild.remove();
  answer.faces.forEach((face, k) => {
    const old = list.children[k];
    const names = Object.keys(face.probabilities).join();
    const card = old?.dataset.names === names ? old : newCard(face);
    if (card !== old) old ? old.replaceWith(card) : list.append(card);
    card.dataset.names = names;
    fillCard(card, face, answer.faces.length > 1 ? `Face ${k + 1}` : "");
  });
}

function element(name, attributes = {}, ...children) {
  const made = attributes.svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (key !== "svg") made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function newCard(face) {
  const bars = Object.keys(face.probabilities).map((name) =>
    element("li", {}, element("span", {}, name),
      element("span", { class: "track", "aria-hidden": "true" }, element("span", { class: "fill" })), element("span")));
  const icon = element("svg", { svg: true, "aria-hidden": "true" }, element("use", { svg: true }));
  return element("article", { class: "face" },
    element("h3", {}, icon, element("span"), element("small")), element("ul", { "aria-label": "Probabilities" }, ...bars));
}

const symbol = (emotion) => `#face-${emotion in COLOURS && emotion !== "rest" ? emotion : "neutral"}`;

function fillCard(card, face, number) {
  const [icon, name, small] = card.querySelector("h3").children;
  icon.firstChild.setAttribute("href", symbol(face.emotion));
  name.textContent = `${face.emotion} ${percent(face.probability)}`;
  small.textContent = number;
  [...card.querySelectorAll("li")].forEach((row, k) => {
    const [emotion, p] = Object.entries(face.probabilities)[k];
    row.classList.toggle("top", emotion === face.emotion);
    row.querySelector(".fill").style.width = `${100 * p}%`;
    row.lastChild.textContent = percent(p);
  });
}

function drawOverlay() {
  const target = [picture, video].find((each) => !each.hidden);
  overlay.toggleAttribute("hidden", !shown || !target); // an SVG element has no .hidden
  if (!shown || !target) return overlay.replaceChildren();
  const { width, height, faces, mirrored } = shown;
  overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const place = { left: target.offsetLeft, top: target.offsetTop, width: target.offsetWidth, height: target.offsetHeight };
  for (const [side, pixels] of Object.entries(place)) overlay.style[side] = `${pixels}px`;
  const unit = width / Math.max(1, target.offsetWidth); // one pixel of the screen, in those of the picture
  overlay.replaceChildren(...faces.flatMap((face, k) => boxOf(face, k, unit, width, height, mirrored, faces.length > 1)));
}

function boxOf(face, k, unit, width, height, mirrored, numbered) {
  let [x, y, w, h] = face.box;
  if (mirrored) x = width - x - w;
  const svg = true;
  if ($("emoji").checked) {
    return [element("use", { svg, href: symbol(face.emotion), x, y, width: w, height: h })];
  }
  const rect = { svg, x, y, width: w, height: h, rx: 4 * unit };
  const size = 15 * unit;
  const words = `${numbered ? `${k + 1} ` : ""}${face.emotion}`;
  const text = element("text", { svg, "font-size": size }, words);
  overlay.append(text); // its width is known only in the page
  const wide = text.getComputedTextLength() + size * 0.8;
  const left = Math.max(0, Math.min(x, width - wide));
  const top = y >= size * 1.6 ? y - size * 1.6 : Math.min(y + 2 * unit, height - size * 1.6);
  text.setAttribute("x", left + size * 0.4);
  text.setAttribute("y", top + size * 1.12);
  return [
    element("rect", { ...rect, class: "under", "stroke-width": 6 * unit }),
    element("rect", { ...rect, class: "edge", "stroke-width": 3 * unit, stroke: COLOURS[face.emotion] ?? COLOURS.neutral }),
    element("rect", { svg, class: "plate", x: left, y: top, width: wide, height: size * 1.5, rx: 3 * unit }),
    text,
  ];
}

// --- what the visitor does -----------------------------------------------------------------------------------

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) usePicture(file);
});
$("camera").addEventListener("click", () => {
  if (!stream) return startCamera();
  turn++;
  stopCamera();
  clear();
  say("The camera is off.");
});
$("emoji").addEventListener("change", drawOverlay);
new ResizeObserver(drawOverlay).observe(stage);
video.addEventListener("resize", () => {
  if (video.videoWidth) fit(video, video.videoWidth, video.videoHeight);
  drawOverlay();
});
window.addEventListener("pagehide", stopCamera);

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault(); // or the browser would leave the page for the file
    stage.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => event.relatedTarget ?? stage.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const files = [...event.dataTransfer.files];
  const file = files.find((each) => each.type.startsWith("image/")) ?? files[0];
  if (file) usePicture(file);
});

fetch("healthz").then((answer) => answer.json()).then((health) => {
  $("model").textContent = `Model: ${health.model}. It knows ${health.classes.join(", ")}.`;
}).catch(() => {});
