// A part of a photo, drawn with the mouse or a finger, or moved with the arrows.

import { t } from "./words.js";

const STEP = 0.02, LEAST = 0.04;

/**
 * Lays over `frame` what a part is drawn on. changed(part): {x, y, w, h} in shares of the photo's sides.
 * left(): the keyboard has given up.
 */
export function startMarking(frame, { changed, left }) {
  const sheet = document.createElement("div");
  sheet.className = "marking";
  const mark = document.createElement("div");
  mark.className = "part";
  mark.tabIndex = 0;
  mark.setAttribute("role", "application");
  mark.setAttribute("aria-label", t("part_how"));
  sheet.append(mark);
  frame.append(sheet);
  let part = { x: 0.25, y: 0.25, w: 0.5, h: 0.5 };
  const set = (next) => {
    part = next;
    mark.style.left = `${part.x * 100}%`;
    mark.style.top = `${part.y * 100}%`;
    mark.style.width = `${part.w * 100}%`;
    mark.style.height = `${part.h * 100}%`;
  };
  set(part);
  changed(part);
  let from = null;
  const where = (event) => {
    const box = sheet.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  };
  sheet.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    from = where(event);
    sheet.setPointerCapture(event.pointerId);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = where(event);
    set({ x: Math.min(x, from[0]), y: Math.min(y, from[1]), w: Math.abs(x - from[0]), h: Math.abs(y - from[1]) });
  });
  sheet.addEventListener("pointerup", () => {
    from = null;
    // A click is no part.
    if (part.w < LEAST || part.h < LEAST) {
      set({ x: clamp(part.x - LEAST, 1 - 2 * LEAST), y: clamp(part.y - LEAST, 1 - 2 * LEAST), w: 2 * LEAST, h: 2 * LEAST });
    }
    changed(part);
    mark.focus({ preventScroll: true });
  });
  mark.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") left();
    else if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.shiftKey) {
      const w = Math.max(LEAST, Math.min(1 - part.x, part.w + way[0] * STEP));
      set({ ...part, w, h: Math.max(LEAST, Math.min(1 - part.y, part.h + way[1] * STEP)) });
      changed(part);
    } else {
      set({ ...part, x: clamp(part.x + way[0] * STEP, 1 - part.w), y: clamp(part.y + way[1] * STEP, 1 - part.h) });
      changed(part);
    }
    event.preventDefault();
    event.stopPropagation();
  });
  mark.focus({ preventScroll: true });
}

/** As the API takes it. */
export function saidPart({ x, y, w, h }) {
  return [x, y, Math.min(1, x + w), Math.min(1, y + h)].map((each) => clamp(each).toFixed(4)).join(",");
}

function clamp(value, most = 1) {
  return Math.max(0, Math.min(most, value));
}
