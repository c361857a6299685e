// Where the time of an answer went: one bar, its parts as wide as they took long, and the same in numbers.

import { number, t } from "./words.js";

/** receipt: {parts, unattributed, total} in seconds; usage as the API has it; seconds: from the first text to the end. */
export function ledger(receipt, usage, seconds) {
  const figure = document.createElement("figure");
  figure.className = "ledger";
  const parts = [...Object.entries(receipt.parts), ["unattributed", Math.max(receipt.unattributed, 0)]];
  const bar = element("div", "bar", "");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", t("ledger_label"));
  const legend = element("ul", "legend", "");
  for (const [part, taken] of parts) {
    const piece = element("i", `part-${part}`, "");
    piece.style.flexGrow = 1e6 * taken; // shares below 1 would leave room
    bar.append(piece);
    const line = element("li", "", "");
    line.dataset.part = part;
    line.append(element("i", `part-${part}`, ""), `${t("parts")[part] ?? part} `, element("b", "", t("ms", number(1000 * taken, 1))));
    legend.append(line);
  }
  const caption = element("figcaption", "", t("ledger", number(1000 * receipt.total, 1)));
  figure.append(bar, caption, legend);
  if (usage) {
    const pictures = usage.prompt_tokens_details?.image_tokens ?? null;
    const told = [t("tokens", number(usage.prompt_tokens), pictures === null ? null : number(pictures), number(usage.completion_tokens))];
    if (usage.completion_tokens > 1 && seconds > 0) told.push(t("rate", number((usage.completion_tokens - 1) / seconds, 1)));
    figure.append(element("p", "usage", told.join(" · ")));
  }
  return figure;
}

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}
