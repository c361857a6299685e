// One photo as large as the window, what is known of it, and why it was found.

import { ask, post, thumbnail } from "./api.js";
import { saidPart, startMarking } from "./marking.js";
import { openNaming } from "./naming.js";
import { copyText } from "./selection.js";
import { currentLanguage, formatted, t, when } from "./words.js";

export class Viewer {
  /**
   * dialog: the <dialog>; selection; parameters(): of the search; moved(photo): another one is shown, null when it is
   * closed; like(photo, part): more like it, or like a part of it; find(sentence).
   */
  constructor(dialog, { selection, parameters, moved, like, find }) {
    Object.assign(this, { dialog, selection, parameters, moved, like, find });
    this.part = null;
    this.figure = dialog.querySelector("figure");
    this.stage = dialog.querySelector(".stage");
    this.facts = dialog.querySelector(".facts");
    this.results = null;
    this.index = -1;
    dialog.addEventListener("click", (event) => this.#click(event));
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("close", () => this.#closed());
    selection.addEventListener("change", () => this.#mark());
    this.#swipe();
  }

  get photo() {
    return this.results && this.index >= 0 ? this.results.photos[this.index] : null;
  }

  /** results: what is paged through; index: which one. */
  open(results, index) {
    this.results = results;
    if (!this.dialog.open) this.dialog.showModal();
    this.#show(index);
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  #closed() {
    this.asking?.abort();
    this.figure.replaceChildren();
    this.moved(null);
  }

  #step(by) {
    const to = this.index + by;
    if (to < 0 || to >= this.results.photos.length) return;
    this.#show(to);
    this.moved(this.photo);
  }

  async #show(index) {
    this.index = index;
    const { photo } = this;
    this.asking?.abort();
    this.asking = new AbortController();
    this.#unmark();
    this.#picture(photo, this.results.widths[index], this.results.heights[index]);
    this.#mark();
    this.dialog.querySelector('[data-view="back"]').disabled = index === 0;
    this.dialog.querySelector('[data-view="on"]').disabled = index === this.results.photos.length - 1;
    // A button that is disabled loses the keyboard: the picture keeps it, and with it the arrows.
    if (document.activeElement.disabled || !this.dialog.contains(document.activeElement)) this.stage.focus();
    this.dialog.querySelector('[data-view="original"]').href = `/api/photos/${photo}/original`;
    await this.#ask();
    this.#prepare(index + 1);
  }

  async #ask() {
    const { photo } = this;
    try {
      const about = await ask(`/api/photos/${photo}`, this.parameters(), { signal: this.asking.signal });
      if (photo === this.photo) this.#tell(about);
    } catch (problem) {
      if (problem.name !== "AbortError") this.facts.replaceChildren(text("p", problem.message));
    }
  }

  /** The tile's picture at once, the larger one over it when it is there. */
  #picture(photo, width, height) {
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.style.setProperty("--shape", width / height);
    frame.style.setProperty("--widest", `${width}px`);
    const small = document.createElement("img");
    small.alt = "";
    small.src = thumbnail(photo);
    const large = document.createElement("img");
    large.className = "large";
    large.alt = "";
    large.decoding = "async";
    large.onload = () => large.classList.add("loaded");
    large.onerror = () => {
      large.remove();
      if (!small.naturalWidth) frame.replaceWith(text("p", t("no_picture")));
    };
    large.src = thumbnail(photo, "screen");
    frame.append(small, large);
    this.figure.replaceChildren(frame);
  }

  #prepare(index) {
    if (index < this.results.photos.length) new Image().src = thumbnail(this.results.photos[index], "screen");
  }

  #tell(about) {
    const name = about.files[0]?.path.split("/").pop() ?? "";
    const shown = [];
    const head = document.createElement("header");
    head.append(text("h2", about.title || name));
    head.append(text("p", t("place", this.index + 1, this.results.photos.length), "faint"));
    shown.push(head);
    if (about.caption) shown.push(text("p", about.caption, "caption"));
    shown.push(this.#why(about));
    const list = document.createElement("dl");
    if (about.taken) {
      const from = t("from")[about.taken_from];
      row(list, t("taken"), when(about.taken) + zone(about.offset), from);
    } else row(list, t("taken"), t("no_date"));
    if (about.place) {
      const { latitude, longitude, altitude } = about.place;
      const at = `${latitude.toFixed(5)}, ${longitude.toFixed(5)}`;
      row(list, t("at"), about.place.name || at, about.place.name ? at : "", altitude === null ? "" : t("altitude", altitude));
    }
    if (about.people.length) row(list, t("people"), about.people.map((each) => each.name).join(", "));
    if (about.named.length) row(list, t("named"), "").append(...about.named.map((each) => this.#named(each)));
    if (about.keywords.length) row(list, t("keywords"), about.keywords.join(", "));
    if (about.camera) row(list, t("camera"), about.camera, about.lens);
    if (about.kinds.length) row(list, t("kind"), about.kinds.map((each) => t("file_kinds")[each]).join(", "));
    if (about.rating) row(list, t("rating"), "★".repeat(Math.max(0, about.rating)) || String(about.rating));
    row(list, t("size"), `${formatted(about.width)} × ${formatted(about.height)}`, bytes(about.files[0]?.bytes ?? 0));
    about.files.forEach((file, at) => {
      const value = row(list, at ? "" : t(about.files.length > 1 ? "copies" : "file"), "");
      const path = text("bdi", file.path, "path");
      const copy = document.createElement("button");
      copy.type = "button";
      copy.className = "quiet small";
      copy.textContent = t("copy");
      copy.addEventListener("click", () => copyText(file.path, t("copied", 1), (said) => this.#say(said)));
      value.append(path, copy);
      if (!file.there) value.append(text("span", t("file_away"), "faint"));
    });
    shown.push(list);
    this.facts.replaceChildren(...shown.filter(Boolean));
    const nearest = this.results.boxes?.[this.results.parts?.[this.index] ?? -1];
    const read = about.matches.flatMap(({ label, boxes }) => boxes.map((box) => ({ name: label, box, near: true })));
    this.#boxes([...about.people, ...about.named, ...read, ...(nearest ? [{ name: t("here"), box: nearest, near: true }] : [])]);
    this.#say(`${about.title || name}. ${t("place", this.index + 1, this.results.photos.length)}`);
  }

  #why(about) {
    const score = this.results.scores?.[this.index];
    if (score === undefined && !about.matches.length) return null;
    const list = document.createElement("dl");
    list.className = "why";
    if (score !== undefined) {
      const value = row(list, t("similarity"), score.toFixed(3));
      const meter = document.createElement("meter");
      const best = Math.max(this.results.scores[0], 1e-6);
      Object.assign(meter, { min: 0, max: 1, value: Math.max(0, Math.min(1, score / best)) });
      meter.setAttribute("aria-label", t("similarity"));
      value.append(meter);
    }
    for (const { label, by } of about.matches) row(list, label, /^\d{4}(-|$)/.test(by) ? when(by) : by);
    const part = document.createElement("section");
    part.append(text("h3", t("why")), list);
    return part;
  }

  /** A name, with a button that says it is not there. */
  #named({ name }) {
    const line = text("span", name, "named");
    const wrong = document.createElement("button");
    wrong.type = "button";
    wrong.className = "quiet small";
    wrong.textContent = t("not_it", name);
    wrong.addEventListener("click", async () => {
      wrong.disabled = true;
      const { photo } = this;
      try {
        await post("/api/names", { name, wrong: [{ photo }] });
        this.#say(t("not_it_said", name));
      } catch (problem) {
        this.#say(problem.message);
      }
      if (photo === this.photo) await this.#ask();
    });
    line.append(wrong);
    return line;
  }

  /** A part is drawn, or no longer. */
  #togglePart() {
    if (this.part) {
      this.#unmark();
      this.stage.focus();
      return;
    }
    const frame = this.figure.querySelector(".frame");
    if (!frame) return;
    this.#view("part").setAttribute("aria-pressed", "true");
    this.#view("like").textContent = t("more_like_part");
    startMarking(frame, {
      changed: (part) => { this.part = saidPart(part); },
      left: () => { this.#unmark(); this.#view("part").focus(); },
    });
  }

  #unmark() {
    this.part = null;
    this.figure.querySelector(".marking")?.remove();
    this.#view("part").setAttribute("aria-pressed", "false");
    this.#view("like").textContent = t("more_like");
  }

  #name(button) {
    const example = this.part ? { photo: this.photo, part: this.part } : { photo: this.photo };
    openNaming(this.dialog, button, [example], {
      show: (name) => this.find(name),
      said: (told) => { this.#say(told); this.#ask(); },
    });
  }

  #view(name) {
    return this.dialog.querySelector(`[data-view="${name}"]`);
  }

  #boxes(marked) {
    this.figure.querySelectorAll(".box").forEach((each) => each.remove());
    const frame = this.figure.querySelector(".frame");
    for (const { name, box, near } of marked) {
      if (!box || !frame) continue;
      const mark = document.createElement("div");
      mark.className = near ? "box near" : "box";
      mark.style.left = `${box.x * 100}%`;
      mark.style.top = `${box.y * 100}%`;
      mark.style.width = `${box.w * 100}%`;
      mark.style.height = `${box.h * 100}%`;
      mark.append(text("span", name));
      frame.append(mark);
    }
  }

  #mark() {
    const button = this.dialog.querySelector('[data-view="select"]');
    button.setAttribute("aria-pressed", this.photo !== null && this.selection.has(this.photo));
  }

  #say(said) {
    this.dialog.querySelector('[data-view="said"]').textContent = said;
  }

  #click(event) {
    const what = event.target.closest("[data-view]")?.dataset.view;
    if (what === "close") this.close();
    else if (what === "back") this.#step(-1);
    else if (what === "on") this.#step(1);
    else if (what === "select") this.#select();
    else if (what === "like") this.like(this.photo, this.part);
    else if (what === "part") this.#togglePart();
    else if (what === "name") this.#name(this.#view("name"));
  }

  #select() {
    this.selection.toggle(this.photo);
    this.#say(t(this.selection.has(this.photo) ? "selected_now" : "deselected_now"));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, [popover]")) return;
    if (event.key === "ArrowLeft") this.#step(-1);
    else if (event.key === "ArrowRight") this.#step(1);
    else if (event.key === " " && !event.target.closest("button, a")) this.#select();
    else return;
    event.preventDefault();
  }

  #swipe() {
    let start = null;
    this.figure.addEventListener("touchstart", (event) => {
      start = event.touches.length === 1 && !this.part ? event.touches[0] : null;
    }, { passive: true });
    this.figure.addEventListener("touchend", (event) => {
      if (!start) return;
      const dx = event.changedTouches[0].clientX - start.clientX, dy = event.changedTouches[0].clientY - start.clientY;
      if (Math.abs(dx) > 50 && Math.abs(dx) > 2 * Math.abs(dy)) this.#step(dx < 0 ? 1 : -1);
      start = null;
    });
  }
}

function row(list, name, value, ...more) {
  const term = text("dt", name), held = text("dd", value);
  for (const each of more.filter(Boolean)) held.append(text("small", each));
  list.append(term, held);
  return held;
}

function text(kind, said, name = "") {
  const element = document.createElement(kind);
  element.textContent = said;
  if (name) element.className = name;
  return element;
}

function zone(offset) {
  if (offset === null) return "";
  const sign = offset < 0 ? "−" : "+", minutes = Math.abs(offset);
  return ` (UTC${sign}${Math.floor(minutes / 60)}${minutes % 60 ? `:${String(minutes % 60).padStart(2, "0")}` : ""})`;
}

function bytes(count) {
  const format = (value, unit) =>
    new Intl.NumberFormat(currentLanguage(), { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
  return count < 1e6 ? format(count / 1e3, "kilobyte") : format(count / 1e6, "megabyte");
}
