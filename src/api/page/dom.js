// Elements and texts. Whatever comes from the API becomes text, never markup.

const $ = (id) => document.getElementById(id);

/** Makes an element: attributes, `on…` listeners, then children, which are elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Sets a text if it differs, so that nothing is announced or selected anew without a reason. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes the children anew if what they show has changed. */
function fill(element, shown, children) {
  const key = JSON.stringify(shown);
  if (element.shown === key) return;
  element.shown = key;
  element.replaceChildren(...children());
}

/** Shows an error with what to do, or hides it. */
function showProblem(element, problem) {
  element.hidden = !problem;
  if (!problem) return element.replaceChildren();
  const texts = [problem.detail, problem.advice].filter(Boolean);
  element.replaceChildren(make("b", {}, problem.title), ...texts.map((text) => make("p", {}, text)));
}

const figures = new Intl.NumberFormat("en");
const grouped = (number) => figures.format(number ?? 0);
const plural = (count, one, more = `${one}s`) => `${grouped(count)} ${count === 1 ? one : more}`;
const sum = (counts) => Object.values(counts ?? {}).reduce((all, count) => all + count, 0);

/** Seconds as people read them. */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} days`;
}

/** A moment; with its day if that is another one. */
function moment(text) {
  const date = new Date(text);
  const time = date.toLocaleTimeString();
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString()} ${time}`;
}

/** A cell of a CSV file: quoted, and no formula for a spreadsheet. */
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

function download(name, rows) {
  const text = rows.map((row) => row.map(cell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv;charset=utf-8" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copies a text; the button says whether that worked, as browsers allow it on secure pages only. */
async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = label; }, 2_000);
}

/** Tells screen readers. */
const announce = (text) => { $("news").textContent = text; };
