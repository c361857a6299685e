// A name for a person, a pet or a thing, by photos that show it.

import { ask, post } from "./api.js";
import { t } from "./words.js";

export const MOST = 24; // examples the server takes at once

/**
 * A form beside `button`, inside `home` (a dialog that is open makes all else inert). examples: [{photo, part}];
 * show(name): all photos with that name; said(text): read out.
 */
export async function openNaming(home, button, examples, { show, said }) {
  const menu = document.createElement("div");
  menu.popover = "auto";
  menu.className = "menu naming";
  menu.setAttribute("role", "dialog");
  menu.setAttribute("aria-label", t("name_label"));
  const form = document.createElement("form");
  const input = document.createElement("input");
  Object.assign(input, { maxLength: 80, required: true, autocomplete: "off", placeholder: t("name_example") });
  input.setAttribute("aria-label", t("name_label"));
  input.setAttribute("list", "known-names");
  const known = document.createElement("datalist");
  known.id = "known-names";
  const give = document.createElement("button");
  give.className = "main";
  give.textContent = t("name_do");
  form.append(input, give, known);
  const told = document.createElement("p");
  told.className = "note";
  told.setAttribute("role", "status");
  told.textContent = t(examples.some((each) => each.part) || examples.length > 2 ? "name_stays" : "name_more");
  menu.append(form, told);
  home.append(menu);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    give.disabled = true;
    told.textContent = t("name_busy");
    try {
      const named = await post("/api/names", { name: input.value, right: examples });
      told.textContent = t("name_found", named.name, named.photos);
      said(told.textContent);
      const all = document.createElement("button");
      all.type = "button";
      all.textContent = t("name_show", named.name);
      all.addEventListener("click", () => {
        menu.hidePopover();
        show(named.name);
      });
      form.replaceWith(all);
      all.focus();
    } catch (problem) {
      told.textContent = problem.message;
      give.disabled = false;
    }
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    menu.remove();
    if (button.isConnected) button.focus({ preventScroll: true });
  });
  menu.showPopover();
  const at = button.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - menu.offsetWidth - 8))}px`;
  menu.style.top = `${at.bottom + menu.offsetHeight + 14 > innerHeight ? at.top - menu.offsetHeight - 6 : at.bottom + 6}px`;
  input.focus();
  const { names } = await ask("/api/names").catch(() => ({ names: [] }));
  known.replaceChildren(...names.map(({ name }) => Object.assign(document.createElement("option"), { value: name })));
}
