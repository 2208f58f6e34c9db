// The page's half of ferlib.live.widgets.camera: the browser's camera, what the kernel answers, and the controls.
// One Camera for each cell; a cell may be shown in several views, and films only while at least one is.
// With another source than the browser's camera the kernel sends its pictures with the answers.

const UNANSWERED = 2; // frames that may be on their way; more would only grow old in a queue
const PATIENCE = 20; // seconds without any answer after which the camera is switched off
const SECONDS = 15; // of the timeline
const WIDTH = 640, HEIGHT = 480;

class Camera {
  constructor(model, signal) {
    this.model = model;
    this.views = new Set();
    this.client = Math.random().toString(36).slice(2); // another page may show the same cell
    this.canvas = document.createElement("canvas");
    this.state = "off"; // off, asking, on
    this.clear();
    this.follow();
    model.on("msg:custom", (content, buffers) => this.received(content, buffers ?? []));
    model.on("change:status", () => this.follow());
    model.on("change:source", () => this.stop());
    signal.addEventListener("abort", () => this.stop()); // the cell was run again, or the widget closed
  }

  clear() {
    this.sent = new Map(); // number of a frame -> when it was taken
    this.answered = []; // when the last answers came
    this.latency = null;
    this.faces = [];
    this.history = []; // [time, probabilities of the largest face or null]
    this.error = "";
    this.picture = null; // of a source at the kernel
    this.confirmed = false; // whether the kernel has said that it is running
  }

  get atBrowser() {
    return this.model.get("source") === "browser";
  }

  // The kernel says whether it is running: it may be started and stopped there, too.
  follow() {
    const { running, text, error } = this.model.get("status");
    if (this.atBrowser) {
      if (running) this.confirmed = true;
      else if (this.confirmed && this.state === "on") this.stop(text, error);
    } else if (running) {
      if (this.state === "off") this.clear();
      this.show({ state: "on", text, bad: error });
    } else if (text) {
      this.faces = [];
      this.picture = null;
      this.show({ state: "off", text, bad: error });
    }
  }

  async start() {
    if (this.state !== "off") return;
    if (!this.atBrowser) {
      this.tell({ kind: "start", source: this.model.get("source") });
      return;
    }
    this.clear();
    this.run = (this.run ?? 0) + 1;
    const run = this.run;
    this.show({ state: "asking", text: "The browser asks whether this page may use the camera …" });
    let stream;
    try {
      if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "InsecurePage");
      stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: WIDTH }, height: { ideal: HEIGHT }, facingMode: "user" }, audio: false,
      });
    } catch (error) {
      if (run === this.run) this.show({ state: "off", text: whatFailed(error), bad: true });
      return;
    }
    if (run !== this.run || !this.views.size) { // stopped, run again or closed while the browser asked
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    this.stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () =>
      this.stop("The camera went away: unplugged, or its permission was taken back.", true));
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: stream });
    this.heard = performance.now();
    this.tell({ kind: "start", source: this.model.get("source") });
    this.show({ state: "on", text: "The camera is on; waiting for the first answer …" });
    this.timer = setInterval(() => this.watch(), 1000);
    try { await this.video.play(); } catch { /* stopped again at once */ }
    this.next(run);
  }

  stop(text = "The camera is off.", bad = false) {
    if (this.state === "off") return;
    this.run = (this.run ?? 0) + 1; // what is under way belongs to an earlier run
    clearInterval(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.video) this.video.srcObject = null;
    this.stream = this.video = this.picture = null;
    this.faces = [];
    this.tell({ kind: "stop" });
    this.show({ state: "off", text, bad });
  }

  tell(content, buffers) {
    try {
      this.model.send(content, undefined, buffers);
    } catch (error) { // the connection is gone; the watch says so
      console.warn("ferlib camera:", error);
    }
  }

  // Take each new picture of the camera that there is room for. A hidden page sends nothing.
  next(run) {
    if (run !== this.run || this.state !== "on") return;
    const go = () => { this.take(run).finally(() => this.next(run)); };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(go);
    else requestAnimationFrame(go);
  }

  async take(run) {
    if (run !== this.run || this.sent.size >= UNANSWERED || !this.video?.videoWidth || document.hidden) return;
    const taken = performance.now();
    const scale = Math.min(1, WIDTH / this.video.videoWidth);
    this.canvas.width = Math.round(this.video.videoWidth * scale);
    this.canvas.height = Math.round(this.video.videoHeight * scale);
    this.brush ??= this.canvas.getContext("2d", { willReadFrequently: true }); // else each JPEG waits for the GPU
    this.brush.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.count = (this.count ?? 0) + 1;
    const number = `${this.client}:${this.count}`;
    this.sent.set(number, taken);
    const blob = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", 0.8));
    const bytes = await blob?.arrayBuffer();
    if (!bytes || run !== this.run) { this.sent.delete(number); return; }
    this.tell({ kind: "frame", id: number }, [bytes]);
  }

  async received(content, buffers) {
    if (content.kind === "notice") this.views.forEach((view) => view.notice(content.text, content.error));
    if (content.kind !== "answer") return;
    let taken = performance.now();
    if (this.atBrowser) {
      taken = this.sent.get(content.id);
      if (taken === undefined) return;
      this.sent.delete(content.id);
    } else if (buffers.length) {
      const picture = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
      this.picture?.close();
      this.picture = this.state === "on" ? picture : null;
    }
    if (this.state !== "on") return;
    const now = this.heard = performance.now();
    if (content.dropped) return;
    this.answered = [...this.answered.filter((time) => now - time < 2000), now];
    this.latency = this.latency === null ? now - taken : 0.9 * this.latency + 0.1 * (now - taken);
    this.error = content.error ?? "";
    if (!content.error) {
      this.size = content.size;
      this.faces = content.faces;
      this.history = this.history.filter(([time]) => now - time < 1000 * SECONDS);
      this.history.push([now, content.faces[0]?.probabilities ?? null]);
    }
    const span = (now - this.answered[0]) / 1000;
    this.fps = span > 0.3 ? (this.answered.length - 1) / span : null;
    this.views.forEach((view) => view.answer());
  }

  watch() {
    const silent = (performance.now() - this.heard) / 1000;
    if (this.sent.size < UNANSWERED || silent < 3) return;
    if (silent > PATIENCE) {
      this.stop(`The kernel has not answered for ${PATIENCE} seconds: the camera is off. Was it restarted? Then run ` +
        "the cell again. Is a long cell running? Then wait for it, and press start.", true);
    } else {
      this.show({ text: `Waiting for the kernel since ${silent.toFixed(0)} seconds; is a cell running?`, bad: true });
    }
  }

  show(change) {
    Object.assign(this, { bad: false }, change);
    this.views.forEach((view) => view.update());
  }
}

function whatFailed(error) {
  switch (error.name) {
    case "InsecurePage":
      return `Browsers give a camera to secure pages only, and this one came from ${location.origin}. Open it by ` +
        "https, or through a tunnel: “ssh -L 8888:localhost:8888 the-server”, then http://localhost:8888.";
    case "NotAllowedError":
    case "SecurityError":
      return "The browser did not allow the camera. Allow it for this page (the camera sign beside the page’s " +
        "address, or the browser’s settings), then press start again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "The browser finds no camera on this computer. Plug one in and press start again; the source " +
        "“drawn film” needs none.";
    case "NotReadableError":
    case "AbortError":
      return "The camera does not open; another programme may be using it. Close that one and press start again.";
    default:
      return `The camera does not start (${error.name}: ${error.message}).`;
  }
}

function element(tag, settings = {}, ...children) {
  const { dataset, attributes, ...properties } = settings;
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, dataset);
  Object.entries(attributes ?? {}).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}

class View {
  constructor(model, camera, el) {
    this.model = model;
    this.camera = camera;
    this.names = model.get("class_names");
    this.colours = model.get("colours");
    this.emoji = {};
    for (const [name, data] of Object.entries(model.get("emoji_pictures"))) {
      this.emoji[name] = element("img", { src: URL.createObjectURL(new Blob([data], { type: "image/png" })) });
    }
    // JupyterLab's own keys (d d, a, b …) must not act on the notebook while somebody uses these controls
    this.root = element("div", { className: "ferlib-camera", attributes: { "data-lm-suppress-shortcuts": "true" } },
      this.header(), element("div", { className: "fc-body" }, this.stage(), this.panel()), this.keeping());
    el.append(this.root);
    camera.views.add(this);
    this.update();
    this.counts();
  }

  remove() {
    this.camera.views.delete(this);
    if (!this.camera.views.size) this.camera.stop(); // nobody sees it: it must not film
    Object.values(this.emoji).forEach((img) => URL.revokeObjectURL(img.src));
  }

  header() {
    const toggle = (name, text) => {
      const box = element("input", { type: "checkbox", checked: this.model.get(name) });
      box.addEventListener("change", () => this.set(name, box.checked));
      this.model.on(`change:${name}`, () => { box.checked = this.model.get(name); });
      return element("label", { className: "fc-switch" }, box, text);
    };
    const choice = (name, text, choices, words = {}) => {
      const list = element("select", {}, ...choices.map((value) =>
        element("option", { value, textContent: words[value] ?? value })));
      list.value = this.model.get(name);
      list.addEventListener("change", () => this.set(name, list.value));
      this.model.on(`change:${name}`, () => { list.value = this.model.get(name); });
      return element("label", { className: "fc-switch" }, text, list);
    };
    this.button = element("button", { className: "fc-start", type: "button" });
    this.button.addEventListener("click", () =>
      this.camera.state === "off" ? this.camera.start() : this.camera.stop());
    const controls = [this.button, this.sources(), toggle("smoothing", "smoothing")];
    if (Object.keys(this.emoji).length) controls.push(toggle("emoji", "emoji"));
    controls.push(
      choice("tta", "test-time augmentation", this.model.get("tta_choices"),
        { none: "none", flip: "face and mirror image", three: "three views", ten: "ten views" }),
      choice("detector", "detector", this.model.get("detectors"), { yunet: "YuNet", haar: "Haar" }));
    return element("div", { className: "fc-header" }, ...controls);
  }

  // The list of sources; "video file" opens a field for its path.
  sources() {
    const words = { browser: "this browser’s camera", film: "drawn film", 0: "the kernel’s camera 0",
      1: "the kernel’s camera 1", file: "video file" };
    const list = element("select", {}, ...["browser", "film", "0", "1", "file"].map((value) =>
      element("option", { value, textContent: words[value] })));
    const path = element("input", { type: "text", placeholder: "path of a video file" });
    path.setAttribute("aria-label", "path of a video file");
    const showSource = () => {
      const source = this.model.get("source");
      const known = ["browser", "film", "0", "1"].includes(source);
      list.value = known ? source : "file";
      path.hidden = known;
      if (!known) path.value = source;
    };
    list.addEventListener("change", () => {
      path.hidden = list.value !== "file";
      if (path.hidden) this.set("source", list.value);
      else if (path.value) this.set("source", path.value.trim());
      else path.focus();
    });
    path.addEventListener("change", () => { if (path.value.trim()) this.set("source", path.value.trim()); });
    this.model.on("change:source", () => { showSource(); this.update(); });
    showSource();
    return element("span", { className: "fc-switch" },
      element("label", { className: "fc-switch" }, "source", list), path);
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  stage() {
    this.video = element("video", { muted: true, playsInline: true, autoplay: true });
    this.overlay = element("canvas", { width: WIDTH, height: HEIGHT });
    this.off = element("div", { className: "fc-off", textContent: "no picture" });
    this.status = element("div", { className: "fc-status", attributes: { role: "status" } });
    return element("div", { className: "fc-stage" },
      element("div", { className: "fc-picture" }, this.video, this.overlay, this.off), this.status);
  }

  panel() {
    this.rows = this.names.map((name) => {
      const bar = element("div", { className: "fc-bar" });
      const percent = element("span", { className: "fc-percent" });
      const line = element("canvas", { className: "fc-line", width: 340, height: 48 });
      bar.style.background = this.colours[name][0];
      const row = element("div", { className: "fc-row", dataset: { emotion: name } },
        element("span", { className: "fc-name", textContent: name }),
        element("div", { className: "fc-track" }, bar), percent, line);
      return { bar, percent, line, row };
    });
    return element("div", { className: "fc-panel" },
      element("div", { className: "fc-row fc-head" }, element("span", { textContent: "" }),
        element("span", { textContent: "largest face" }), element("span", {}),
        element("span", { textContent: `the last ${SECONDS} seconds →` })),
      ...this.rows.map(({ row }) => row));
  }

  keeping() {
    this.which = element("select", {}, ...this.names.map((name) => element("option", { value: name, textContent: name })));
    this.agree = element("input", { type: "checkbox" });
    this.save = element("button", { type: "button", textContent: "save this face", disabled: true });
    this.agree.addEventListener("change", () => this.update());
    this.save.addEventListener("click", () =>
      this.camera.tell({ kind: "save", emotion: this.which.value, consent: this.agree.checked }));
    this.saved = element("span", { className: "fc-counts" });
    this.remove_all = element("button", { type: "button", textContent: "delete all saved faces …" });
    this.yes = element("button", { type: "button", className: "fc-danger", textContent: "yes, delete" });
    const no = element("button", { type: "button", textContent: "keep them" });
    this.sure = element("span", { className: "fc-sure", hidden: true },
      "Delete them all, and the model taught on them? ", this.yes, " ", no);
    this.remove_all.addEventListener("click", () => { this.sure.hidden = false; this.yes.focus(); });
    no.addEventListener("click", () => { this.sure.hidden = true; });
    this.yes.addEventListener("click", () => {
      this.sure.hidden = true;
      this.camera.tell({ kind: "delete", sure: true });
    });
    this.word = element("div", { className: "fc-notice", attributes: { role: "status" } });
    this.model.on("change:saved", () => this.counts());
    return element("details", { className: "fc-keeping" },
      element("summary", { textContent: "save faces of your own" }),
      element("p", {}, "Saving keeps the cut-out of the largest face as a picture on the computer where the kernel " +
        "runs, in ", element("code", { textContent: this.model.get("faces_folder") }), ", until you delete it. Nothing else is kept."),
      element("p", {}, element("label", { className: "fc-switch" }, this.agree,
        "The person in the picture is me, or has seen this text and agrees.")),
      element("p", { className: "fc-line-of" },
        element("label", { className: "fc-switch" }, "the expression shown:", this.which), this.save),
      element("p", { className: "fc-line-of" }, this.saved, this.remove_all, this.sure),
      this.word);
  }

  counts() {
    const saved = this.model.get("saved");
    const some = this.names.filter((name) => saved[name]);
    this.saved.textContent = some.length ? `saved: ${some.map((name) => `${name} ${saved[name]}`).join(" · ")}`
      : "no face is saved";
    this.remove_all.hidden = !some.length;
    if (!some.length) this.sure.hidden = true;
  }

  notice(text, bad) {
    this.word.textContent = text;
    this.word.classList.toggle("fc-bad", Boolean(bad));
  }

  update() {
    const { state, bad, text, stream, atBrowser } = this.camera;
    const on = state === "on";
    this.button.textContent = state === "off" ? (atBrowser ? "▶ start the camera" : "▶ start") : "■ stop";
    this.root.dataset.state = state;
    this.off.hidden = on;
    if (on && atBrowser && this.video.srcObject !== stream) this.video.srcObject = stream;
    if (!on) {
      this.video.srcObject = null;
      this.agree.checked = false; // consent is for one time before the camera
      this.draw();
    }
    this.agree.disabled = !on;
    this.save.disabled = !on || !this.agree.checked;
    this.status.textContent = text ?? "Nothing is filmed before you press start.";
    this.status.classList.toggle("fc-bad", Boolean(bad));
  }

  answer() {
    const { error, faces, fps, latency, sent } = this.camera;
    const seen = faces.length ? `${faces.length} face${faces.length > 1 ? "s" : ""}` : "no face found";
    const delay = this.camera.atBrowser && latency != null ? `${latency.toFixed(0)} ms to the answer · ` : "";
    const pace = fps == null ? "" : `${fps.toFixed(0)} frames per second · ${delay}`;
    this.status.textContent = error ? `In the kernel: ${error}` : pace + seen;
    this.status.classList.toggle("fc-bad", Boolean(error));
    Object.assign(this.root.dataset, { fps: fps ?? "", latency: latency ?? "", unanswered: sent.size });
    this.draw();
  }

  best(face) {
    return face.probabilities.indexOf(Math.max(...face.probabilities));
  }

  draw() {
    const { faces, size, state } = this.camera;
    const on = state === "on";
    const brush = this.overlay.getContext("2d");
    if (size && (this.overlay.width !== size[0] || this.overlay.height !== size[1])) {
      [this.overlay.width, this.overlay.height] = size;
    }
    brush.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (on && this.camera.picture) brush.drawImage(this.camera.picture, 0, 0, this.overlay.width, this.overlay.height);
    if (on) faces.forEach((face) => this.box(brush, face));
    this.root.dataset.emotion = on && faces.length ? this.names[this.best(faces[0])] : "";
    const now = performance.now();
    this.rows.forEach(({ bar, percent, line, row }, k) => {
      const p = on && faces.length ? faces[0].probabilities[k] : 0;
      bar.style.width = `${100 * p}%`;
      percent.textContent = on && faces.length ? `${Math.round(100 * p)} %` : "";
      row.classList.toggle("fc-best", this.root.dataset.emotion === this.names[k]);
      this.line(line, k, now);
    });
  }

  box(brush, face) {
    const { width, height } = this.overlay;
    const [x, y, w, h] = face.box;
    const left = this.camera.atBrowser ? width - x - w : x; // that picture is shown as in a mirror; letters are not
    const name = this.names[this.best(face)];
    const [colour, ink] = this.colours[name];
    if (this.model.get("emoji") && this.emoji[name]) { // as ferlib.emoji lays it over a picture
      const side = 1.1 * Math.max(w, h);
      brush.drawImage(this.emoji[name], left + (w - side) / 2, y + (h - side) / 2, side, side);
    }
    brush.lineWidth = width / 128;
    brush.strokeStyle = "rgb(20, 20, 20)"; // a dark edge keeps the box seen on any background
    brush.strokeRect(left, y, w, h);
    brush.lineWidth = width / 213;
    brush.strokeStyle = colour;
    brush.strokeRect(left, y, w, h);
    const letters = Math.round(Math.max(14, height * 0.042));
    brush.font = `600 ${letters}px system-ui, sans-serif`;
    const text = `${name} ${Math.round(100 * Math.max(...face.probabilities))} %`;
    const wide = brush.measureText(text).width + letters, high = 1.5 * letters;
    const top = y >= high ? y - high : Math.min(y + h, height - high);
    const at = Math.max(0, Math.min(left, width - wide));
    brush.fillStyle = colour;
    brush.fillRect(at, top, wide, high);
    brush.fillStyle = ink;
    brush.textBaseline = "middle";
    brush.fillText(text, at + letters / 2, top + high / 2);
  }

  line(canvas, k, now) {
    const brush = canvas.getContext("2d");
    const { width, height } = canvas;
    const x = (time) => width * (1 - (now - time) / (1000 * SECONDS));
    const y = (p) => height - 2 - (height - 6) * p;
    brush.clearRect(0, 0, width, height);
    if (this.camera.state !== "on") return;
    brush.fillStyle = this.colours[this.names[k]][0];
    brush.strokeStyle = this.ink ??= getComputedStyle(this.root).color;
    brush.lineWidth = 1.5;
    let part = [];
    const finish = () => { // an area with a line on it; a moment without a face leaves a gap
      if (part.length > 1) {
        brush.beginPath();
        brush.moveTo(part[0][0], height);
        part.forEach(([at, high]) => brush.lineTo(at, high));
        brush.lineTo(part[part.length - 1][0], height);
        brush.fill();
        brush.beginPath();
        part.forEach(([at, high]) => brush.lineTo(at, high));
        brush.stroke();
      }
      part = [];
    };
    for (const [time, row] of this.camera.history) {
      if (row) part.push([x(time), y(row[k])]);
      else finish();
    }
    finish();
  }
}

export default () => {
  let camera;
  return {
    initialize({ model, signal }) {
      camera = new Camera(model, signal);
    },
    render({ model, el }) {
      const view = new View(model, camera, el);
      // a restarted kernel no longer knows the cell: JupyterLab marks it as disconnected
      model.on("comm_live_update", () => setTimeout(() => {
        const dead = Boolean(el.closest(".jupyter-widgets-disconnected"));
        view.root.classList.toggle("fc-dead", dead);
        if (!dead) return;
        camera.stop();
        camera.show({ text: "The kernel was restarted or has ended: run the cell again.", bad: true });
      }));
      return () => view.remove();
    },
  };
};
