// The found photos by month, a bar each; a span too long for that is shown by year.

import { periodLabel } from "./chips.js";
import { t } from "./words.js";

const MOST_BARS = 150;

/**
 * section: where it goes; periods: of /api/timeline; jumps: whether a bar leads to its photos in the grid, or filters;
 * chosen: the period that is filtered by; go(period, first).
 */
export function showTimeline(section, periods, { jumps, chosen, go }) {
  const dated = periods.filter((each) => each.period !== "unknown");
  const bars = arranged(dated);
  const most = Math.max(1, ...bars.map((bar) => bar.count));
  const strip = document.createElement("div");
  strip.className = "strip";
  strip.role = "toolbar";
  strip.setAttribute("aria-label", t("timeline"));
  bars.forEach((bar, place) => strip.append(element(bar, place === 0, most, { jumps, chosen, go })));
  const unknown = periods.find((each) => each.period === "unknown");
  section.replaceChildren(strip);
  if (unknown) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet undated";
    button.textContent = t("month_photos", t("no_date"), unknown.count);
    button.setAttribute("aria-pressed", chosen === "unknown");
    button.addEventListener("click", () => go("unknown", unknown.first));
    section.append(button);
  }
  rove(strip);
}

/** Every month, or every year, from the first to the last: an empty one is a gap. */
function arranged(dated) {
  if (!dated.length) return [];
  const months = dated.filter((each) => each.period.length === 7);
  const [from, to] = [dated[0].period, dated[dated.length - 1].period];
  const span = (Number(to.slice(0, 4)) - Number(from.slice(0, 4)) + 1) * 12;
  if (span <= MOST_BARS && months.length === dated.length) {
    const found = new Map(dated.map((each) => [each.period, each]));
    const bars = [];
    let [year, month] = from.split("-").map(Number);
    for (let period = from; period <= to;) {
      bars.push(found.get(period) ?? { period, count: 0, first: -1 });
      month += 1;
      if (month > 12) { month = 1; year += 1; }
      period = `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}`;
    }
    return bars;
  }
  const years = new Map();
  for (const { period, count, first } of dated) {
    const year = period.slice(0, 4);
    const bar = years.get(year) ?? { period: year, count: 0, first };
    years.set(year, { period: year, count: bar.count + count, first: Math.min(bar.first, first) });
  }
  return [...years.values()];
}

function element(bar, first, most, { jumps, chosen, go }) {
  const year = bar.period.slice(0, 4), month = Number(bar.period.slice(5));
  // January says the year; so does the first bar, where the next January leaves room.
  const labelled = !month || month === 1 || (first && month <= 8);
  const cell = document.createElement("div");
  cell.className = "month";
  if (labelled) {
    const label = document.createElement("span");
    label.className = "year";
    label.textContent = year;
    cell.append(label);
  }
  if (!bar.count) return cell;
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  const text = t("month_photos", periodLabel(bar.period), bar.count);
  button.setAttribute("aria-label", `${text}, ${t(jumps ? "jump" : "filter")}`);
  button.title = text;
  if (!jumps) button.setAttribute("aria-pressed", chosen === bar.period);
  button.classList.toggle("chosen", chosen === bar.period);
  const fill = document.createElement("i");
  // By the square root: a month of one photo is still seen beside one of a thousand.
  fill.style.height = `${Math.max(6, Math.sqrt(bar.count / most) * 100)}%`;
  button.append(fill);
  button.addEventListener("click", () => go(bar.period, bar.first));
  cell.prepend(button);
  return cell;
}

function rove(strip) {
  const buttons = [...strip.querySelectorAll("button")];
  if (!buttons.length) return;
  const start = buttons.find((button) => button.classList.contains("chosen")) ?? buttons[buttons.length - 1];
  start.tabIndex = 0;
  strip.scrollLeft = strip.scrollWidth;
  strip.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  });
}

/** The period that the photo at `index` of a grid ordered by time is in. */
export function periodAt(periods, index) {
  let found = null;
  for (const each of periods) {
    if (each.first <= index && (!found || each.first > found.first)) found = each;
  }
  return found?.period ?? null;
}
