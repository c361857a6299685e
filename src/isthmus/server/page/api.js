// Asking the server. Every failure is a Problem, whose `message` can be shown.

import { t } from "./words.js";

export class Problem extends Error {}

/** {status, answering, waiting, ...}; null where nobody answers. */
export async function health() {
  const answer = await fetch("/health").catch(() => null);
  return answer?.json().catch(() => null) ?? null;
}

/** The model's name. */
export async function modelName() {
  const answer = await fetch("/v1/models").catch(() => null);
  if (answer?.status === 401) throw new Problem(t("no_session"));
  return answer?.ok ? (await answer.json()).data[0].id : "";
}

/** Yields the chunks of an answer to `messages`, as the API writes them. */
export async function* ask(messages, signal) {
  const body = { model: "default", messages, stream: true, stream_options: { include_usage: true }, isthmus: { receipt: true } };
  const answer = await fetch("/v1/chat/completions", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
  }).catch((error) => {
    throw error.name === "AbortError" ? error : new Problem(t("no_server"));
  });
  if (answer.status === 401) throw new Problem(t("no_session"));
  if (!answer.ok) throw new Problem((await answer.json().catch(() => null))?.error?.message ?? answer.statusText);
  for await (const event of events(answer.body)) {
    if (event === "[DONE]") return;
    const chunk = JSON.parse(event);
    if (chunk.error) throw new Problem(chunk.error.message);
    yield chunk;
  }
}

/** The data of each event of a stream of bytes. */
async function* events(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Problem(t("no_server"));
    });
    if (done) return;
    held += decoder.decode(value, { stream: true });
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield part.slice(6);
  }
}
