// The page: opens a picture, keeps box, window and fields in step, and asks when something changed.

import * as api from "./api.js";
import { showAnswer, showMatches, showStatus } from "./answers.js";
import { Display } from "./display.js";
import { moved, resized } from "./geometry.js";
import { Viewer } from "./viewer.js";
import { dragged } from "./window.js";

const $ = (id) => document.getElementById(id);
const EDGES = ["x0", "y0", "x1", "y1"];
const PATIENCE = 350; // ms without a further change before a question is asked
const viewer = new Viewer($("canvas"));
const status = api.status();

let display = null; // the opened picture
let dragFrom = null; // the window a right-drag began with
let aboutWhole = false; // the answers on the page are about the whole picture
let openings = 0; // number of the latest file, and
let asked = 0; // of the latest question: what answers to earlier ones is dropped
let timer = 0;

// --- opening

async function open(file) {
  if (!file) return;
  const number = ++openings;
  complain(null);
  $("facts").textContent = "Opening…";
  try {
    const description = await api.openPicture(file);
    const bitmap = await api.pixels(description.id);
    if (number !== openings) return; // another file was chosen meanwhile
    display = new Display({ ...description, name: file.name }, bitmap);
    showOpened();
  } catch (error) {
    if (number !== openings) return;
    $("facts").textContent = display ? describeOpened() : "";
    complain(error.message);
  }
}

function showOpened() {
  const { opened } = display;
  $("empty").hidden = true;
  $("hint").hidden = false;
  $("facts").textContent = $("facts").title = describeOpened();
  for (const id of ["window-center", "window-width", "ask-whole"]) $(id).disabled = false;
  $("box-form").querySelector("fieldset").disabled = false;
  EDGES.forEach((edge, i) => (field(edge).max = i % 2 ? opened.height : opened.width));
  $("window-kind").textContent = display.windowIsRead ? "values after rescale" : "display only, 8-bit";
  showWindow();
  aboutWhole = false;
  viewer.show(display.canvas);
  changeBox(null, false);
  $("canvas").focus({ preventScroll: true });
}

function describeOpened() {
  const { name, width, height, applied, in_training: seen } = display.opened;
  const which = applied.frames > 1 ? `, frame ${applied.frame + 1} of ${applied.frames}` : "";
  const trained = seen ? " · the model was trained on this picture" : "";
  return `${name} · ${width} × ${height} px · ${applied.format}${which}${trained}`;
}

// --- window

function showWindow() {
  $("window-center").value = display.window.center;
  $("window-width").value = display.window.width;
}

async function changeWindow(window, done) {
  const on = display;
  try {
    const applied = on.apply(window);
    showWindow();
    if (!(await applied) || on !== display) return;
  } catch (error) {
    complain(error.message);
    return;
  }
  windowChanged(done);
}

function windowChanged(done) {
  viewer.refresh();
  // what the model reads has changed with it
  if (done && display.windowIsRead && (viewer.box || aboutWhole)) askSoon();
}

function resetWindow() {
  if (!display) return;
  display.reset();
  showWindow();
  windowChanged(true);
}

function windowTyped() {
  const [center, width] = [$("window-center").valueAsNumber, $("window-width").valueAsNumber];
  const least = display.window.function === "LINEAR" ? 1 : Number.MIN_VALUE;
  if (Number.isFinite(center) && width >= least) changeWindow({ ...display.window, center, width }, true);
  else showWindow();
}

// --- box

const field = (name) => $("box-form").elements.namedItem(name);

function changeBox(box, done) {
  viewer.setBox(box);
  if (box) aboutWhole = false;
  EDGES.forEach((name, i) => (field(name).value = box ? box[i] : ""));
  $("box-size").textContent = box ? `${box[2] - box[0]} × ${box[3] - box[1]} px` : "";
  $("clear-box").disabled = !box;
  if (box) $("hint").hidden = true;
  if (box && done) askSoon();
  if (!box) forgetAnswer();
}

function boxTyped() {
  const edges = EDGES.map((name) => field(name).valueAsNumber);
  if (!edges.every(Number.isFinite)) return;
  const [x0, y0, x1, y1] = edges.map(Math.round);
  const { width, height } = viewer;
  const fits = x0 >= 0 && y0 >= 0 && x0 < x1 && y0 < y1 && x1 <= width && y1 <= height;
  if (!fits) {
    complain(`The box needs x0 < x1 and y0 < y1 inside ${width} × ${height} file pixels.`);
    return;
  }
  changeBox([x0, y0, x1, y1], true);
}

function nudge(event) {
  const step = event.shiftKey ? 10 : 1;
  const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  const change = event.altKey ? (box, ...rest) => resized(box, "se", ...rest) : moved;
  changeBox(change(viewer.box, dx, dy, viewer.width, viewer.height), true);
}

// --- questions

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(askNow, PATIENCE);
}

function askWhole() {
  if (!display) return;
  changeBox(null, false);
  aboutWhole = true;
  $("hint").hidden = true;
  clearTimeout(timer);
  askNow();
}

async function askNow() {
  const number = ++asked;
  const { id, sha256 } = display.opened;
  const window = display.windowIsRead && display.changed ? display.window : null;
  $("answer").setAttribute("aria-busy", "true");
  $("no-answer").hidden = true;
  try {
    const answer = await api.ask({ id, box: viewer.box, window });
    const { index } = await status;
    if (number !== asked) return;
    complain(null);
    showAnswer(answer, index, sha256);
    $("read-as").textContent = readAs(answer);
    $("answer").hidden = false;
  } catch (error) {
    if (number !== asked) return;
    forgetAnswer();
    complain(error.message);
  }
  $("answer").setAttribute("aria-busy", "false");
}

function readAs({ applied, box }) {
  const what = box ? `Box ${box.join(", ")} (file pixels)` : "Whole picture";
  if (!display.windowIsRead) return `${what}, read with the file's own shades; the window on the screen is for display only.`;
  const { center, width } = applied.window ?? display.first;
  return `${what}, read by the model under the window on the screen: centre ${center}, width ${width}.`;
}

function forgetAnswer() {
  clearTimeout(timer);
  asked += 1;
  complain(null);
  $("answer").hidden = true;
  $("answer").setAttribute("aria-busy", "false");
  $("no-answer").hidden = false;
}

function complain(sentence, id = "problem") {
  $(id).hidden = !sentence;
  $(id).textContent = sentence ?? "";
}

async function searchText(event) {
  event.preventDefault();
  complain(null, "text-problem");
  try {
    showMatches($("found"), (await api.search($("text").value)).regions);
  } catch (error) {
    $("found").replaceChildren();
    complain(error.message, "text-problem");
  }
}

// --- tabs, keys, wiring

function choose(name) {
  for (const other of ["box", "text"]) {
    const chosen = other === name;
    $(`tab-${other}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${other}`).tabIndex = chosen ? 0 : -1;
    $(`panel-${other}`).hidden = !chosen;
  }
  if (name === "text") $("text").focus();
}

const KEYS = {
  o: () => $("file").click(),
  b: () => display && changeBox(viewer.middleBox(), true),
  f: () => viewer.fit(),
  1: () => viewer.zoomTo(1 / devicePixelRatio),
  "+": () => viewer.zoomTo(viewer.scale * 1.25),
  "=": () => viewer.zoomTo(viewer.scale * 1.25),
  "-": () => viewer.zoomTo(viewer.scale / 1.25),
  r: resetWindow,
  a: askWhole,
  "/": () => choose("text"),
  "?": () => $("keys").showModal(),
  Escape: () => display && changeBox(null, false),
};

function pressed(event) {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("input")) {
    if (event.key === "Escape") $("canvas").focus();
    return;
  }
  if (event.key === " " && !event.target.closest("button")) viewer.space = true;
  else if (event.key.startsWith("Arrow") && viewer.box && event.target === $("canvas")) nudge(event);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", pressed);
document.addEventListener("keyup", (event) => event.key === " " && (viewer.space = false));
for (const [id, key] of [["open", "o"], ["fit", "f"], ["actual", "1"], ["zoom-in", "+"], ["zoom-out", "-"],
  ["reset-window", "r"], ["ask-whole", "a"], ["clear-box", "Escape"], ["show-keys", "?"]]) {
  $(id).addEventListener("click", KEYS[key]);
}
for (const name of ["box", "text"]) $(`tab-${name}`).addEventListener("click", () => choose(name));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const other = $("panel-box").hidden ? "box" : "text";
  choose(other);
  $(`tab-${other}`).focus();
});
$("file").addEventListener("change", () => {
  open($("file").files[0]);
  $("file").value = ""; // so that the same file can be opened again
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("stage").classList.toggle("dropping", name === "dragenter" || name === "dragover");
    if (name === "drop") open(event.dataTransfer.files[0]);
  });
}
$("box-form").addEventListener("submit", (event) => { event.preventDefault(); boxTyped(); });
$("box-form").addEventListener("change", boxTyped);
$("text-form").addEventListener("submit", searchText);
for (const id of ["window-center", "window-width"]) $(id).addEventListener("change", windowTyped);

viewer.addEventListener("box", ({ detail }) => changeBox(detail.box, detail.done));
viewer.addEventListener("window", ({ detail: { dx, dy, done } }) => {
  dragFrom ??= display.window;
  const up = display.opened.inverted ? -dy : dy; // up is brighter on every picture
  changeWindow(dragged(dragFrom, display.first, dx, up), done);
  if (done) dragFrom = null;
});
viewer.addEventListener("view", ({ detail }) => {
  $("zoom").textContent = `${Math.round(100 * detail.scale * devicePixelRatio)} %`;
});
viewer.addEventListener("cursor", async ({ detail }) => {
  const on = display;
  const value = detail && (await on.valueAt(detail.x, detail.y));
  if (on !== display) return;
  const beneath = value === null ? "" : `   value ${Number(value.toPrecision(6))}`;
  $("cursor").textContent = detail ? `x ${detail.x}  y ${detail.y} px${beneath}` : "";
});

status.then(showStatus, (error) => {
  $("model-status").textContent = error.message;
});
