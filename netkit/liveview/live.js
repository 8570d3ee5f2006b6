// The live picture of a lab's network: plain SVG made of data. Whatever comes from the lab is set as text or as a
// known attribute, never as markup, so that no name of a container can become part of the page.

const SVG = "http://www.w3.org/2000/svg";
const PLACES = {
  rect: ["x", "y", "width", "height", "rx"],
  circle: ["cx", "cy", "r"],
  text: ["x", "y"],
  polyline: null,
  polygon: null,
};
const MOVE = 380; // ms for a thing to come, go or move
const FRESH = 2400; // ms for which what is new has a halo
const NEWS = 40; // changes that are kept below the picture
const NEAR = 5; // points from a wire at which it is meant
const PIXELS = 4 / 3; // per point

// ---- small helpers ----

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function makeSvg(tag, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches || document.visibilityState !== "visible";

function isDark() {
  const { body } = document;
  return body.dataset.jpThemeLight === "false" || body.classList.contains("vscode-dark") || body.classList.contains("vscode-high-contrast");
}

// A colour for a dark ground: the same hue, as far from black as it was from white.
function turn(colour) {
  if (!/^#[0-9a-f]{6}$/.test(colour)) return "none";
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const most = Math.max(r, g, b);
  const least = Math.min(r, g, b);
  const light = (most + least) / 2;
  const spread = most - least;
  let hue = 0;
  if (spread) hue = most === r ? ((g - b) / spread + 6) % 6 : most === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  const strength = spread && spread / (1 - Math.abs(2 * light - 1));
  const turned = 9 + (1 - light) * 83;
  const seen = spread > 0.1 && light < 0.7 ? Math.max(turned, 62) : turned; // lines in colour are to stand out
  return `hsl(${Math.round(hue * 60)} ${Math.round(Math.min(strength, 0.8) * 100)}% ${Math.round(seen)}%)`;
}

function paint(colour, dark) {
  if (colour === "none") return "none";
  return dark ? turn(colour) : /^#[0-9a-f]{6}$/.test(colour) ? colour : "none";
}

// ---- one shape ----

function place(node, tag, at) {
  const names = PLACES[tag];
  if (names) names.forEach((name, number) => node.setAttribute(name, at[number] ?? 0));
  else node.setAttribute("points", at.join(" "));
}

function dress(node, element, dark) {
  const set = (name, value) => node.getAttribute(name) === String(value) || node.setAttribute(name, value);
  set("fill", paint(element.fill, dark));
  if (element.tag === "text") {
    if (node.textContent !== element.text) node.textContent = element.text;
    set("font-size", element.size);
    set("text-anchor", element.anchor);
    set("font-weight", element.bold ? "bold" : "normal");
    set("font-family", element.mono ? "'DejaVu Sans Mono', Menlo, Consolas, monospace" : "'DejaVu Sans', Verdana, sans-serif");
    return;
  }
  set("stroke", paint(element.stroke, dark));
  set("stroke-width", element.width);
  if (element.dash.length) set("stroke-dasharray", element.dash.join(" "));
  else node.removeAttribute("stroke-dasharray");
}

function build(element, dark) {
  if (!(element.tag in PLACES)) throw new Error("netkit: this is no shape");
  const node = makeSvg(element.tag);
  place(node, element.tag, element.at);
  dress(node, element, dark);
  return node;
}

// A browser without the font of the layout may have wider letters: they are squeezed into the room there is.
function fit(nodes) {
  const wide = nodes.filter(([node, element]) => element.length && node.getComputedTextLength() > element.length * 1.03);
  for (const [node, element] of wide) {
    node.setAttribute("textLength", element.length);
    node.setAttribute("lengthAdjust", "spacingAndGlyphs");
  }
}

// ---- all shapes: what comes, goes and moves ----

class Canvas {
  constructor(layer) {
    this.layer = layer;
    this.items = new Map();
    this.moving = new Map();
    this.frame = 0;
  }

  // Show these elements; returns what new ones are about.
  draw(elements, dark) {
    const calm = isCalm() || !this.items.size;
    const first = !this.items.size;
    const fresh = new Set();
    const texts = [];
    const wanted = new Map(elements.map((element) => [element.key, element.tag]));
    for (const [key, item] of this.items) if (wanted.get(key) !== item.element.tag) this.drop(key, item, calm);
    let before = this.layer.firstChild;
    for (const element of elements) {
      let item = this.items.get(element.key);
      if (item) {
        this.change(item, element, dark, calm, texts);
      } else {
        item = this.add(element, dark, calm);
        if (element.tag === "text") texts.push([item.node, element]);
        if (!first && element.about) fresh.add(element.about);
      }
      while (before && before.classList.contains("nk-gone")) before = before.nextSibling;
      if (before === item.node) before = before.nextSibling;
      else this.layer.insertBefore(item.node, before);
    }
    fit(texts);
    if (this.moving.size && !this.frame) this.start();
    return fresh;
  }

  add(element, dark, calm) {
    const node = build(element, dark);
    if (element.about) node.dataset.about = element.about;
    if (!calm) node.classList.add("nk-new");
    const item = { node, element, now: element.at };
    this.items.set(element.key, item);
    return item;
  }

  change(item, element, dark, calm, texts) {
    if (element.tag === "text" && element.text !== item.element.text) {
      item.node.removeAttribute("textLength");
      texts.push([item.node, element]);
    }
    dress(item.node, element, dark);
    const same = element.at.length === item.now.length && element.at.every((value, number) => value === item.now[number]);
    item.element = element;
    if (same) {
      this.moving.delete(element.key);
    } else if (calm || element.at.length !== item.now.length) {
      item.now = element.at;
      this.moving.delete(element.key);
      place(item.node, element.tag, element.at);
    } else {
      this.moving.set(element.key, { item, from: item.now, begin: performance.now() });
    }
  }

  drop(key, item, calm) {
    this.items.delete(key);
    this.moving.delete(key);
    if (calm) return item.node.remove();
    item.node.classList.remove("nk-new");
    item.node.classList.add("nk-gone");
    setTimeout(() => item.node.remove(), MOVE);
  }

  start() {
    const step = (time) => {
      for (const [key, { item, from, begin }] of this.moving) {
        const part = Math.min(1, Math.max(0, (time - begin) / MOVE));
        const eased = 1 - (1 - part) ** 3;
        item.now = part === 1 ? item.element.at : from.map((value, number) => value + (item.element.at[number] - value) * eased);
        place(item.node, item.element.tag, item.now);
        if (part === 1) this.moving.delete(key);
      }
      this.frame = this.moving.size ? requestAnimationFrame(step) : 0;
    };
    this.frame = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.frame);
    this.moving.clear();
  }
}

// ---- where things are ----

const extent = (element) => {
  const [x, y, width, height] = element.at;
  if (element.tag === "rect") return [x, y, x + width, y + height];
  if (element.tag === "circle") return [x - width, y - width, x + width, y + width];
  if (element.tag === "text") {
    const begin = x - (element.length ?? 0) * { start: 0, middle: 0.5, end: 1 }[element.anchor];
    return [begin, y - element.size, begin + (element.length ?? 0), y + element.size * 0.3];
  }
  const [xs, ys] = [0, 1].map((odd) => element.at.filter((_, number) => number % 2 === odd));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
};

const join = (boxes) => [0, 1, 2, 3].map((side) => Math[side < 2 ? "min" : "max"](...boxes.map((box) => box[side])));
const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);

// The place of an object: its largest box, or all that is written of it.
function locate(elements) {
  const boxes = elements.filter((element) => element.tag === "rect").map(extent);
  if (boxes.length) return boxes.reduce((best, box) => (area(box) > area(best) ? box : best));
  const small = elements.filter((element) => element.tag !== "polyline");
  return join((small.length ? small : elements).map(extent));
}

function distance([x, y], at) {
  let best = Infinity;
  for (let number = 0; number + 3 < at.length; number += 2) {
    const [ax, ay, bx, by] = at.slice(number, number + 4);
    const [dx, dy] = [bx - ax, by - ay];
    const part = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
    best = Math.min(best, Math.hypot(x - ax - part * dx, y - ay - part * dy));
  }
  return best;
}

function halo(elements, name) {
  const group = makeSvg("g", { class: `nk-halo ${name}` });
  const [left, top, right, bottom] = locate(elements);
  group.append(makeSvg("rect", { x: left - 2.5, y: top - 2.5, width: right - left + 5, height: bottom - top + 5, rx: 5 }));
  for (const element of elements) {
    if (element.tag === "polyline") group.append(makeSvg("polyline", { points: element.at.join(" "), fill: "none" }));
  }
  return group;
}

// ---- the card with an object's facts ----

class Card {
  constructor() {
    this.node = make("div", { class: "nk-card", role: "region", "aria-label": "Facts", hidden: "" });
  }

  show(fact, pinned) {
    const title = make("div", { class: "nk-title" });
    title.textContent = fact.title;
    const kind = make("div", { class: "nk-kind" });
    kind.textContent = pinned ? `${fact.kind} · pinned, Escape lets go` : fact.kind;
    const list = make("dl");
    for (const [label, words] of fact.lines) {
      const [term, detail] = [make("dt"), make("dd")];
      term.textContent = label;
      detail.textContent = words;
      list.append(term, detail);
    }
    this.node.replaceChildren(title, kind, list);
    this.node.classList.toggle("nk-pinned", pinned);
    this.node.hidden = false;
  }

  // Beside the picture if there is room, else beside the object; within the stage.
  put(stage, box) {
    const room = stage.getBoundingClientRect();
    const picture = stage.firstChild.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const places = [picture.right, box.right + 10].map((x) => x - room.left);
    let x = places.find((place) => place + width <= room.width) ?? box.left - room.left - width - 10;
    if (x < 0) x = Math.max(0, Math.min(room.width - width, box.left - room.left));
    const y = Math.max(0, Math.min(room.height - height, box.top - room.top));
    this.node.style.left = `${x}px`;
    this.node.style.top = `${y}px`;
  }
}

// ---- the picture: shapes, objects to point at, filters ----

class Board {
  constructor() {
    this.svg = makeSvg("svg", { class: "nk-svg", role: "group" });
    this.shapes = makeSvg("g", { "aria-hidden": "true" });
    this.above = makeSvg("g", { "aria-hidden": "true", class: "nk-above" });
    this.objects = makeSvg("g", { role: "group", "aria-label": "Objects of the network: arrow keys move, Enter pins the facts, Escape lets go" });
    this.svg.append(this.shapes, this.above, this.objects);
    this.card = new Card();
    this.stage = make("div", { class: "nk-stage" }, this.svg, this.card.node);
    this.canvas = new Canvas(this.shapes);
    this.scene = { shapes: [], facts: {}, nodes: [], networks: [], width: 10, height: 10 };
    this.node = this.network = "";
    this.byAbout = new Map();
    this.current = this.hovered = this.pinned = null;
    this.marks = new Map();
    this.fresh = new Map();
    this.listen();
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => this.hover(this.find(event)));
    this.svg.addEventListener("pointerleave", () => this.hover(null));
    this.svg.addEventListener("click", (event) => {
      const about = this.find(event);
      this.pin(about, true);
      this.objectOf(about)?.focus({ preventScroll: true }); // so that Escape is heard here
    });
    this.svg.addEventListener("keydown", (event) => this.press(event));
    this.stage.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.pinned) {
        event.stopPropagation();
        this.pin(null);
      }
    });
    this.objects.addEventListener("focusin", (event) => this.focus(event.target.dataset.about));
    this.objects.addEventListener("focusout", () => this.mark("focus", null) || this.tell());
  }

  show(scene) {
    this.scene = scene;
    this.byAbout = new Map();
    for (const element of scene.shapes) {
      if (!element.about) continue;
      if (!this.byAbout.has(element.about)) this.byAbout.set(element.about, []);
      this.byAbout.get(element.about).push(element);
    }
    const fresh = this.canvas.draw(scene.shapes, isDark());
    this.svg.setAttribute("aria-label", scene.summary);
    this.choose(this.node, this.network);
    this.flash(fresh);
    if (this.pinned && !scene.facts[this.pinned]) this.pin(null);
    if (this.hovered && !scene.facts[this.hovered]) this.hovered = null;
    this.tell();
  }

  repaint() {
    this.canvas.draw(this.scene.shapes, isDark());
  }

  // -- filters --

  choose(node, network) {
    this.node = this.scene.nodes.includes(node) ? node : "";
    this.network = this.scene.networks.includes(network) ? network : "";
    this.svg.setAttribute("viewBox", this.view().join(" "));
    this.svg.style.maxWidth = `${this.view()[2] * PIXELS}px`;
    for (const { node: shape, element } of this.canvas.items.values()) {
      shape.classList.toggle("nk-hidden", this.isHidden(element.about));
      shape.classList.toggle("nk-dim", this.isDim(element));
    }
    this.list();
  }

  view() {
    const frame = this.node && this.byAbout.get(this.node);
    if (!frame) return [0, 0, this.scene.width, this.scene.height];
    const [left, top, right, bottom] = locate(frame);
    return [left - 12, top - 12, right - left + 24, bottom - top + 34].map((value) => Math.round(value * 10) / 10);
  }

  isHidden(about) {
    return Boolean(this.node && about && about !== "lan" && about.split("/", 1)[0] !== this.node && this.scene.nodes.includes(about.split("/", 1)[0]));
  }

  isDim(element) {
    if (!this.network || element.ground || !element.about) return false;
    if (element.network) return element.network !== this.network;
    return !(this.scene.facts[element.about]?.networks ?? []).includes(this.network);
  }

  // -- objects for keyboard and screen reader --

  list() {
    const abouts = Object.keys(this.scene.facts).filter((about) => {
      const elements = this.byAbout.get(about);
      return elements && !this.isHidden(about) && !elements.every((element) => this.isDim(element));
    });
    const known = new Map([...this.objects.children].map((node) => [node.dataset.about, node]));
    if (!abouts.includes(this.current)) this.current = abouts[0] ?? null;
    const had = this.objects.contains(document.activeElement);
    let before = this.objects.firstChild;
    for (const about of abouts) {
      const node = known.get(about) ?? this.makeObject(about);
      known.delete(about);
      this.update(node, about);
      if (node === before) before = before.nextSibling;
      else this.objects.insertBefore(node, before);
    }
    for (const node of known.values()) node.remove();
    if (had && !this.objects.contains(document.activeElement)) this.objectOf(this.current)?.focus();
  }

  makeObject(about) {
    const node = makeSvg("rect", { class: "nk-object", role: "button" });
    node.dataset.about = about;
    return node;
  }

  update(node, about) {
    const fact = this.scene.facts[about];
    const [left, top, right, bottom] = locate(this.byAbout.get(about));
    place(node, "rect", [left, top, Math.max(1, right - left), Math.max(1, bottom - top), 4]);
    const lines = fact.lines.map(([label, words]) => (label ? `${label} ${words}` : words));
    node.setAttribute("aria-label", [`${fact.title}, ${fact.kind}`, ...lines].join("; "));
    node.setAttribute("aria-pressed", about === this.pinned);
    node.setAttribute("tabindex", about === this.current ? 0 : -1);
  }

  objectOf(about) {
    return [...this.objects.children].find((node) => node.dataset.about === about);
  }

  focus(about) {
    const previous = this.objectOf(this.current);
    if (previous) previous.setAttribute("tabindex", -1);
    this.current = about;
    this.objectOf(about)?.setAttribute("tabindex", 0);
    this.mark("focus", about);
    this.tell();
  }

  press(event) {
    const all = [...this.objects.children];
    const at = all.findIndex((node) => node.dataset.about === this.current);
    const goal = {
      ArrowRight: at + 1,
      ArrowDown: at + 1,
      ArrowLeft: at - 1,
      ArrowUp: at - 1,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (goal !== undefined) all[Math.max(0, Math.min(all.length - 1, goal))]?.focus();
    else if (event.key === "Enter" || event.key === " ") this.pin(this.current, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // -- pointing --

  find(event) {
    const about = event.target.dataset?.about;
    const elements = this.byAbout.get(about);
    if (elements && !elements.some((element) => element.ground)) return about;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    let [best, found] = [NEAR, null];
    for (const element of this.scene.shapes) {
      if (element.tag !== "polyline" || !element.about || this.isHidden(element.about)) continue;
      const far = distance([point.x, point.y], element.at);
      if (far < best) [best, found] = [far, element.about];
    }
    return found ?? (this.scene.facts[about] ? about : null);
  }

  hover(about) {
    const known = about && this.scene.facts[about] ? about : null;
    if (known === this.hovered) return;
    this.hovered = known;
    this.mark("hover", known);
    this.tell();
  }

  pin(about, toggle = false) {
    const known = about && this.scene.facts[about] ? about : null;
    this.pinned = toggle && known === this.pinned ? null : known;
    this.mark("pinned", this.pinned);
    for (const node of this.objects.children) node.setAttribute("aria-pressed", node.dataset.about === this.pinned);
    this.tell();
  }

  mark(name, about) {
    this.marks.get(name)?.remove();
    this.marks.delete(name);
    const elements = about && this.byAbout.get(about);
    if (!elements) return;
    this.marks.set(name, halo(elements, `nk-${name}`));
    this.above.append(this.marks.get(name));
  }

  // What has come has a halo for a while, which goes with it when it moves; what came with something bigger has none of its own.
  flash(abouts) {
    const now = performance.now();
    for (const about of abouts) {
      const elements = this.byAbout.get(about);
      const parent = about.slice(0, about.lastIndexOf("/"));
      const inside = abouts.has(parent) || this.fresh.has(parent);
      if (!inside && this.scene.facts[about] && elements.some((element) => element.tag !== "text")) this.fresh.set(about, now);
    }
    for (const node of this.above.querySelectorAll(".nk-fresh")) node.remove();
    for (const [about, begin] of this.fresh) {
      if (now - begin >= FRESH || !this.byAbout.has(about)) this.fresh.delete(about);
      else if (!this.isHidden(about)) this.shine(about, now - begin);
    }
  }

  shine(about, age) {
    const group = halo(this.byAbout.get(about), "nk-fresh");
    group.style.animationDelay = `${-age}ms`;
    this.above.append(group);
    setTimeout(() => group.remove(), FRESH - age);
  }

  // Put the card where it belongs: at what is pointed at, else at what has the focus, else at what is pinned.
  tell() {
    const focused = this.objects.contains(document.activeElement) ? this.current : null;
    const about = this.hovered ?? this.pinned ?? focused;
    for (const name of ["hover", "pinned", "focus"]) {
      const of = { hover: this.hovered, pinned: this.pinned, focus: focused }[name];
      this.mark(name, of);
    }
    if (!about || !this.scene.facts[about]) {
      this.card.node.hidden = true;
      return;
    }
    this.card.show(this.scene.facts[about], about === this.pinned);
    const object = this.objectOf(about);
    if (object) this.card.put(this.stage, object.getBoundingClientRect());
  }

  // -- a file of its own, always on white --

  export(extra = []) {
    const [x, y, width, height] = this.view();
    const file = makeSvg("svg", { xmlns: SVG, viewBox: [x, y, width, height].join(" "), width: `${width}pt`, height: `${height}pt` });
    const title = makeSvg("title");
    title.textContent = this.scene.summary;
    file.append(title, makeSvg("rect", { x, y, width, height, fill: "#ffffff" }));
    for (const element of this.scene.shapes) {
      if (this.isHidden(element.about)) continue;
      const node = build(element, false);
      if (element.length) node.setAttribute("textLength", element.length);
      if (this.isDim(element)) node.setAttribute("opacity", "0.13");
      file.append(node);
    }
    file.append(...extra);
    return { text: new XMLSerializer().serializeToString(file), width: width * PIXELS, height: height * PIXELS };
  }

  stop() {
    this.canvas.stop();
  }
}

function download(blob, name) {
  const link = make("a", { download: name });
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function savePng({ text, width, height }, name) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = make("canvas", { width: Math.round(width * 2), height: Math.round(height * 2) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => download(blob, name), "image/png");
}

function makeButton(text, title, act) {
  const button = make("button", { type: "button", title });
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

// A labelled, native list of choices: "" is for all.
function makeSelect(label, all, act) {
  const select = make("select");
  select.addEventListener("change", act);
  const node = make("label", {}, label, select);
  const fill = (names) => {
    const chosen = select.value;
    const options = ["", ...names].map((name) => {
      const option = make("option", { value: name });
      option.textContent = name || all;
      return option;
    });
    select.replaceChildren(...options);
    select.value = names.includes(chosen) ? chosen : "";
  };
  return { node, select, fill };
}

function makeTools(board, name, extra = () => []) {
  const choose = () => board.choose(nodes.select.value, networks.select.value);
  const nodes = makeSelect("Node ", "all", choose);
  const networks = makeSelect("Network ", "all", choose);
  const svg = makeButton("SVG", "Save the picture as SVG", () => {
    download(new Blob([board.export(extra()).text], { type: "image/svg+xml" }), `${name}.svg`);
  });
  const png = makeButton("PNG", "Save the picture as PNG", () => savePng(board.export(extra()), `${name}.png`));
  const save = make("span", { class: "nk-save", role: "group", "aria-label": "Save" }, "Save ", png, svg);
  const fill = (scene) => {
    nodes.fill(scene.nodes);
    networks.fill(scene.networks);
  };
  return { nodes, networks, save, fill };
}

function prepare(el) {
  el.classList.add("netkit-live");
  el.dataset.lmSuppressShortcuts = "true"; // of the notebook, which would take arrows and Enter for itself
}

function makeText() {
  const words = make("pre", { tabindex: 0 });
  const summary = make("summary");
  summary.textContent = "The network in words";
  return { node: make("details", {}, summary, words), words };
}

function watchTheme(act) {
  const observer = new MutationObserver(act);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  return () => observer.disconnect();
}

// ---- the network as it changes ----

function renderLive(model, el) {
  const board = new Board();
  const tools = makeTools(board, "netkit-live");
  const status = make("span", { class: "nk-status", role: "status" });
  const log = make("ul", { class: "nk-news", role: "log", "aria-live": "polite", "aria-label": "What has changed" });
  const text = makeText();
  let paused = false;
  let waiting = 0;
  let told = model.get("news").number ?? 0;
  const pause = makeButton("Pause", "Stop following; changes are counted", () => {
    paused = !paused;
    waiting = 0;
    pause.setAttribute("aria-pressed", paused);
    if (!paused) draw();
    note();
  });
  pause.setAttribute("aria-pressed", "false");
  const empty = make("li", { class: "nk-empty" });
  empty.textContent = "Nothing has changed yet.";
  log.append(empty);

  const note = () => {
    const ended = model.get("ended");
    pause.textContent = paused ? "Resume" : "Pause";
    status.textContent = ended || (paused ? `paused: ${waiting} change${waiting === 1 ? "" : "s"} waiting` : "following");
    status.classList.toggle("nk-ended", Boolean(ended));
    status.classList.toggle("nk-paused", paused);
    pause.disabled = Boolean(ended);
  };
  const draw = () => {
    const scene = model.get("picture");
    if (paused || !scene.shapes) return;
    board.show(scene);
    tools.fill(scene);
    text.words.textContent = scene.text;
  };
  const hear = () => {
    const news = model.get("news");
    if (!news.lines || news.number === told) return;
    told = news.number;
    if (paused) waiting += news.count;
    empty.remove();
    const items = news.lines.map((line) => {
      const item = make("li");
      item.textContent = line;
      return item;
    });
    log.prepend(...items);
    while (log.children.length > NEWS) log.lastChild.remove();
    note();
  };

  const bar = make("div", { class: "nk-bar" }, tools.nodes.node, tools.networks.node, pause, status, tools.save);
  prepare(el);
  el.append(bar, board.stage, log, text.node);
  draw();
  note();
  model.on("change:picture", draw);
  model.on("change:news", hear);
  model.on("change:ended", note);
  const unwatch = watchTheme(() => board.repaint());
  return () => {
    model.off("change:picture", draw);
    model.off("change:news", hear);
    model.off("change:ended", note);
    unwatch();
    board.stop();
  };
}

// ---- a packet's way, step by step ----

const PACE = 1400; // ms per step while playing

function renderSteps(model, el) {
  const board = new Board();
  const steps = model.get("steps");
  const last = Math.max(0, steps.length - 1);
  let at = 0;
  let timer = 0;
  const colour = ({ reply, kind }) => (kind === "dropped" ? "#a32a00" : reply ? "#0072b2" : "#d00a3c");
  // The way so far, the last part of it strong, and the packet: with its number, or crossed out.
  const trail = () => {
    const nodes = steps.slice(0, at + 1).filter((step) => step.points.length > 1).map((step) => way(step, step === steps[at]));
    return steps[at] ? [...nodes, packet(steps[at])] : nodes;
  };
  const way = (step, now) => makeSvg("polyline", {
    points: step.points.map((point) => point.join(",")).join(" "),
    fill: "none",
    stroke: colour(step),
    "stroke-width": now ? 4 : 2.4,
    "stroke-opacity": now ? 0.95 : 0.4,
    "stroke-linejoin": "round",
    "stroke-linecap": "round",
    "stroke-dasharray": step.kind === "tunnel" ? "7 5" : "none",
  });
  const packet = (step) => {
    const { x, y, kind, number } = step;
    const group = makeSvg("g", { class: "nk-packet" });
    group.append(makeSvg("circle", { cx: x, cy: y, r: 9, fill: colour(step), stroke: "#ffffff", "stroke-width": 1.5 }));
    if (kind === "dropped") {
      group.append(makeSvg("path", { d: `M${x - 3.5} ${y - 3.5}l7 7m0 -7l-7 7`, stroke: "#ffffff", "stroke-width": 2.2, fill: "none" }));
      return group;
    }
    const label = { x, y: y + 3.2, "text-anchor": "middle", "font-size": 9, "font-weight": "bold", fill: "#ffffff", "font-family": "'DejaVu Sans', Verdana, sans-serif" };
    const text = makeSvg("text", label);
    text.textContent = String(number);
    group.append(text);
    return group;
  };
  const layer = makeSvg("g", { "aria-hidden": "true", class: "nk-above" });
  board.svg.insertBefore(layer, board.above);
  const tools = makeTools(board, "netkit-trace", trail);

  const slider = make("input", { type: "range", min: 1, max: last + 1, step: 1, value: 1, "aria-label": "Step" });
  const count = make("span", { class: "nk-count" });
  const list = make("ol", { class: "nk-steps" });
  const live = make("div", { class: "nk-said", "aria-live": "polite" });
  const items = steps.map((step, number) => {
    const [title, detail] = [make("b"), make("span")];
    title.textContent = step.title;
    detail.textContent = step.detail;
    const button = make("button", { type: "button" }, title, detail);
    button.style.setProperty("--nk-step", colour(step));
    if (step.kind === "dropped") button.classList.add("nk-drop");
    button.addEventListener("click", () => go(number));
    return make("li", {}, button);
  });
  list.append(...items);

  const go = (number, playing = false) => {
    if (!playing) halt();
    at = Math.max(0, Math.min(last, number));
    slider.value = at + 1;
    slider.setAttribute("aria-valuetext", steps[at] ? `step ${at + 1} of ${last + 1}: ${steps[at].title}` : "no steps");
    count.textContent = steps.length ? `${at + 1} of ${last + 1}` : "no steps";
    live.textContent = steps[at] ? [steps[at].title, steps[at].detail].filter(Boolean).join(": ") : "";
    for (const [index, item] of items.entries()) {
      if (index === at) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    }
    const item = items[at];
    if (item) list.scrollTop = Math.max(0, item.offsetTop - list.offsetTop - list.clientHeight / 2 + item.offsetHeight / 2);
    layer.replaceChildren(...trail());
    back.disabled = at === 0;
    next.disabled = at === last;
  };
  const halt = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const start = () => {
    if (at === last) go(0);
    play.textContent = "Stop";
    timer = setInterval(() => (at < last ? go(at + 1, true) : halt()), PACE);
  };
  const back = makeButton("‹", "Step back", () => go(at - 1));
  const play = makeButton("Play", "Play the steps one after the other", () => (timer ? halt() : start()));
  const next = makeButton("›", "Next step", () => go(at + 1));
  slider.addEventListener("input", () => go(Number(slider.value) - 1));

  const bar = make("div", { class: "nk-bar" }, tools.nodes.node, tools.networks.node, tools.save);
  const player = make("div", { class: "nk-bar nk-player", role: "group", "aria-label": "Steps" }, back, play, next, slider, count);
  player.addEventListener("keydown", (event) => {
    if (event.target === slider || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    go(at + (event.key === "ArrowRight" ? 1 : -1));
    event.preventDefault();
    event.stopPropagation();
  });
  slider.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook has its own use of arrows
  const text = makeText();
  prepare(el);
  el.append(bar, board.stage, player, live, list, text.node);
  const scene = model.get("picture");
  board.show(scene);
  tools.fill(scene);
  text.words.textContent = scene.text;
  go(0);
  const unwatch = watchTheme(() => board.repaint());
  return () => {
    halt();
    unwatch();
    board.stop();
  };
}

function render({ model, el }) {
  return model.get("steps") === undefined ? renderLive(model, el) : renderSteps(model, el);
}

export default { render };
