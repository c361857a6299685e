// The photos as rows of tiles, of which only those near the window are in the page.

import { ask, thumbnail } from "./api.js";
import { layOut, rowAt, rowOf, shape } from "./layout.js";
import { t, when } from "./words.js";

const AHEAD = 1.25; // windows above and below that are kept ready
const FAST = 12; // points a millisecond: above it tiles stay colours until the scrolling slows down
const SETTLED = 90; // milliseconds without scrolling
const DESCRIBED = 100; // tiles described by one question

export class Grid {
  /**
   * element: the listbox; selection: a Selection; opened(index): called to show a photo; moved(index): the first photo
   * in the window.
   */
  constructor(element, { selection, opened, moved }) {
    Object.assign(this, { element, selection, opened, moved });
    this.results = null;
    this.rows = layOut([], [], 1, { row: 200, gap: 6 });
    this.tiles = new Map(); // index -> element
    this.told = new Map(); // photo -> what its tile says
    this.current = 0;
    this.anchor = 0;
    this.last = { y: 0, time: 0 };
    addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(element.parentElement);
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("click", (event) => this.#click(event));
    element.addEventListener("focusin", (event) => this.#focused(event));
    element.addEventListener("focus", () => this.focus(this.current));
    selection.addEventListener("change", () => this.#mark());
  }

  /** results: what /api/search answers. */
  show(results) {
    this.results = results;
    this.current = this.anchor = 0;
    this.#forget();
    this.#layOut();
  }

  get count() {
    return this.results ? this.results.photos.length : 0;
  }

  indexOf(photo) {
    return this.results ? this.results.photos.indexOf(photo) : -1;
  }

  /** Bring a photo into the window; `focus` also gives it the keyboard. */
  reveal(index, { focus = false, top = false } = {}) {
    if (!this.count) return;
    index = Math.max(0, Math.min(this.count - 1, index));
    const row = rowOf(this.rows, index);
    const start = this.#start();
    const above = start + this.rows.top[row] - headroom() - 8;
    const below = start + this.rows.top[row] + this.rows.height[row] + 16 - innerHeight;
    if (top || scrollY > above) scrollTo(0, above);
    else if (scrollY < below) scrollTo(0, below);
    this.current = index;
    this.#mount();
    if (focus) this.tiles.get(index)?.focus({ preventScroll: true });
  }

  focus(index) {
    this.reveal(index, { focus: true });
  }

  /** After the language changed. */
  retell() {
    for (const [index, tile] of this.tiles) this.#label(index, tile);
  }

  #start() {
    return this.element.getBoundingClientRect().top + scrollY;
  }

  #layOut() {
    const width = this.element.clientWidth;
    const narrow = width < 600;
    this.width = width;
    this.gap = narrow ? 3 : 6;
    const { widths = [], heights = [], sure = null } = this.results ?? {};
    const parting = sure !== null && sure > 0 && sure < widths.length ? sure : -1;
    this.rows = layOut(widths, heights, width, { row: narrow ? 118 : 190, gap: this.gap, parting, space: parting < 0 ? 0 : 56 });
    this.element.style.height = `${this.rows.total}px`;
    this.#part(parting);
    this.#mount();
    this.#settle();
  }

  #part(parting) {
    this.element.querySelector(".parting")?.remove();
    if (parting < 0) return;
    const line = document.createElement("p");
    line.className = "parting";
    line.role = "presentation";
    line.textContent = t("less_sure");
    line.style.top = `${this.rows.top[rowOf(this.rows, parting)] - 40}px`;
    this.element.append(line);
  }

  #resized() {
    if (!this.results || this.element.clientWidth === this.width) return;
    const kept = this.firstSeen();
    const scrolled = scrollY > headroom();
    this.#forget();
    this.#layOut();
    if (scrolled) this.reveal(kept, { top: true });
  }

  #forget() {
    for (const [index, tile] of this.tiles) this.#drop(index, tile);
  }

  #drop(index, tile) {
    const image = tile.firstElementChild;
    image.onload = image.onerror = null;
    image.removeAttribute("src"); // a picture that is still asked for is asked for no more
    tile.remove();
    this.tiles.delete(index);
  }

  firstSeen() {
    if (!this.count) return 0;
    return this.rows.first[rowAt(this.rows, scrollY + headroom() - this.#start() + 40)];
  }

  #scrolled() {
    if (this.framed) return;
    this.framed = requestAnimationFrame((time) => {
      this.framed = 0;
      const speed = Math.abs(scrollY - this.last.y) / Math.max(1, time - this.last.time);
      this.last = { y: scrollY, time };
      this.fast = speed > FAST;
      this.#mount();
      this.moved?.(this.firstSeen());
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.#settle(), SETTLED);
    });
  }

  #settle() {
    this.fast = false;
    this.#mount();
    if (!this.element.contains(document.activeElement)) this.#rove(this.firstSeen());
    this.#tell();
  }

  /** Tiles near the window come in, others go; those in the window are asked for first. */
  #mount() {
    if (!this.count || !this.rows.top.length) return;
    const top = scrollY - this.#start();
    const from = rowAt(this.rows, top - AHEAD * innerHeight);
    const to = rowAt(this.rows, top + (1 + AHEAD) * innerHeight);
    const first = this.rows.first[from], end = this.rows.first[to + 1];
    const keep = this.element.contains(document.activeElement) ? this.current : -1;
    for (const [index, tile] of this.tiles) {
      if ((index < first || index >= end) && index !== keep) this.#drop(index, tile);
    }
    const seen = [rowAt(this.rows, top), rowAt(this.rows, top + innerHeight)];
    const order = [];
    for (let row = seen[0]; row <= seen[1]; row++) order.push(row);
    for (let row = seen[1] + 1; row <= to; row++) order.push(row);
    for (let row = seen[0] - 1; row >= from; row--) order.push(row);
    for (const row of order) this.#mountRow(row, row >= seen[0] && row <= seen[1]);
    if (this.current >= first && this.current < end) this.#rove(this.current);
  }

  #mountRow(row, seen) {
    const { photos, widths, heights, colours } = this.results;
    let x = 0;
    for (let index = this.rows.first[row]; index < this.rows.first[row + 1]; index++) {
      const wide = shape(widths[index], heights[index]) * this.rows.height[row];
      let tile = this.tiles.get(index);
      if (!tile) {
        tile = this.#tile(index, photos[index], colours[index]);
        tile.style.transform = `translate(${x}px, ${this.rows.top[row]}px)`;
        tile.style.width = `${wide}px`;
        tile.style.height = `${this.rows.height[row]}px`;
        this.tiles.set(index, tile);
        this.element.append(tile);
      }
      const image = tile.firstElementChild;
      if (!image.hasAttribute("src") && !this.fast && !tile.classList.contains("away")) {
        image.fetchPriority = seen ? "high" : "low";
        image.src = thumbnail(photos[index]);
      }
      x += wide + this.gap;
    }
  }

  #tile(index, photo, colour) {
    const tile = document.createElement("div");
    tile.className = "tile";
    tile.role = "option";
    tile.tabIndex = -1;
    tile.dataset.index = index;
    tile.setAttribute("aria-posinset", index + 1);
    tile.setAttribute("aria-setsize", this.count);
    tile.setAttribute("aria-selected", this.selection.has(photo));
    if (colour >= 0) tile.style.backgroundColor = `#${colour.toString(16).padStart(6, "0")}`;
    const image = document.createElement("img");
    image.alt = "";
    image.decoding = "async";
    image.draggable = false;
    image.onload = () => tile.classList.add("loaded");
    image.onerror = () => { tile.classList.add("away"); image.removeAttribute("src"); };
    const check = document.createElement("span");
    check.className = "check";
    tile.append(image, check);
    this.#label(index, tile);
    return tile;
  }

  #label(index, tile) {
    const told = this.told.get(this.results.photos[index]);
    const parts = told ? [told.name, told.taken && when(told.taken), !told.there && t("away")] : [t("place", index + 1, this.count)];
    const text = parts.filter(Boolean).join(", ");
    tile.setAttribute("aria-label", text);
    if (told) tile.title = text;
  }

  /** Names and times of the tiles in the window: for screen readers, and under the pointer. */
  async #tell() {
    const { results } = this;
    const open = [...this.tiles.keys()].filter((index) => !this.told.has(results.photos[index])).sort((a, b) => a - b);
    const first = this.firstSeen();
    const wanted = open.filter((index) => index >= first - 20).slice(0, DESCRIBED).map((index) => results.photos[index]);
    if (!wanted.length) return;
    const answer = await ask("/api/photos", new URLSearchParams({ photos: wanted.join(",") })).catch(() => null);
    if (!answer) return;
    if (this.told.size > 20000) this.told.clear();
    for (const told of answer.photos) this.told.set(told.photo, told);
    if (results === this.results) this.retell();
  }

  #rove(index) {
    if (!this.tiles.has(index)) return;
    this.element.querySelector('.tile[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.tiles.get(index).tabIndex = 0;
    this.element.tabIndex = -1;
    this.current = index;
  }

  #focused(event) {
    const tile = event.target.closest(".tile");
    if (tile) this.#rove(Number(tile.dataset.index));
  }

  #click(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    const index = Number(tile.dataset.index);
    if (event.shiftKey) this.selection.addAll(this.#between(this.anchor, index));
    else if (event.ctrlKey || event.metaKey || event.target.classList.contains("check") || this.selection.size) {
      this.selection.toggle(this.results.photos[index]);
    } else this.opened(index);
    this.anchor = index;
    this.#rove(index);
  }

  #between(a, b) {
    return this.results.photos.slice(Math.min(a, b), Math.max(a, b) + 1);
  }

  #key(event) {
    if (!this.count || event.altKey) return;
    const to = this.#target(event.key);
    if (to !== null && !(event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const from = this.current;
      this.focus(to);
      if (event.shiftKey) this.selection.addAll(this.#between(from, this.current));
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.opened(this.current);
    } else if (event.key === " ") {
      event.preventDefault();
      this.selection.toggle(this.results.photos[this.current]);
      this.anchor = this.current;
    } else if (event.key === "Escape" && this.selection.size) {
      event.preventDefault();
      this.selection.clear();
    }
  }

  /** Where a key leads from the current tile; up and down to the tile that is over or under its middle. */
  #target(key) {
    const last = this.count - 1, row = rowOf(this.rows, this.current);
    switch (key) {
      case "ArrowRight": return Math.min(last, this.current + 1);
      case "ArrowLeft": return Math.max(0, this.current - 1);
      case "ArrowDown": return this.#over(row, row + 1);
      case "ArrowUp": return this.#over(row, row - 1);
      case "PageDown": return this.#over(row, Math.min(this.rows.top.length - 1, row + this.#page()));
      case "PageUp": return this.#over(row, Math.max(0, row - this.#page()));
      case "Home": return 0;
      case "End": return last;
      default: return null;
    }
  }

  #page() {
    return Math.max(1, Math.floor((innerHeight - headroom()) / 200) - 1);
  }

  #over(row, other) {
    if (other < 0 || other >= this.rows.top.length) return this.current;
    const middle = this.#middles(row)[this.current - this.rows.first[row]];
    const middles = this.#middles(other);
    let best = 0;
    for (let at = 1; at < middles.length; at++) {
      if (Math.abs(middles[at] - middle) < Math.abs(middles[best] - middle)) best = at;
    }
    return this.rows.first[other] + best;
  }

  #middles(row) {
    const { widths, heights } = this.results;
    const found = [];
    let x = 0;
    for (let index = this.rows.first[row]; index < this.rows.first[row + 1]; index++) {
      const wide = shape(widths[index], heights[index]) * this.rows.height[row];
      found.push(x + wide / 2);
      x += wide + this.gap;
    }
    return found;
  }

  #mark() {
    this.element.classList.toggle("selecting", this.selection.size > 0);
    for (const [index, tile] of this.tiles) {
      tile.setAttribute("aria-selected", this.selection.has(this.results.photos[index]));
    }
  }
}

/** What the header covers of the window. */
function headroom() {
  return document.getElementById("top").offsetHeight;
}
