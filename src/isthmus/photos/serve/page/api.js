// Asking the server. Every failure is a Problem, whose `message` can be shown.

import { t } from "./words.js";

export class Problem extends Error {
  constructor(status, error) {
    super([error.what, error.why].filter(Boolean).join(": ") + (error.todo ? ` (${error.todo})` : ""));
    this.status = status;
    this.code = error.code;
  }
}

/** JSON of a GET. While the model is being loaded it asks again, after `waiting` was told. */
export function ask(path, parameters, { signal, waiting } = {}) {
  const query = parameters?.toString();
  return request(query ? `${path}?${query}` : path, { signal }, waiting);
}

/** JSON of a POST of JSON. */
export function post(path, body) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** JSON of a POST of a picture's file. */
export function postPicture(path, picture, { signal, waiting } = {}) {
  const headers = { "Content-Type": "application/octet-stream" };
  return request(path, { method: "POST", headers, body: picture, signal }, waiting);
}

async function request(address, options, waiting) {
  for (;;) {
    const answer = await fetch(address, options).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { what: t("no_server"), code: "no_server" });
    });
    if (answer.ok) return answer.json();
    const { error } = await answer.json().catch(() => ({ error: { what: answer.statusText, code: "refused" } }));
    if (answer.status === 503 && error.code === "not_ready") {
      waiting?.();
      await new Promise((go) => setTimeout(go, 700));
      if (options.signal?.aborted) throw new DOMException("", "AbortError");
      continue;
    }
    if (answer.status === 401) throw new Problem(401, { what: t("no_session"), code: error.code });
    throw new Problem(answer.status, error);
  }
}

let version = "";

/** Thumbnails of this version of the library may be kept by the browser for ever. */
export function setVersion(value) {
  version = value;
}

export function thumbnail(photo, size = "tile") {
  return `/api/photos/${photo}/thumbnail?size=${size}&v=${version}`;
}
