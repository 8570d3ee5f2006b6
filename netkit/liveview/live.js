// The live picture of a lab's network: plain SVG made of data. Whatever comes from the lab is set as text or as the value
// of an attribute, never as markup, so that no name of a container can become part of the page. What moves, comes and
// goes is the style sheet's business: an element that stays is the same node.

const FADE = 380; // ms for a thing to go, as in the style sheet
const NEWS = 40; // changes that are kept below the picture
const PIXELS = 4 / 3; // per point

function dress(node, attributes = {}, ...children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const make = (tag, ...rest) => dress(document.createElement(tag), ...rest);
const makeSvg = (tag, ...rest) => dress(document.createElementNS("http://www.w3.org/2000/svg", tag), ...rest);

function makeButton(words, title, act) {
  const button = make("button", { type: "button", title }, words);
  button.addEventListener("click", act);
  return button;
}

// Let a layer hold these elements in this order; returns what new ones are about.
function sync(layer, elements) {
  const wanted = new Set(elements.map(({ key }) => key));
  const known = new Map();
  for (const node of layer.children) {
    if (wanted.has(node.dataset.key)) known.set(node.dataset.key, node);
    else if (!node.classList.contains("nk-gone")) {
      node.classList.add("nk-gone");
      delete node.dataset.key;
      setTimeout(() => node.remove(), FADE);
    }
  }
  const fresh = new Set();
  let next = layer.firstChild;
  for (const { key, tag, about, name, text, attributes } of elements) {
    const node = known.get(key) ?? makeSvg(tag, { class: name ?? "", "data-key": key, ...(about && { "data-about": about }) });
    if (!known.has(key)) fresh.add(about);
    dress(node, attributes);
    if (node.textContent !== (text ?? "")) node.textContent = text;
    while (next?.classList.contains("nk-gone")) next = next.nextSibling;
    if (node === next) next = next.nextSibling;
    else layer.insertBefore(node, next);
  }
  return fresh;
}

// ---- the picture: shapes, objects to point at, their facts, filters ----

class Board {
  constructor(name) {
    this.shapes = makeSvg("g", { "aria-hidden": "true", class: "nk-shapes" });
    this.above = makeSvg("g", { "aria-hidden": "true", class: "nk-above" });
    this.objects = makeSvg("g", { role: "group", "aria-label": "Objects: arrow keys move, Enter pins the facts, Escape lets go" });
    const look = { class: "nk-svg", role: "group", "font-family": "'DejaVu Sans', Verdana, sans-serif" };
    this.svg = makeSvg("svg", look, this.shapes, this.above, this.objects);
    this.card = make("div", { class: "nk-card", role: "region", "aria-label": "Facts", hidden: "" });
    this.stage = make("div", { class: "nk-stage" }, this.svg, this.card);
    this.selects = { node: make("select"), network: make("select") };
    const save = make("span", { class: "nk-save", role: "group", "aria-label": "Save" }, "Save");
    for (const kind of ["PNG", "SVG"]) save.append(" ", makeButton(kind, `Save the picture as ${kind}`, () => this.save(kind, name)));
    this.bar = make("div", { class: "nk-bar" }, make("label", {}, "Node ", this.selects.node), make("label", {}, "Network ", this.selects.network), save);
    this.words = make("pre", { tabindex: 0 });
    this.details = make("details", {}, make("summary", {}, "The network in words"), this.words);
    this.scene = this.current = this.hovered = this.pinned = null;
    const find = ({ target }) => target.dataset.about ?? null;
    this.svg.addEventListener("pointerover", (event) => this.hover(find(event)));
    this.svg.addEventListener("pointerleave", () => this.hover(null));
    this.svg.addEventListener("click", (event) => {
      this.pin(find(event));
      this.objectOf(find(event))?.focus({ preventScroll: true }); // so that Escape is heard here
    });
    this.stage.addEventListener("keydown", (event) => this.press(event));
    this.objects.addEventListener("focusin", ({ target }) => {
      this.current = target.dataset.about;
      this.tell();
    });
    this.objects.addEventListener("focusout", () => setTimeout(() => this.tell()));
    this.svg.addEventListener("animationend", ({ target }) => target.classList.remove("nk-fresh"));
    for (const select of Object.values(this.selects)) select.addEventListener("change", () => this.choose());
  }

  show(scene) {
    const begins = !this.scene;
    this.scene = scene;
    this.words.textContent = scene.text;
    for (const [name, choices] of [["node", scene.nodes], ["network", scene.networks]]) {
      const chosen = this.selects[name].value;
      this.selects[name].replaceChildren(...["", ...choices].map((each) => make("option", { value: each }, each || "all")));
      this.selects[name].value = choices.includes(chosen) ? chosen : "";
    }
    const fresh = sync(this.shapes, scene.shapes);
    dress(this.svg, { "aria-label": scene.summary });
    this.choose();
    // what has come is marked for a while, but not what came with something bigger
    for (const node of begins ? [] : this.marks) {
      const { about } = node.dataset;
      if (fresh.has(about)) node.classList.toggle("nk-fresh", !fresh.has(about.slice(0, about.lastIndexOf("/"))));
    }
  }

  // -- filters, and what is left to be pointed at --

  choose() {
    const { facts, width, height, shapes } = this.scene;
    const [chosen, network] = [this.selects.node.value, this.selects.network.value];
    const isHidden = (about) => Boolean(chosen && about && about !== "lan" && about.split("/", 1)[0] !== chosen);
    const isDim = (networks) => Boolean(network && networks && !networks.includes(network));
    const [x, y, w, h] = facts[chosen]?.box ?? [];
    this.view = facts[chosen] ? [x - 12, y - 12, w + 24, h + 46] : [0, 0, width, height];
    dress(this.svg, { viewBox: this.view.join(" "), style: `max-width: ${this.view[2] * PIXELS}px` });
    const seen = new Set();
    const nodes = new Map([...this.shapes.children].map((node) => [node.dataset.key, node]));
    for (const { key, about, networks } of shapes) {
      dress(nodes.get(key), { visibility: isHidden(about) ? "hidden" : "inherit", opacity: isDim(networks) ? 0.13 : 1 });
      if (!isHidden(about) && !isDim(networks)) seen.add(about);
    }
    // the objects, for keyboard and screen reader as well
    const entries = Object.entries(facts).filter(([about]) => seen.has(about));
    const had = this.objects.contains(document.activeElement);
    if (!entries.some(([about]) => about === this.current)) this.current = entries[0]?.[0] ?? null;
    const elements = entries.map(([about, { title, kind, lines, box: [left, top, wide, high] }]) => {
      const label = [`${title}, ${kind}`, ...lines.map((line) => line.filter(Boolean).join(" "))].join("; ");
      const place = { x: left - 2.5, y: top - 2.5, width: wide + 5, height: high + 5, rx: 5 };
      return { key: about, about, tag: "rect", name: "nk-object", attributes: { ...place, role: "button", "aria-label": label } };
    });
    sync(this.objects, elements);
    if (had) this.objectOf(this.current)?.focus();
    this.tell();
  }

  // -- pointing, pinning, going from one to the next --

  get marks() {
    return this.svg.querySelectorAll(".nk-object, .nk-near");
  }

  objectOf(about) {
    return [...this.objects.children].find((node) => node.dataset.key === about);
  }

  press(event) {
    const all = [...this.objects.querySelectorAll("[data-key]")];
    const at = all.indexOf(this.objectOf(this.current));
    const goal = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape" && this.pinned) this.pin(null);
    else if (!this.objects.contains(event.target)) return;
    else if (goal !== undefined) all[Math.max(0, Math.min(all.length - 1, goal))]?.focus();
    else if (event.key === "Enter" || event.key === " ") this.pin(this.current);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  hover(about) {
    this.hovered = about;
    this.tell();
  }

  pin(about) {
    this.pinned = about === this.pinned ? null : about;
    this.tell();
  }

  // Light what is pointed at, pinned, or has the focus, and show the facts of the first of these.
  tell() {
    const focused = this.objects.contains(document.activeElement) ? this.current : null;
    const lit = [this.hovered, this.pinned, focused].filter((about) => this.scene.facts[about]);
    for (const node of this.marks) node.classList.toggle("nk-lit", lit.includes(node.dataset.about));
    for (const node of this.objects.children) {
      const { about } = node.dataset;
      dress(node, { "aria-pressed": about === this.pinned, tabindex: about === this.current ? 0 : -1 });
    }
    this.card.hidden = !lit.length;
    if (lit.length) this.fill(this.scene.facts[lit[0]], lit[0] === this.pinned);
  }

  // The card stands beside the picture if there is room, else beside the object; within the stage.
  fill({ title, kind, lines, box: [x, y, width] }, pinned) {
    const list = lines.flatMap(([label, words]) => [make("dt", {}, label), make("dd", {}, words)]);
    const said = pinned ? `${kind} · pinned, Escape lets go` : kind;
    this.card.replaceChildren(make("b", {}, title), make("div", { class: "nk-soft" }, said), make("dl", {}, ...list));
    this.card.classList.toggle("nk-pinned", pinned);
    const { offsetWidth: wide, offsetHeight: high } = this.card;
    const [room, picture] = [this.stage.getBoundingClientRect(), this.svg.getBoundingClientRect()];
    const scale = picture.width / this.view[2];
    const [left, right, top] = [x - this.view[0], x + width - this.view[0], y - this.view[1]].map((each) => each * scale);
    const beside = [picture.width, right + 10, left - wide - 10].find((at) => at >= 0 && at + wide <= room.width);
    this.card.style.left = `${beside ?? Math.max(0, Math.min(room.width - wide, left))}px`;
    this.card.style.top = `${Math.max(0, Math.min(room.height - high, top))}px`;
  }

  // -- a file of its own, always on white, twice as large in pixels --

  async save(kind, name) {
    const [x, y, width, height] = this.view;
    const file = dress(this.svg.cloneNode(true), { width: `${width}pt`, height: `${height}pt` });
    file.lastChild.remove();
    for (const node of file.querySelectorAll("[visibility=hidden], .nk-near, .nk-gone")) node.remove();
    file.prepend(makeSvg("title", {}, this.scene.summary), makeSvg("rect", { x, y, width, height, fill: "#ffffff" }));
    const link = make("a", { download: `${name}.${kind.toLowerCase()}` });
    link.href = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(file))}`;
    if (kind === "PNG") {
      const image = new Image();
      image.src = link.href;
      await image.decode();
      const canvas = make("canvas", { width: Math.round(width * PIXELS * 2), height: Math.round(height * PIXELS * 2) });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      link.href = canvas.toDataURL();
    }
    link.click();
  }
}

// ---- the network as it changes ----

function renderLive(model, el) {
  const board = new Board("netkit-live");
  const status = make("span", { class: "nk-status nk-soft", role: "status" });
  const empty = make("li", { class: "nk-soft" }, "Nothing has changed yet.");
  const log = make("ul", { class: "nk-news", role: "log", "aria-live": "polite", "aria-label": "What has changed" }, empty);
  let [paused, waiting] = [false, 0];
  const pause = makeButton("Pause", "Stop following; changes are counted", () => {
    [paused, waiting] = [!paused, 0];
    draw();
  });
  const note = () => {
    const ended = model.get("ended");
    pause.textContent = paused ? "Resume" : "Pause";
    pause.disabled = Boolean(ended);
    const counted = `❚❚ paused: ${waiting} change${waiting === 1 ? "" : "s"} waiting`;
    status.textContent = ended ? `■ ${ended}` : paused ? counted : "● following";
  };
  const draw = () => {
    if (!paused) board.show(model.get("picture"));
    note();
  };
  const hear = () => {
    const { lines, count } = model.get("news");
    if (paused) waiting += count;
    empty.remove();
    log.prepend(...lines.map((line) => make("li", {}, line)));
    while (log.children.length > NEWS) log.lastChild.remove();
    note();
  };
  board.bar.lastChild.before(pause, status);
  el.append(board.bar, board.stage, log, board.details);
  draw();
  model.on("change:picture", draw);
  model.on("change:news", hear);
  model.on("change:ended", note);
}

// ---- a packet's way, step by step: "value" is the step, from 1, shared with a player ----

function renderSteps(model, el) {
  const board = new Board("netkit-trace");
  const steps = model.get("steps");
  const said = make("div", { class: "nk-said", "aria-live": "polite" }, "no steps");
  const list = make("ol", { class: "nk-steps" });
  for (const [index, { title, detail, colour, dropped }] of steps.entries()) {
    const button = makeButton(make("b", dropped ? { style: `text-decoration: underline wavy ${colour}` } : {}, title), "", () => {
      model.set("value", index + 1);
      model.save_changes();
    });
    button.append(" ", make("span", { class: "nk-soft" }, detail));
    list.append(make("li", { style: `--nk-step: ${colour}` }, button));
  }
  const go = () => {
    const at = model.get("value") - 1;
    if (!steps[at]) return;
    // the way so far, the last part of it strong, and the packet
    const ways = steps.slice(0, at + 1).flatMap(({ way }, index) => {
      const strength = index === at ? { "stroke-width": 4, "stroke-opacity": 0.95 } : { "stroke-width": 2.4, "stroke-opacity": 0.4 };
      return way.map((part) => ({ ...part, attributes: { ...part.attributes, ...strength } }));
    });
    sync(board.above, [...ways, ...steps[at].packet]);
    said.textContent = `${at + 1} of ${steps.length}: ${[steps[at].title, steps[at].detail].filter(Boolean).join(": ")}`;
    for (const item of list.children) item.removeAttribute("aria-current");
    const item = dress(list.children[at], { "aria-current": "step" });
    list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 2 + item.offsetHeight / 2;
  };
  el.append(board.bar, board.stage, said, list, board.details);
  board.show(model.get("picture"));
  go();
  model.on("change:value", go);
}

function render({ model, el }) {
  el.classList.add("netkit-live");
  el.dataset.lmSuppressShortcuts = "true"; // of the notebook, which would take arrows and Enter for itself
  (model.get("steps") ? renderSteps : renderLive)(model, el);
}

export default { render };
