// The page: pictures and questions go in, answers come while they are made. What a model says is text, never markup.

import { ask, health, modelName, Problem } from "./api.js";
import { ledger } from "./ledger.js";
import { beginSession } from "./session.js";
import { t, translate } from "./words.js";

const at = (id) => document.getElementById(id);

let messages = []; // the conversation, in the API's shape
let pictures = []; // {name, address, data}: to be sent with the next question
let asking = null; // the AbortController of an answer under way

start();

async function start() {
  translate();
  attach();
  await beginSession();
  follow();
  try {
    at("name").textContent = await modelName();
  } catch (error) {
    trouble(error);
  }
  at("text").focus();
}

/** What the server says of itself: often while the model is being loaded, else now and then. */
async function follow() {
  const found = document.hidden ? undefined : await health();
  if (found !== undefined) at("state").textContent = t(found?.status ?? "no_server");
  setTimeout(follow, found?.status === "loading" ? 500 : 5000);
}

function attach() {
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  at("text").addEventListener("keydown", (event) => {
    // Enter also ends the writing of a Chinese word: then it is not for us.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") stop();
  });
  at("stop").addEventListener("click", stop);
  at("new").addEventListener("click", begin);
  at("attach").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => {
    add(at("file").files);
    at("file").value = "";
  });
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
}

/** A conversation without a past. */
function begin() {
  stop();
  messages = [];
  pictures = [];
  showPictures();
  at("log").replaceChildren(at("hint"));
  at("hint").hidden = false;
  at("trouble").hidden = true;
  at("text").value = "";
  at("text").focus();
}

function stop() {
  asking?.abort();
}

async function add(files) {
  for (const file of [...files]) {
    pictures.push({ name: file.name, address: URL.createObjectURL(file), data: await asDataUri(file) });
  }
  showPictures();
  at("text").focus();
}

function asDataUri(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onerror = () => failed(reader.error);
    // The server looks at the bytes; the type only has to be that of some picture.
    reader.onload = () => {
      const kind = file.type.startsWith("image/") ? file.type : "image/unknown";
      done(`data:${kind}${reader.result.slice(reader.result.indexOf(";base64,"))}`);
    };
    reader.readAsDataURL(file);
  });
}

function showPictures() {
  at("pictures").hidden = !pictures.length;
  at("pictures").replaceChildren(...pictures.map((picture) => {
    const item = document.createElement("li");
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", t("remove", picture.name));
    remove.addEventListener("click", () => {
      pictures = pictures.filter((each) => each !== picture);
      showPictures();
      at("text").focus();
    });
    item.append(shown(picture), remove);
    return item;
  }));
}

function shown(picture) {
  const image = document.createElement("img");
  image.src = picture.address;
  image.alt = t("picture", picture.name);
  return image;
}

async function send() {
  const text = at("text").value.trim();
  if (asking || (!text && !pictures.length)) return;
  const sent = pictures;
  const parts = sent.map((each) => ({ type: "image_url", image_url: { url: each.data } }));
  if (text) parts.push({ type: "text", text });
  const conversation = [...messages, { role: "user", content: parts }];
  const question = turn("user", t("you"), text);
  question.prepend(...sent.map(shown));
  const answer = turn("model", t("model"), "");
  at("hint").hidden = true;
  at("trouble").hidden = true;
  at("text").value = "";
  pictures = [];
  showPictures();
  const mine = (asking = new AbortController());
  busy(true);
  const told = await tell(answer, conversation, mine.signal);
  if (asking !== mine) return; // another conversation was begun
  asking = null;
  busy(false);
  if (told.text) messages = [...conversation, { role: "assistant", content: told.text }];
  else if (!told.done) {
    // It can be asked again.
    if (!at("text").value) at("text").value = text;
    pictures = [...sent, ...pictures];
    showPictures();
    question.remove();
    answer.remove();
    at("hint").hidden = at("log").childElementCount > 1;
  }
  at("text").focus();
}

/** Shows an answer while it comes. {text, done}: what was said, and whether to the end. */
async function tell(answer, conversation, signal) {
  const words = answer.querySelector(".words");
  let text = "", usage = null, ours = null, reason = null, first = 0;
  words.textContent = t("waiting");
  words.classList.add("faint");
  answer.setAttribute("aria-busy", "true");
  try {
    for await (const chunk of ask(conversation, signal)) {
      const choice = chunk.choices[0];
      if (choice?.delta.content) {
        first ||= performance.now();
        text += choice.delta.content;
        words.classList.remove("faint");
        say(words, text);
      }
      reason = choice?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
      ours = chunk.isthmus ?? ours;
    }
    say(words, text);
    if (ours?.ended) note(answer, t("ended"));
    else if (reason === "length") note(answer, t("cut"));
    if (ours?.receipt) append(answer, ledger(ours.receipt, usage, (performance.now() - first) / 1000));
    return { text, done: true };
  } catch (error) {
    say(words, text);
    if (error.name === "AbortError") note(answer, t("stopped"));
    else trouble(error);
    return { text, done: false };
  } finally {
    answer.removeAttribute("aria-busy");
  }
}

function turn(kind, who, text) {
  const made = document.createElement("article");
  made.className = `turn ${kind}`;
  made.setAttribute("aria-label", who);
  const words = document.createElement("p");
  words.className = "words";
  words.textContent = text;
  made.append(words);
  append(at("log"), made);
  return made;
}

function say(words, text) {
  const follows = isAtEnd();
  words.textContent = text;
  if (follows) goToEnd();
}

function note(answer, text) {
  const made = document.createElement("p");
  made.className = "note faint";
  made.textContent = text;
  append(answer, made);
}

function append(place, made) {
  const follows = isAtEnd();
  place.append(made);
  if (follows) goToEnd();
}

/** Whoever has scrolled up to read is left there. */
function isAtEnd() {
  const log = at("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function goToEnd() {
  at("log").scrollTop = at("log").scrollHeight;
}

function busy(is) {
  at("stop").hidden = !is;
  at("send").hidden = is;
}

function trouble(error) {
  at("trouble").textContent = error instanceof Problem ? error.message : String(error);
  at("trouble").hidden = false;
}
