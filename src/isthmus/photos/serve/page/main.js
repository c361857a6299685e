// The page: what stands in the address is asked for and shown; what the user does changes the address.

import { GIVEN, parameters, read, sameResults, write } from "./address.js";
import { ask, postPicture, setVersion } from "./api.js";
import { periodLabel, showChips } from "./chips.js";
import { Grid } from "./grid.js";
import { PhotoMap } from "./map.js";
import { attachBar, Selection } from "./selection.js";
import { beginSession } from "./session.js";
import { periodAt, showTimeline } from "./timeline.js";
import { Viewer } from "./viewer.js";
import { currentLanguage, setLanguage, t, translate } from "./words.js";

const at = (id) => document.getElementById(id);

history.scrollRestoration = "manual";

let asked = read();
let answer = null; // of /api/search
let periods = []; // of /api/timeline
let given = null; // a picture to be looked like
let asking = new AbortController();
let selecting = null;

const selection = new Selection();
const grid = new Grid(at("grid"), { selection, opened: openPhoto, moved: sayWhere });
const viewer = new Viewer(at("viewer"), {
  selection,
  parameters: () => parameters(asked.like ? { ...asked, q: "", edit: [] } : asked, currentLanguage(), ["order", "period", "area"]),
  moved: (photo) => (photo === null ? closedPhoto() : go({ ...asked, photo: String(photo) }, { replace: true })),
  like: (photo, part) => go({ ...read(""), like: part ? `${photo}@${part}` : String(photo) }),
  find,
});
const map = new PhotoMap(at("map"), (area) => go({ ...asked, like: "", area: area.map((each) => each.toFixed(5)).join(","), photo: "" }));

start();

async function start() {
  say();
  await beginSession();
  attach();
  await show({ first: true });
}

/** All texts, in the language of the moment. */
function say() {
  translate();
  at("language").textContent = t("other_language");
  at("language").setAttribute("aria-label", t("other_language_label"));
  at("language").lang = currentLanguage() === "zh" ? "en" : "zh-Hans";
}

function attach() {
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const q = at("q").value.trim();
    go({ q, edit: [], order: "", period: asked.period, area: asked.area, like: "", photo: "" });
  });
  at("by-picture").addEventListener("click", () => at("picture").click());
  at("picture").addEventListener("change", () => {
    lookLike(at("picture").files);
    at("picture").value = "";
  });
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    lookLike(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => lookLike(event.clipboardData?.files ?? []));
  at("home").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(read(""));
  });
  at("order").addEventListener("change", () => go({ ...asked, order: at("order").value, photo: "" }));
  at("language").addEventListener("click", () => {
    setLanguage(currentLanguage() === "zh" ? "en" : "zh");
    say();
    grid.retell();
    selecting();
    show({ keep: true });
  });
  at("show-timeline").addEventListener("click", () => togglePanel("timeline"));
  at("show-map").addEventListener("click", () => togglePanel("map"));
  selecting = attachBar(at("selection"), selection, announce, find);
  addEventListener("popstate", (event) => {
    const before = asked;
    asked = read();
    if (answer && sameResults(before, asked)) showPhoto();
    else show({ scrolled: event.state?.y });
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [popover]");
    if (event.key === "/" && !typing && !at("viewer").open && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      at("q").focus();
      at("q").select();
    } else if (event.key === "Escape" && event.target === at("q")) grid.focus(grid.firstSeen());
    else if (event.key === "ArrowDown" && event.target === at("q")) {
      event.preventDefault();
      grid.focus(grid.firstSeen());
    }
  });
  for (const panel of ["timeline", "map"]) if (remembered(panel)) setPanel(panel, true);
}

/** Another address, and what it stands for. */
function go(next, { replace = false } = {}) {
  const same = answer && sameResults(asked, next);
  history.replaceState({ ...history.state, y: scrollY }, "");
  if (replace) history.replaceState(history.state, "", write(next));
  else history.pushState({}, "", write(next));
  asked = next;
  if (same) showPhoto();
  else show({});
}

/** Ask for what the address says. `keep`: the same photos, said in another language. */
async function show({ first = false, keep = false, scrolled = 0 }) {
  if (asked.like === GIVEN && !given) { // the page was loaded anew
    asked = read("");
    history.replaceState(history.state, "", write(asked));
  }
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const mine = asked;
  at("q").value = asked.q;
  at("trouble").hidden = true;
  const slow = setTimeout(() => { at("count").textContent = t("loading"); }, 150);
  try {
    const waiting = () => { clearTimeout(slow); at("count").textContent = t("model"); };
    const [photo, part] = asked.like.split("@");
    const found = asked.like === GIVEN ? await postPicture("/api/like", given, { signal, waiting })
      : asked.like
      ? await ask(`/api/photos/${encodeURIComponent(photo)}/similar`, part && new URLSearchParams({ part }), { signal, waiting })
      : await ask("/api/search", parameters(asked, currentLanguage()), { signal, waiting });
    if (mine !== asked && !sameResults(mine, asked)) return;
    answer = found;
  } catch (problem) {
    if (problem.name !== "AbortError") complain(problem);
    return;
  } finally {
    clearTimeout(slow);
  }
  setVersion(answer.version);
  const focused = focusedChip();
  showChips(at("chips"), at("menu"), at("unsure"), answer.query, asked, { change, drop });
  giveBack(focused);
  document.title = asked.q ? `${asked.q} · Isthmus` : "Isthmus";
  at("order").value = answer.query.order;
  at("order-label").hidden = Boolean(asked.like);
  at("order").querySelector('[value="relevance"]').hidden = !answer.query.words && !asked.like;
  tellCount();
  tellNothing();
  at("bar").querySelector(".tools").hidden = !answer.total;
  if (!keep) {
    grid.show(answer);
    scrollTo(0, scrolled ?? 0);
  }
  showPhoto();
  await Promise.all([refreshTimeline(signal), at("map").hidden ? null : refreshMap()]);
  if (first && !asked.q && !at("viewer").open) at("q").focus({ preventScroll: true });
}

/** The first of the files is what photos shall look like. */
function lookLike([picture]) {
  if (!picture) return;
  given = picture;
  answer = null; // another picture stands at the same address
  go({ ...read(""), like: GIVEN });
}

function find(q) {
  go({ ...read(""), q });
}

function tellCount() {
  const { count, total, sure } = answer;
  const byTime = answer.query.words && answer.query.order !== "relevance";
  at("count").textContent = byTime ? t("by_time", count) : t("count", count, total);
  const told = sure !== null && !byTime && sure < count;
  at("sure").textContent = told ? (sure ? t("sure", sure) : t("none_sure")) : "";
}

/** Nothing fits: which condition stands in the way, or that nothing is indexed. */
function tellNothing() {
  const none = at("none");
  none.hidden = answer.count > 0;
  none.replaceChildren();
  if (answer.count) return;
  const line = document.createElement("p");
  line.textContent = t(answer.total ? "nothing" : "no_photos");
  none.append(line);
  if (!answer.total) {
    const how = document.createElement("p");
    how.className = "faint";
    how.textContent = t("index_some");
    none.append(how);
  }
  answer.query.chips.forEach((chip, index) => {
    if (!chip.without) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t("would", chip.label, chip.without);
    button.addEventListener("click", () => change(`remove:${index}`));
    none.append(button);
  });
}

function change(edit) {
  go({ ...asked, edit: [...asked.edit, edit], like: "", photo: "" });
}

function drop(name) {
  go({ ...asked, [name]: "", photo: "" });
}

/** Which chip the keyboard is on, so that it is not lost when the chips are made anew. */
function focusedChip() {
  const item = document.activeElement?.closest?.("#chips > li");
  return item ? [...at("chips").children].indexOf(item) : -1;
}

function giveBack(index) {
  if (index < 0) return;
  const chips = at("chips").children;
  (chips[Math.min(index, chips.length - 1)]?.querySelector("button") ?? at("q")).focus({ preventScroll: true });
}

async function refreshTimeline(signal) {
  if (asked.like) {
    periods = [];
  } else {
    const found = await ask("/api/timeline", parameters(asked, currentLanguage(), ["period"]), { signal }).catch(() => null);
    if (!found) return;
    periods = found.periods;
  }
  const jumps = answer.query.order !== "relevance";
  showTimeline(at("timeline"), periods, {
    jumps: jumps && !asked.period, chosen: asked.period,
    go: (period, first) => {
      if (jumps && !asked.period) grid.reveal(first, { focus: true, top: true });
      else go({ ...asked, period: asked.period === period ? "" : period, photo: "" });
    },
  });
  at("show-timeline").hidden = !periods.length;
  at("timeline").hidden = !periods.length || at("show-timeline").getAttribute("aria-expanded") !== "true";
}

async function refreshMap({ fit = !asked.area } = {}) {
  if (asked.like) return;
  await map.show(parameters(asked, currentLanguage(), ["area"]), { fit });
  if (asked.area && fit) map.lookAt(asked.area.split(",").map(Number));
}

function togglePanel(name) {
  setPanel(name, at(`show-${name}`).getAttribute("aria-expanded") !== "true");
}

function setPanel(name, open) {
  at(`show-${name}`).setAttribute("aria-expanded", open);
  at(name).hidden = !open || (name === "timeline" && !periods.length);
  try {
    localStorage.setItem(`isthmus.${name}`, open ? "open" : "closed");
  } catch { /* it holds until the page is left */ }
  if (name === "map" && open && answer) {
    refreshMap().then(() => { if (asked.area) map.lookAt(asked.area.split(",").map(Number)); });
  }
}

function remembered(name) {
  try {
    return (localStorage.getItem(`isthmus.${name}`) ?? (name === "timeline" ? "open" : "closed")) === "open";
  } catch {
    return name === "timeline";
  }
}

function openPhoto(index) {
  go({ ...asked, photo: String(answer.photos[index]) });
}

/** The photo that the address names, or none. */
function showPhoto() {
  if (!asked.photo) {
    viewer.close();
    return;
  }
  const index = grid.indexOf(Number(asked.photo));
  if (index < 0) {
    go({ ...asked, photo: "" }, { replace: true });
    return;
  }
  grid.reveal(index);
  if (viewer.photo !== Number(asked.photo) || !at("viewer").open) viewer.open(answer, index);
}

function closedPhoto() {
  const index = viewer.index;
  if (asked.photo) go({ ...asked, photo: "" });
  if (index >= 0 && answer && viewer.results === answer) grid.focus(index);
}

let hiding = 0;

/** In an order by time: which month the window shows. */
function sayWhere(index) {
  const where = at("where");
  const period = answer?.query.order !== "relevance" && !asked.like ? periodAt(periods, index) : null;
  if (!period) return;
  where.textContent = periodLabel(period);
  where.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => where.classList.remove("shown"), 900);
}

function announce(text) {
  at("selected").textContent = text;
}

function complain(problem) {
  at("count").textContent = at("sure").textContent = "";
  at("trouble").textContent = problem.message;
  at("trouble").hidden = false;
}
