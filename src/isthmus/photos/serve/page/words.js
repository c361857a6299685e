// Everything the page says, in English and Chinese.

const number = new Intl.NumberFormat();
const n = (value) => number.format(value);
const some = (count, one, many) => `${n(count)} ${count === 1 ? one : many}`;

const WORDS = {
  en: {
    title: "Photos", skip: "To the photos", home: "Isthmus, all photos", search: "Search photos", find: "Search",
    example: "boats in Lisbon last summer", reading: "How it was read", order: "Order",
    relevance: "Best match first", newest: "Newest first", oldest: "Oldest first", timeline: "Timeline", map: "Map",
    photos_found: "Photos found", selection: "Selected photos", copy_paths: "Copy paths", zip: "Originals (zip)",
    clear: "Clear", change: "Change this condition", photo: "Photo", previous: "Previous photo", next: "Next photo",
    about: "About this photo", more_like: "More like this", select: "Select", original: "Original", close: "Close",
    zoom_in: "Zoom in", zoom_out: "Zoom out", fit_all: "All", only_here: "Only photos in this view",
    other_language: "中文", other_language_label: "改用中文",
    kinds: { time: "when", place: "where", name: "who", camera: "camera", kind: "kind", text: "text", count: "how many",
      sort: "order", words: "shows", period: "when", area: "where", like: "like" },
    not: "not", remove: (label) => `Remove: ${label}`, edit: (label) => `Change: ${label}`,
    say: "Say instead", apply: "Apply", invert: "Leave these out", invert_back: "Only these",
    as_words: "Describe the picture with it", rather: (label) => `Rather ${label}`,
    unsure: (words) => `Not understood as a condition, so it describes the picture: ${words}.`,
    taken_for: (words) => `Chinese words are taken for: ${words}.`, unknown: (words) => `Not in the dictionary: ${words}.`,
    here: "nearest to the words",
    count: (count, total) => count === total ? some(count, "photo", "photos") : `${n(count)} of ${some(total, "photo", "photos")}`,
    by_time: (count) => `The ${n(count)} best matches, by time`,
    sure: (count) => `${n(count)} sure, these come first`, none_sure: "none sure, the nearest come first",
    less_sure: "Less sure", loading: "Searching…", model: "The model is being loaded; this takes a few seconds…",
    nothing: "No photo fits all of this.", no_photos: "No photos are indexed yet.",
    index_some: "Index some with: isthmus photos index FOLDER",
    would: (label, count) => `Without “${label}”: ${some(count, "photo", "photos")}`,
    place: (at, of) => `Photo ${n(at)} of ${n(of)}`, away: "its file is not there now", no_date: "Unknown date",
    month_photos: (month, count) => `${month}: ${some(count, "photo", "photos")}`,
    jump: "goes there", filter: "only these", this_area: "Area on the map", this_photo: "This photo", this_part: "This part of a photo", this_picture: "A picture of yours",
    by_picture: "Search by a picture", by_picture_how: "Find photos like a picture. You can also drop one on the page, or paste it.",
    placed: (count) => `${some(count, "photo", "photos")} with a known place`,
    cluster: (count) => `${some(count, "photo", "photos")} here`,
    selected: (count) => `${n(count)} selected`, copied: (count) => `${some(count, "path", "paths")} copied`,
    too_many: (most) => `At most ${n(most)} photos at once`, not_copied: "The browser did not allow copying",
    taken: "Taken", at: "Place", camera: "Camera", lens: "Lens", size: "Size", people: "People", keywords: "Keywords",
    rating: "Rating", kind: "Kind", file: "File", copies: "Copies", why: "Why it was found", similarity: "Similarity",
    altitude: (metres) => `${n(Math.round(metres))} m above the sea`, file_away: "not there now", from: {
      name: "from the file's name", gps: "from GPS" },
    no_picture: "The file is not there now, and no picture of it was kept.", copy: "Copy path",
    file_kinds: { photo: "photo", video: "video", screenshot: "screenshot", panorama: "panorama", document: "document",
      selfie: "selfie", raw: "raw", animation: "animation" },
    no_session: "This page was not opened by you: open the address that isthmus printed when it was started.",
    no_server: "The server does not answer. Is isthmus photos serve still running?",
    selected_now: "selected", deselected_now: "no longer selected",
    part: "Mark a part", part_how: "The marked part. Arrows move it, Shift with an arrow changes its size, Escape takes it away.",
    more_like_part: "More like this part", name_it: "Name…", name_label: "Who or what is it?", name_example: "Rex",
    name_do: "Name", name_stays: "Photos that show it are looked for on this machine.",
    name_more: "Found better by three photos or more, or by a marked part.", name_busy: "Looking through all photos…",
    name_found: (name, count) => `${name}: in ${some(count, "photo", "photos")}`, name_show: (name) => `Show ${name}`,
    named: "Named", not_it: (name) => `Not ${name}`, not_it_said: (name) => `Not ${name}: noted`,
  },
  zh: {
    title: "照片", skip: "跳到照片", home: "Isthmus，所有照片", search: "搜索照片", find: "搜索",
    example: "去年夏天在里斯本拍的船", reading: "理解成了什么", order: "顺序",
    relevance: "最相符在前", newest: "最新在前", oldest: "最早在前", timeline: "时间轴", map: "地图",
    photos_found: "找到的照片", selection: "选中的照片", copy_paths: "复制路径", zip: "原图（zip）",
    clear: "取消选择", change: "修改这个条件", photo: "照片", previous: "上一张", next: "下一张",
    about: "关于这张照片", more_like: "更多相似的", select: "选中", original: "原图", close: "关闭",
    zoom_in: "放大", zoom_out: "缩小", fit_all: "全部", only_here: "只看这个范围",
    other_language: "English", other_language_label: "Switch to English",
    kinds: { time: "时间", place: "地点", name: "人物", camera: "相机", kind: "类型", text: "文字", count: "数量",
      sort: "顺序", words: "画面", period: "时间", area: "地点", like: "相似" },
    not: "不含", remove: (label) => `去掉：${label}`, edit: (label) => `修改：${label}`,
    say: "改成", apply: "确定", invert: "排除这些", invert_back: "只要这些",
    as_words: "当作画面的描述", rather: (label) => `改为${label}`,
    unsure: (words) => `没有理解为条件，当作画面的描述：${words}。`,
    taken_for: (words) => `模型不懂中文，读作：${words}。`, unknown: (words) => `词典里没有：${words}。`,
    here: "最像的部分",
    count: (count, total) => count === total ? `${n(count)} 张照片` : `${n(total)} 张照片中的 ${n(count)} 张`,
    by_time: (count) => `最相符的 ${n(count)} 张，按时间排列`,
    sure: (count) => `有把握的 ${n(count)} 张在前`, none_sure: "没有一张有把握，最相近的在前",
    less_sure: "把握不大", loading: "正在搜索…", model: "正在载入模型，需要几秒钟…",
    nothing: "没有照片符合全部条件。", no_photos: "还没有索引照片。",
    index_some: "先运行：isthmus photos index 文件夹",
    would: (label, count) => `去掉“${label}”：${n(count)} 张`,
    place: (at, of) => `第 ${n(at)} 张，共 ${n(of)} 张`, away: "文件现在不在", no_date: "时间未知",
    month_photos: (month, count) => `${month}：${n(count)} 张`,
    jump: "跳到那里", filter: "只看这些", this_area: "地图上的范围", this_photo: "这张照片", this_part: "照片的这一部分", this_picture: "您给的图片",
    by_picture: "以图搜图", by_picture_how: "找与一张图片相似的照片。也可以把图片拖到页面上，或粘贴进来。",
    placed: (count) => `${n(count)} 张照片知道地点`,
    cluster: (count) => `这里有 ${n(count)} 张`,
    selected: (count) => `已选 ${n(count)} 张`, copied: (count) => `已复制 ${n(count)} 条路径`,
    too_many: (most) => `一次最多 ${n(most)} 张`, not_copied: "浏览器不允许复制",
    taken: "拍摄时间", at: "地点", camera: "相机", lens: "镜头", size: "尺寸", people: "人物", keywords: "关键词",
    rating: "评分", kind: "类型", file: "文件", copies: "副本", why: "为什么找到它", similarity: "相似度",
    altitude: (metres) => `海拔 ${n(Math.round(metres))} 米`, file_away: "现在不在", from: {
      name: "来自文件名", gps: "来自 GPS" },
    no_picture: "文件现在不在，也没有保留它的小图。", copy: "复制路径",
    file_kinds: { photo: "照片", video: "视频", screenshot: "截图", panorama: "全景", document: "文档", selfie: "自拍",
      raw: "RAW", animation: "动图" },
    no_session: "这个页面不是由您打开的：请打开 isthmus 启动时显示的地址。",
    no_server: "服务器没有回应。isthmus photos serve 还在运行吗？",
    selected_now: "已选中", deselected_now: "已取消选中",
    part: "框选一部分", part_how: "框选的部分。方向键移动，Shift 加方向键改变大小，Escape 取消。",
    more_like_part: "更多像这部分的", name_it: "命名…", name_label: "这是谁，或是什么？", name_example: "旺财",
    name_do: "命名", name_stays: "只在这台机器上查找有它的照片。",
    name_more: "选三张以上，或框出它，会找得更准。", name_busy: "正在查看所有照片…",
    name_found: (name, count) => `${name}：${n(count)} 张照片`, name_show: (name) => `显示${name}`,
    named: "已命名", not_it: (name) => `不是${name}`, not_it_said: (name) => `已记下：不是${name}`,
  },
};

const KEPT = "isthmus.language";

let language = kept() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

function kept() {
  try {
    const chosen = localStorage.getItem(KEPT);
    return chosen in WORDS ? chosen : null;
  } catch {
    return null; // a browser that keeps nothing
  }
}

export function currentLanguage() {
  return language;
}

export function setLanguage(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch { /* it holds until the page is left */ }
}

/** A text by its name; some take values. */
export function t(name, ...values) {
  const text = WORDS[language][name];
  return typeof text === "function" ? text(...values) : text;
}

/** Texts, labels and placeholders of what stands in the HTML. */
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const each of root.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of root.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
  for (const each of root.querySelectorAll("[data-placeholder]")) each.placeholder = t(each.dataset.placeholder);
  for (const each of root.querySelectorAll("[data-title]")) each.title = t(each.dataset.title);
}

/** ISO 8601 as exactly as it is known: "2018", "2018-05", "2018-05-03", "2018-05-03T14:25:30". */
export function when(iso, short = false) {
  const [year, month, day, hour, minute] = iso.split(/[-T:]/).map(Number);
  // As UTC on both sides: it is wall time where the photo was taken, whatever the zone of this browser.
  const date = new Date(Date.UTC(2000, (month || 1) - 1, day || 1, hour || 0, minute || 0));
  date.setUTCFullYear(year);
  const parts = { timeZone: "UTC", year: "numeric" };
  if (month) parts.month = short ? "short" : "long";
  if (day) parts.day = "numeric";
  if (hour !== undefined && !short) Object.assign(parts, { hour: "2-digit", minute: "2-digit", weekday: "long" });
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", parts).format(date);
}

export { n as formatted };
