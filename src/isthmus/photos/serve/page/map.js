// Where the found photos were taken, on an outline of the world that comes with the page: nothing is asked of a map
// service. Mercator, as maps on the web have it; x and y are 0..1 from the left and the top of the world.

import { ask, thumbnail } from "./api.js";
import { t } from "./words.js";

const NORTHMOST = 85;
const DEEPEST = 14;
const PAUSE = 140; // milliseconds after the last movement

let outline = null;

export class PhotoMap {
  /** section: with a canvas, .clusters and .controls; chosen([s, w, n, e]): an area was chosen. */
  constructor(section, chosen) {
    Object.assign(this, { section, chosen });
    this.canvas = section.querySelector("canvas");
    this.layer = section.querySelector(".clusters");
    this.placed = section.querySelector(".placed");
    this.view = { x: 0.5, y: 0.4, zoom: 1 };
    this.asked = null;
    this.layer.tabIndex = 0;
    this.layer.role = "group";
    section.querySelector(".controls").addEventListener("click", (event) => this.#control(event));
    this.#drag();
    section.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.layer.addEventListener("keydown", (event) => this.#key(event));
    this.layer.addEventListener("dblclick", (event) => { if (event.target === this.layer) this.#zoomBy(1, event); });
    new ResizeObserver(() => { if (!section.hidden) this.#moved(); }).observe(section);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** parameters: of the search, without the area; `fit`: show all of them. */
  async show(parameters, { fit = true } = {}) {
    this.asked = parameters;
    this.layer.setAttribute("aria-label", t("map"));
    outline ??= await (await fetch("/page/world.json")).json().then(unpacked);
    if (fit) await this.#fit();
    this.#moved(0);
  }

  async #fit() {
    const said = new URLSearchParams(this.asked);
    said.set("zoom", 2);
    const answer = await ask("/api/map", said).catch(() => null);
    if (!answer?.clusters.length) return;
    const all = answer.clusters;
    this.lookAt([
      Math.min(...all.map((each) => each.south)), Math.min(...all.map((each) => each.west)),
      Math.max(...all.map((each) => each.north)), Math.max(...all.map((each) => each.east)),
    ]);
  }

  lookAt([south, west, north, east]) {
    const left = toX(west), right = toX(east), top = toY(north), bottom = toY(south);
    const { width, height } = this.#size();
    const wide = Math.max(right - left, 1e-5), tall = Math.max(bottom - top, 1e-5);
    const scale = Math.min((width * 0.8) / wide, (height * 0.7) / tall);
    this.view = { x: (left + right) / 2, y: (top + bottom) / 2, zoom: clamp(Math.log2(scale / 256), this.#least(), 9) };
    this.#moved();
  }

  #size() {
    return { width: this.section.clientWidth || 1, height: this.section.clientHeight || 1 };
  }

  #least() {
    return Math.max(0, Math.log2(this.#size().width / 256) - 0.6);
  }

  #scale() {
    return 256 * 2 ** this.view.zoom;
  }

  #bounds() {
    const { width, height } = this.#size(), scale = this.#scale();
    const left = this.view.x - width / 2 / scale, right = this.view.x + width / 2 / scale;
    const whole = right - left >= 1;
    return [
      toLatitude(Math.min(1, this.view.y + height / 2 / scale)), whole ? -180 : toLongitude(left - Math.floor(left)),
      toLatitude(Math.max(0, this.view.y - height / 2 / scale)), whole ? 180 : toLongitude(right - Math.floor(right)),
    ];
  }

  #moved(pause = PAUSE) {
    this.view.x -= Math.floor(this.view.x); // there is no edge at 180 degrees
    this.view.y = clamp(this.view.y, 0, 1);
    this.#draw();
    this.#place();
    clearTimeout(this.pausing);
    this.pausing = setTimeout(() => this.#cluster(), pause);
  }

  async #cluster() {
    if (!this.asked || this.section.hidden) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const said = new URLSearchParams(this.asked);
    said.set("zoom", clamp(Math.floor(this.view.zoom), 0, 16));
    said.set("view", this.#bounds().map((each) => each.toFixed(5)).join(","));
    const answer = await ask("/api/map", said, { signal: this.asking.signal }).catch(() => null);
    if (!answer) return;
    this.placed.textContent = t("placed", answer.placed);
    const kept = new Map([...this.layer.children].map((each) => [each.dataset.key, each]));
    const shown = answer.clusters.slice(0, 300).map((cluster) => {
      const key = `${cluster.photo}:${cluster.count}`;
      const old = kept.get(key);
      const button = old ?? this.#button(cluster, key);
      button.cluster = cluster;
      return button;
    });
    this.layer.replaceChildren(...shown);
    this.#place();
  }

  #button(cluster, key) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cluster";
    button.dataset.key = key;
    button.setAttribute("aria-label", t("cluster", cluster.count));
    const image = document.createElement("img");
    image.alt = "";
    image.src = thumbnail(cluster.photo);
    image.onerror = () => image.remove();
    button.append(image);
    if (cluster.count > 1) {
      const count = document.createElement("span");
      count.textContent = cluster.count > 999 ? `${Math.round(cluster.count / 100) / 10}k` : cluster.count;
      button.append(count);
    }
    button.addEventListener("click", () => this.#choose(button.cluster));
    return button;
  }

  #choose({ south, west, north, east }) {
    const edge = 1e-4; // about ten metres: a place is not left out by its own rounding
    const area = [south - edge, west - edge, north + edge, east + edge];
    this.lookAt(area);
    this.chosen(limited(area));
  }

  #place() {
    const { width, height } = this.#size(), scale = this.#scale();
    for (const button of this.layer.children) {
      const { latitude, longitude } = button.cluster;
      const away = toX(longitude) - this.view.x;
      const x = (away - Math.round(away)) * scale + width / 2;
      const y = (toY(latitude) - this.view.y) * scale + height / 2;
      button.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    }
  }

  #draw() {
    if (!outline || this.section.hidden) return;
    const { width, height } = this.#size(), scale = this.#scale(), points = devicePixelRatio;
    this.canvas.width = width * points;
    this.canvas.height = height * points;
    const style = getComputedStyle(this.section);
    const pen = this.canvas.getContext("2d");
    pen.fillStyle = style.getPropertyValue("--sea");
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    pen.scale(points, points);
    pen.lineJoin = "round";
    pen.lineWidth = 0.8;
    const side = width / 2 / scale;
    for (let world = Math.floor(this.view.x - side) - 1; world <= this.view.x + side; world++) {
      pen.save();
      pen.translate(width / 2 - (this.view.x - world) * scale, height / 2 - this.view.y * scale);
      pen.beginPath();
      for (const ring of outline.land) trace(pen, ring, scale, true);
      pen.fillStyle = style.getPropertyValue("--land");
      pen.fill("evenodd");
      pen.strokeStyle = style.getPropertyValue("--coast");
      pen.stroke();
      pen.beginPath();
      for (const line of outline.borders) trace(pen, line, scale, false);
      pen.strokeStyle = style.getPropertyValue("--border");
      pen.stroke();
      pen.restore();
    }
  }

  #control(event) {
    const what = event.target.closest("button")?.dataset.map;
    if (what === "in") this.#zoomBy(1);
    else if (what === "out") this.#zoomBy(-1);
    else if (what === "fit") this.#fit();
    else if (what === "here") this.chosen(limited(this.#bounds()));
  }

  /** The place under the pointer stays where it is. */
  #zoomBy(steps, event) {
    const { width, height } = this.#size(), box = this.section.getBoundingClientRect();
    const dx = event ? event.clientX - box.left - width / 2 : 0, dy = event ? event.clientY - box.top - height / 2 : 0;
    const before = this.#scale();
    this.view.zoom = clamp(this.view.zoom + steps, this.#least(), DEEPEST);
    const after = this.#scale();
    this.view.x += dx / before - dx / after;
    this.view.y += dy / before - dy / after;
    this.#moved();
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls; with Ctrl, or two fingers, the map zooms
    event.preventDefault();
    this.#zoomBy(clamp(-event.deltaY / 200, -1, 1), event);
  }

  #key(event) {
    if (event.target !== this.layer) return;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) {
      this.view.x += (move[0] * 80) / this.#scale();
      this.view.y += (move[1] * 80) / this.#scale();
      this.#moved();
    } else if (event.key === "+" || event.key === "=") this.#zoomBy(1);
    else if (event.key === "-") this.#zoomBy(-1);
    else return;
    event.preventDefault();
  }

  #drag() {
    let last = null;
    this.layer.addEventListener("pointerdown", (event) => {
      if (event.button || event.target !== this.layer) return;
      last = event;
      this.layer.setPointerCapture(event.pointerId);
    });
    this.layer.addEventListener("pointermove", (event) => {
      if (last?.pointerId !== event.pointerId) return;
      this.view.x -= (event.clientX - last.clientX) / this.#scale();
      this.view.y -= (event.clientY - last.clientY) / this.#scale();
      last = event;
      this.#moved();
    });
    for (const end of ["pointerup", "pointercancel"]) this.layer.addEventListener(end, () => { last = null; });
  }
}

function limited([south, west, north, east]) {
  return [clamp(south, -90, 90), clamp(west, -180, 180), clamp(north, -90, 90), clamp(east, -180, 180)];
}

function trace(pen, line, scale, closed) {
  for (let at = 0; at < line.length; at += 2) {
    if (at) pen.lineTo(line[at] * scale, line[at + 1] * scale);
    else pen.moveTo(line[0] * scale, line[1] * scale);
  }
  if (closed) pen.closePath();
}

/** Steps of `unit` degrees, each from the point before, to x and y of the map. */
function unpacked({ unit, land, borders }) {
  const line = (steps) => {
    const found = new Float64Array(steps.length);
    let x = 0, y = 0;
    for (let at = 0; at < steps.length; at += 2) {
      x += steps[at];
      y += steps[at + 1];
      found[at] = toX(x * unit);
      found[at + 1] = toY(y * unit);
    }
    return found;
  };
  return { land: land.map(line), borders: borders.map(line) };
}

function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

function toX(longitude) {
  return longitude / 360 + 0.5;
}

function toY(latitude) {
  const north = (clamp(latitude, -NORTHMOST, NORTHMOST) * Math.PI) / 180;
  return 0.5 - Math.log(Math.tan(Math.PI / 4 + north / 2)) / (2 * Math.PI);
}

function toLongitude(x) {
  return (x - 0.5) * 360;
}

function toLatitude(y) {
  return ((2 * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - Math.PI / 2) * 180) / Math.PI;
}
