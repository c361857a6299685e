// How the sentence was read, a chip each: taken off, turned round, read otherwise, or said otherwise.

import { GIVEN } from "./address.js";
import { t, when } from "./words.js";

/**
 * list: the <ul>; menu: the popover; answer: a QueryAnswer; asked: the address; change(edit): a further edit of the
 * sentence's chips; drop(name): a filter goes.
 */
export function showChips(list, menu, unsure, answer, asked, { change, drop }) {
  const chips = (answer?.chips ?? []).map((chip, index) => queryChip(chip, index, menu, change));
  for (const name of ["period", "area", "like"]) {
    if (asked[name]) chips.push(filterChip(name, asked[name], drop));
  }
  list.replaceChildren(...chips);
  const quoted = (texts) => texts.map((text) => `“${text}”`).join(", ");
  const unread = quoted((answer?.unsure ?? []).map((each) => each.text));
  const { words = [], unknown = [] } = answer?.gloss ?? {};
  const taken = words.map(([word, meaning]) => `${word} ${meaning}`).join(", ");
  unsure.textContent = [taken && t("taken_for", taken), unknown.length && t("unknown", quoted(unknown)), unread && t("unsure", unread)].filter(Boolean).join(" ");
  unsure.hidden = !unsure.textContent;
}

function queryChip(chip, index, menu, change) {
  const item = document.createElement("li");
  item.className = "chip";
  item.dataset.kind = chip.kind;
  item.classList.toggle("negative", chip.negative);
  const open = document.createElement("button");
  open.type = "button";
  open.className = "what";
  open.setAttribute("aria-haspopup", "dialog");
  open.setAttribute("aria-label", t("edit", `${chip.negative ? t("not") + " " : ""}${chip.label}`));
  open.append(part("kind", t("kinds")[chip.kind]));
  if (chip.negative) open.append(part("no", t("not")));
  open.append(part("label", chip.label));
  if (chip.note) open.title = chip.note;
  open.addEventListener("click", () => openMenu(menu, open, chip, index, change));
  item.append(open, remover(chip.label, () => change(`remove:${index}`)));
  return item;
}

function filterChip(name, value, drop) {
  const item = document.createElement("li");
  item.className = "chip filter";
  item.dataset.kind = name;
  const label = name === "period" ? periodLabel(value) : t(name === "area" ? "this_area" : likeLabel(value));
  const what = document.createElement("span");
  what.className = "what";
  what.append(part("kind", t("kinds")[name]), part("label", label));
  item.append(what, remover(label, () => drop(name)));
  return item;
}

function likeLabel(value) {
  if (value === GIVEN) return "this_picture";
  return value.includes("@") ? "this_part" : "this_photo";
}

export function periodLabel(period) {
  return period === "unknown" ? t("no_date") : when(period);
}

function remover(label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "remove";
  button.setAttribute("aria-label", t("remove", label));
  button.textContent = "×";
  button.addEventListener("click", act);
  return button;
}

function openMenu(menu, button, chip, index, change) {
  const act = (edit) => { menu.hidePopover(); change(edit); };
  const form = document.createElement("form");
  const input = document.createElement("input");
  input.value = chip.text;
  input.maxLength = 200;
  input.setAttribute("aria-label", t("say"));
  form.append(input, choice(t("apply"), null, "submit"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = input.value.trim();
    act(said ? `say:${index}:${said}` : `remove:${index}`);
  });
  const choices = chip.alternatives.map((label, which) => choice(t("rather", label), () => act(`other:${index}:${which}`)));
  if (!["count", "sort"].includes(chip.kind)) {
    choices.push(choice(t(chip.negative ? "invert_back" : "invert"), () => act(`invert:${index}`)));
  }
  if (chip.kind !== "words") choices.push(choice(t("as_words"), () => act(`words:${index}`)));
  menu.replaceChildren(form, ...choices);
  if (chip.note) menu.append(part("note", chip.note));
  menu.showPopover();
  const at = button.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.left, innerWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${at.bottom + 6}px`;
  input.focus();
  input.select();
  menu.ontoggle = (event) => {
    if (event.newState === "closed" && button.isConnected) button.focus({ preventScroll: true });
  };
}

function choice(text, act, type = "button") {
  const button = document.createElement("button");
  button.type = type;
  button.textContent = text;
  if (act) button.addEventListener("click", act);
  return button;
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}
