// Chosen photos, and what is done with them.

import { ask } from "./api.js";
import { MOST as MOST_EXAMPLES, openNaming } from "./naming.js";
import { t } from "./words.js";

const MOST = 1000; // as the server takes at once
const TOGETHER = 200;

export class Selection extends EventTarget {
  #photos = new Set();

  get size() {
    return this.#photos.size;
  }

  has(photo) {
    return this.#photos.has(photo);
  }

  toggle(photo) {
    if (!this.#photos.delete(photo)) this.#photos.add(photo);
    this.#changed();
  }

  addAll(photos) {
    for (const photo of photos) this.#photos.add(photo);
    this.#changed();
  }

  clear() {
    this.#photos.clear();
    this.#changed();
  }

  photos() {
    return [...this.#photos];
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** bar: the element with the buttons; says what was done through `said`; show(sentence): what was named. */
export function attachBar(bar, selection, said, show) {
  const count = bar.querySelector("#selected");
  const refresh = () => {
    bar.hidden = !selection.size;
    document.body.classList.toggle("with-bar", selection.size > 0);
    count.textContent = selection.size ? t("selected", selection.size) : "";
  };
  selection.addEventListener("change", refresh);
  bar.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    const what = button?.dataset.do;
    if (!what) return;
    if (what === "clear") {
      selection.clear();
      document.querySelector('#grid [tabindex="0"]')?.focus({ preventScroll: true });
      return;
    }
    const photos = selection.photos();
    if (what === "name") {
      if (photos.length > MOST_EXAMPLES) said(t("too_many", MOST_EXAMPLES));
      else openNaming(document.body, button, photos.map((photo) => ({ photo })), { show, said });
      return;
    }
    if (photos.length > MOST) {
      said(t("too_many", MOST));
      return;
    }
    if (what === "copy") await copyPaths(photos, said);
    else download(what === "zip" ? `/api/originals.zip?photos=${photos}` : `/api/list?format=${what}&photos=${photos}`);
  });
  return refresh;
}

async function copyPaths(photos, said) {
  const paths = [];
  try {
    for (let at = 0; at < photos.length; at += TOGETHER) {
      const some = new URLSearchParams({ photos: photos.slice(at, at + TOGETHER).join(",") });
      for (const each of (await ask("/api/photos", some)).photos) paths.push(each.path);
    }
  } catch (problem) {
    said(problem.message);
    return;
  }
  await copyText(paths.join("\n"), t("copied", paths.length), said);
}

export async function copyText(text, done, said) {
  try {
    await navigator.clipboard.writeText(text);
    said(done);
  } catch {
    said(t("not_copied"));
  }
}

function download(address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}
