// Everything the page says, in English and Chinese; which of them, the browser's language tells.

const WORDS = {
  en: {
    title: "Ask a model about pictures", skip: "To the question", new: "New conversation", conversation: "Conversation",
    hint: "Drop a picture here, paste it, or choose one; then ask about it.", pictures: "Pictures to be sent",
    question: "Ask about the picture", attach: "Add a picture", keys: "Enter sends, Escape stops", stop: "Stop",
    send: "Send", you: "You", model: "Model", remove: (name) => `Leave out ${name}`, picture: (name) => `Picture: ${name}`,
    loading: "The model is being loaded…", ready: "Ready", busy: "Busy: a question waits its turn",
    stopping: "The server is shutting down", no_server: "The server does not answer. Is isthmus serve still running?",
    no_session: "This page was not opened by you: open the address that isthmus printed when it was started.",
    waiting: "Waiting…", stopped: "Stopped.", cut: "Cut short: the longest answer allowed, or the context, is used up.",
    ended: "Cut short: the server was shut down.",
    ledger: (ms) => `${ms} ms to the first text`, ledger_label: "Where the time to the first text went",
    tokens: (asked, pictures, answered) =>
      `${asked} tokens read${pictures === null ? "" : `, ${pictures} of them pictures`}; ${answered} written`,
    rate: (value) => `${value} tokens/s`, ms: (value) => `${value} ms`,
    parts: { queue: "waiting", decode: "opening", preprocess: "resizing", encoder: "encoder", connector: "connector",
      prompt: "prompt", splice: "splice", prefill: "prefill", sample: "first token", unattributed: "other" },
  },
  zh: {
    title: "就图片向模型提问", skip: "跳到提问", new: "新对话", conversation: "对话",
    hint: "把图片拖到这里、粘贴进来，或选择一张，然后提问。", pictures: "要发送的图片",
    question: "就图片提问", attach: "添加图片", keys: "回车发送，Esc 停止", stop: "停止",
    send: "发送", you: "您", model: "模型", remove: (name) => `不发送 ${name}`, picture: (name) => `图片：${name}`,
    loading: "正在载入模型…", ready: "就绪", busy: "繁忙：问题需要排队",
    stopping: "服务器正在关闭", no_server: "服务器没有回应。isthmus serve 还在运行吗？",
    no_session: "这个页面不是由您打开的：请打开 isthmus 启动时显示的地址。",
    waiting: "请稍候…", stopped: "已停止。", cut: "回答被截断：已到允许的最大长度，或上下文已用完。",
    ended: "回答被截断：服务器已关闭。",
    ledger: (ms) => `${ms} 毫秒后出现第一个字`, ledger_label: "出现第一个字之前的时间花在哪里",
    tokens: (asked, pictures, answered) =>
      `读入 ${asked} 个 token${pictures === null ? "" : `，其中图片 ${pictures} 个`}；写出 ${answered} 个`,
    rate: (value) => `每秒 ${value} 个 token`, ms: (value) => `${value} 毫秒`,
    parts: { queue: "排队", decode: "打开图片", preprocess: "缩放", encoder: "编码器", connector: "连接器",
      prompt: "提示词", splice: "拼接", prefill: "预填充", sample: "首个 token", unattributed: "其他" },
  },
};

const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
const formats = new Map();

/** A text by its name; some take values. */
export function t(name, ...values) {
  const text = WORDS[language][name];
  return typeof text === "function" ? text(...values) : text;
}

export function number(value, digits = 0) {
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat(language, { maximumFractionDigits: digits }));
  return formats.get(digits).format(value);
}

/** Texts, labels and placeholders of what stands in the HTML. */
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
  for (const each of document.querySelectorAll("[data-placeholder]")) each.placeholder = t(each.dataset.placeholder);
}
