// What is looked at, as it stands in the browser's address: it can be kept, sent and gone back to.

/** `like` of a picture that was given to the page: no address can hold it. */
export const GIVEN = "picture";

const FILTERS = ["order", "period", "area", "like", "photo"];

/** {q, edit: [...], order, period, area, like, photo}; what is not said is "". */
export function read(search = location.search) {
  const said = new URLSearchParams(search);
  const asked = { q: said.get("q") ?? "", edit: said.getAll("edit") };
  for (const name of FILTERS) asked[name] = said.get(name) ?? "";
  return asked;
}

export function write(asked) {
  const said = new URLSearchParams();
  if (asked.q) said.set("q", asked.q);
  for (const each of asked.edit) said.append("edit", each);
  for (const name of FILTERS) if (asked[name]) said.set(name, asked[name]);
  const text = said.toString();
  return text ? `/?${text}` : "/";
}

/** As the API takes it; `without` names filters to leave out. */
export function parameters(asked, language, without = []) {
  const said = new URLSearchParams();
  if (asked.q) said.set("q", asked.q);
  for (const each of asked.edit) said.append("edit", each);
  for (const name of ["order", "period", "area"]) {
    if (asked[name] && !without.includes(name)) said.set(name, asked[name]);
  }
  said.set("language", language);
  return said;
}

/** Which photos and in which order, whatever is open in front of them. */
export function sameResults(a, b) {
  return write({ ...a, photo: "" }) === write({ ...b, photo: "" });
}
