/* The page: a picture or camera frames go to `source`, which reads them on this device (device.js) or asks the page's
   server (server.js); boxes and bars come back. Nothing is kept. */
"use strict";

const CAMERA_WIDTH = 640;
const SHOWN = 1600; // the longer side of a picture as it is shown
const SPEAK_EVERY = 2500; // ms between two announcements while the camera runs
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const stage = $("stage"), picture = $("picture"), video = $("video"), overlay = $("overlay");
const { classNames, colours } = JSON.parse(document.body.dataset.model);

let turn = 0; // rises with each new picture or camera start: answers to older ones are not shown
let stream = null;
let shown = null; // what the overlay shows: {faces, width, height, mirrored}
let spokenAt = -Infinity; // when the camera's result was last announced

// --- reading -------------------------------------------------------------------------------------------------

/** Read a picture or a video's frame; its pixels are taken before this returns. */
async function read(picture, width, height, ofCamera = false) {
  const { faces, ...others } = await source.read(picture, width, height, ofCamera);
  return {
    width, height, ...others,
    faces: faces.map(({ box, score, probabilities }) => {
      const best = probabilities.indexOf(Math.max(...probabilities));
      return { box, score, probabilities, emotion: classNames[best], probability: probabilities[best] };
    }),
  };
}

// A copy of a picture or a video's frame, at most `longest` pixels wide and high, white where it is transparent.
function drawn(picture, width, height, longest = Infinity, canvas = document.createElement("canvas")) {
  const scale = Math.min(1, longest / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "#fff";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function open(file) { // turned as its EXIF says, its colours as they are stored
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  try {
    return await createImageBitmap(file, options).catch(() => createImageBitmap(file));
  } catch {
    throw new Error(`Your browser cannot open “${file.name}” as a picture. JPEG, PNG and WebP work everywhere.`);
  }
}

// --- words ---------------------------------------------------------------------------------------------------

function announce(words, bad = false) {
  const status = $("status");
  status.classList.toggle("bad", bad);
  if (status.textContent !== words) status.textContent = words;
}

const percent = (p) => `${Math.round(100 * p)}\u00a0%`;

function summary({ faces, left_out: more }) {
  if (!faces.length) return "No face found. A face works best from the front, in even light.";
  const named = faces.slice(0, 4).map((face) => `${face.emotion}, ${percent(face.probability)}`).join("; ");
  const count = faces.length === 1 ? "One face" : `${faces.length} faces`;
  return `${count}: ${named}${faces.length > 4 ? " …" : "."}${more ? ` ${more} more were not read.` : ""}`;
}

// --- a picture -----------------------------------------------------------------------------------------------

async function usePicture(file) {
  stopCamera();
  const mine = ++turn;
  clear();
  announce("Reading …");
  $("busy").hidden = false;
  try {
    const bitmap = await open(file);
    const { width, height } = bitmap;
    if (mine !== turn) return bitmap.close();
    const reading = read(bitmap, width, height);
    drawn(bitmap, width, height, SHOWN, picture);
    bitmap.close();
    fit(picture, width, height);
    show(picture);
    const answer = await reading;
    if (mine !== turn) return;
    present(answer, false);
    announce(summary(answer));
    picture.setAttribute("aria-label", `Your picture. ${summary(answer)}`);
  } catch (error) {
    if (mine === turn) announce(error.message, true);
  } finally {
    if (mine === turn) $("busy").hidden = true;
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
      : "Browsers give the camera only to secure pages: https, a server on this same computer, or a file.";
    return announce(`${why} You can choose a picture; a phone then offers to take one.`, true);
  }
  announce("Waiting for the camera …");
  try {
    const wanted = { width: { ideal: CAMERA_WIDTH }, height: { ideal: 480 }, facingMode: "user" };
    const got = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (mine !== turn) return got.getTracks().forEach((track) => track.stop());
    stream = got;
  } catch (error) {
    if (mine === turn) announce(CAMERA_WORDS[error.name] ?? `The camera does not start (${error.name}).`, true);
    return;
  }
  const track = stream.getVideoTracks()[0];
  track.addEventListener("ended", () => {
    if (mine !== turn) return;
    stopCamera();
    announce("The camera has stopped.", true);
  });
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
      const answer = await read(video, video.videoWidth, video.videoHeight, true);
      if (mine !== turn) return;
      present(answer, mirrored);
      speak(answer);
      await pause(10);
    } catch (error) {
      if (mine !== turn) return;
      if (!error.busy) announce(error.message, true);
      await pause(1000);
    }
  }
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// A screen reader should not speak ten times a second; the eye has the bars.
function speak(answer) {
  announce(answer.faces.length ? "The camera is on." : summary(answer));
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
  $("busy").hidden = true;
  drawOverlay();
  $("faces").replaceChildren();
  show(null);
}

function present(answer, mirrored) {
  shown = { ...answer, mirrored };
  drawOverlay();
  const list = $("faces");
  while (list.children.length > answer.faces.length) list.lastChild.remove();
  while (list.children.length < answer.faces.length) list.append(newCard());
  answer.faces.forEach((face, k) => fillCard(list.children[k], face, answer.faces.length > 1 ? `Face ${k + 1}` : ""));
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function newCard() {
  const bars = classNames.map((name, k) => {
    const fill = element("span", { class: "fill" });
    fill.style.background = colours[k];
    return element("li", {}, element("span", {}, name), element("span", { class: "track", "aria-hidden": "true" }, fill), element("span"));
  });
  const icon = shape("svg", { viewBox: "0 0 64 64", "aria-hidden": "true" });
  return element("article", { class: "face" },
    element("h3", {}, icon, element("span"), element("small")), element("ul", { "aria-label": "Probabilities" }, ...bars));
}

// The emoji of a class; the first letter of its name on its colour where there is no emoji for it.
function emojiOf(name, x, y, side, height = side) {
  const symbol = `face-${name.split("+")[0]}`;
  if ($(symbol)) return shape("use", { href: `#${symbol}`, x, y, width: side, height });
  const colour = colours[classNames.indexOf(name)], [r, g, b] = [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const ink = 0.299 * r + 0.587 * g + 0.114 * b > 128 ? "#141414" : "#fff";
  const size = Math.min(side, height), middle = { cx: x + side / 2, cy: y + height / 2 };
  return shape("g", {},
    shape("circle", { ...middle, r: size * 0.47, fill: colour, stroke: ink, "stroke-width": size / 32 }),
    shape("text", { class: "initial", x: middle.cx, y: middle.cy, fill: ink, "font-size": size * 0.5 }, [...name][0].toUpperCase()));
}

function fillCard(card, face, number) {
  const [icon, name, small] = card.querySelector("h3").children;
  if (card.dataset.emotion !== face.emotion) icon.replaceChildren(emojiOf(face.emotion, 0, 0, 64));
  card.dataset.emotion = face.emotion;
  name.textContent = `${face.emotion} ${percent(face.probability)}`;
  small.textContent = number;
  [...card.querySelectorAll("li")].forEach((row, k) => {
    row.classList.toggle("top", classNames[k] === face.emotion);
    row.querySelector(".fill").style.width = `${100 * face.probabilities[k]}%`;
    row.lastChild.textContent = percent(face.probabilities[k]);
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
  if ($("emoji").checked) return [emojiOf(face.emotion, x, y, w, h)];
  const rect = { x, y, width: w, height: h, rx: 4 * unit };
  const size = 15 * unit;
  const text = shape("text", { class: "name", "font-size": size }, `${numbered ? `${k + 1} ` : ""}${face.emotion}`);
  overlay.append(text); // its width is known only in the page
  const wide = text.getComputedTextLength() + size * 0.8;
  const left = Math.max(0, Math.min(x, width - wide));
  const top = y >= size * 1.6 ? y - size * 1.6 : Math.min(y + 2 * unit, height - size * 1.6);
  text.setAttribute("x", left + size * 0.4);
  text.setAttribute("y", top + size * 1.12);
  return [
    shape("rect", { ...rect, class: "under", "stroke-width": 6 * unit }),
    shape("rect", { ...rect, class: "edge", "stroke-width": 3 * unit, stroke: colours[classNames.indexOf(face.emotion)] }),
    shape("rect", { class: "plate", x: left, y: top, width: wide, height: size * 1.5, rx: 3 * unit }),
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
  announce("The camera is off.");
});
$("sample").addEventListener("click", () => source.sample().then(
  (data) => usePicture(new File([data], "drawn faces", { type: "image/jpeg" })),
  (error) => announce(error.message, true),
));
$("emoji").addEventListener("change", drawOverlay);
new ResizeObserver(drawOverlay).observe(stage);
video.addEventListener("resize", () => {
  if (video.videoWidth) fit(video, video.videoWidth, video.videoHeight);
  drawOverlay();
});
window.addEventListener("pagehide", stopCamera);

function firstPicture(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((each) => each.type.startsWith("image/")) ?? files[0];
}

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
  const file = firstPicture(event.dataTransfer);
  if (file) usePicture(file);
  else announce("That was no picture file. Drop a file from this computer.", true);
});
document.addEventListener("paste", (event) => {
  const file = firstPicture(event.clipboardData);
  if (file) usePicture(file);
  else announce("There is no picture in the clipboard.", true);
});

source.ready.then(
  () => turn || announce("Ready. No picture yet."),
  (error) => announce(error.message, true),
);
