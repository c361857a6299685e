// The secret with which a page was opened.

/** The secret in the address becomes a cookie, and leaves the address. */
export async function beginSession() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  const answer = await fetch("/api/session", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
  }).catch(() => null);
  // Refused: the cookie of an earlier exchange may still hold, and the first question will show.
  return answer?.ok;
}
