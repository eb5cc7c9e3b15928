// The page: opens a picture, keeps box, window and fields in step, and asks when something changed.

import * as api from "./api.js";
import { figure, showMatches, showSentences, showStatus } from "./answers.js";
import { moved, resized } from "./geometry.js";
import { Viewer } from "./viewer.js";
import { dragged, shadeBytes, shadeGrey } from "./window.js";

const $ = (id) => document.getElementById(id);
const viewer = new Viewer($("canvas"));
const PATIENCE = 350; // ms without a further change before a question is asked
const EIGHT_BIT = { center: 127.5, width: 255, function: "LINEAR_EXACT" }; // shows bytes as they are

// the picture on the screen: what the server said of it, its pixels, and how it is shown now
let opened = null; // {id, width, height, window, inverted, ...}
let bytes = null; // RGBA as opened
let greys = null; // Promise of Float32Array, fetched with the first change of window
let shades = null; // ImageData on the viewer's source canvas
let shown = null; // the window on the screen
let shownWhenDragged = null;
let asked = 0; // number of the latest question: answers to earlier ones are dropped
let timer = 0;
let aboutWhole = false;

// --- opening

async function open(file) {
  if (!file) return;
  const number = ++asked;
  clearTimeout(timer);
  complain(null);
  $("facts").textContent = "Opening…";
  try {
    const description = await api.openPicture(file);
    const bitmap = await api.pixels(description.id);
    if (number !== asked) return;
    const source = document.createElement("canvas");
    source.width = description.width;
    source.height = description.height;
    const context = source.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    shades = context.getImageData(0, 0, source.width, source.height);
    [opened, bytes, greys, aboutWhole] = [description, shades.data.slice(), null, false];
    viewer.show(source);
    showOpened(file.name);
  } catch (error) {
    if (number !== asked) return;
    $("facts").textContent = opened ? describeOpened() : "";
    complain(error.message);
  }
}

function showOpened(name) {
  opened.name = name;
  $("empty").hidden = true;
  $("hint").hidden = false;
  $("facts").textContent = describeOpened();
  $("facts").title = name;
  for (const id of ["window-center", "window-width", "ask-whole"]) $(id).disabled = false;
  $("box-form").querySelector("fieldset").disabled = false;
  for (const [edge, most] of [["x0", opened.width], ["x1", opened.width], ["y0", opened.height], ["y1", opened.height]]) {
    field(edge).max = most;
  }
  $("window-kind").textContent = opened.window ? "values after rescale" : "display only, 8-bit";
  setShown(opened.window ?? EIGHT_BIT);
  changeBox(null, false);
  $("canvas").focus({ preventScroll: true });
}

function describeOpened() {
  const { format, frame, frames } = opened.applied;
  const which = frames > 1 ? `, frame ${frame + 1} of ${frames}` : "";
  const seen = opened.in_training ? " · the model was trained on this picture" : "";
  return `${opened.name} · ${opened.width} × ${opened.height} px · ${format}${which}${seen}`;
}

// --- window

function setShown(window) {
  shown = window;
  $("window-center").value = window.center;
  $("window-width").value = window.width;
}

async function changeWindow(window, done) {
  const of = opened;
  setShown(window);
  try {
    if (of.window) {
      greys ??= api.values(of.id);
      const values = await greys;
      if (of !== opened || window !== shown) return; // overtaken by another picture or a later window
      shadeGrey(values, window, of.inverted, shades.data);
    } else {
      shadeBytes(bytes, window, shades.data);
    }
  } catch (error) {
    greys = null;
    complain(error.message);
    return;
  }
  viewer.source.getContext("2d").putImageData(shades, 0, 0);
  viewer.refresh();
  if (done && of.window && (viewer.box || aboutWhole)) askSoon(); // what the model reads has changed
}

function resetWindow() {
  if (!opened) return;
  setShown(opened.window ?? EIGHT_BIT);
  shades.data.set(bytes);
  viewer.source.getContext("2d").putImageData(shades, 0, 0);
  viewer.refresh();
  if (opened.window && (viewer.box || aboutWhole)) askSoon();
}

function windowTyped() {
  const [center, width] = [$("window-center").valueAsNumber, $("window-width").valueAsNumber];
  if (Number.isFinite(center) && width > 0 && (shown.function !== "LINEAR" || width >= 1)) {
    changeWindow({ ...shown, center, width }, true);
  } else {
    setShown(shown);
  }
}

// --- box

const field = (name) => $("box-form").elements.namedItem(name);

function changeBox(box, done) {
  viewer.setBox(box);
  if (box) aboutWhole = false;
  ["x0", "y0", "x1", "y1"].forEach((name, i) => (field(name).value = box ? box[i] : ""));
  $("box-size").textContent = box ? `${box[2] - box[0]} × ${box[3] - box[1]} px` : "";
  $("clear-box").disabled = !box;
  if (box) $("hint").hidden = true;
  if (box && done) askSoon();
  if (!box) forgetAnswer();
}

function boxTyped() {
  const edges = ["x0", "y0", "x1", "y1"].map((name) => field(name).valueAsNumber);
  if (!edges.every(Number.isFinite)) return;
  const [x0, y0, x1, y1] = edges.map(Math.round);
  const fits = x0 >= 0 && y0 >= 0 && x0 < x1 && y0 < y1 && x1 <= opened.width && y1 <= opened.height;
  if (!fits) {
    complain(`The box needs x0 < x1 and y0 < y1 inside ${opened.width} × ${opened.height} file pixels.`);
    return;
  }
  changeBox([x0, y0, x1, y1], true);
}

function nudge(event) {
  const step = event.shiftKey ? 10 : 1;
  const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  const change = event.altKey ? (box, ...rest) => resized(box, "se", ...rest) : moved;
  changeBox(change(viewer.box, dx, dy, opened.width, opened.height), true);
}

// --- questions

function askSoon() {
  clearTimeout(timer);
  timer = setTimeout(askNow, PATIENCE);
}

function askWhole() {
  if (!opened) return;
  changeBox(null, false);
  aboutWhole = true;
  $("hint").hidden = true;
  clearTimeout(timer);
  askNow();
}

async function askNow() {
  clearTimeout(timer);
  const number = ++asked;
  const window = opened.window && shown !== opened.window ? shown : null;
  $("answer").setAttribute("aria-busy", "true");
  $("no-answer").hidden = true;
  try {
    const answer = await api.ask({ id: opened.id, box: viewer.box, window });
    if (number !== asked) return;
    complain(null);
    showSentences($("sentences"), answer.sentences);
    $("matches-title").textContent = answer.box ? "Most similar regions" : "Most similar pictures";
    showMatches($("matches"), answer.regions, opened.sha256);
    $("read-as").textContent = readAs(answer);
    const best = answer.sentences[0];
    $("spoken").textContent = best ? `Best match: ${best.text}, similarity ${figure(best.similarity)}` : "";
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
  if (!opened.window) return `${what}, read with the file's own shades; the window on the screen is for display only.`;
  const { center, width } = applied.window ?? opened.window;
  return `${what}, read by the model under the window on the screen: centre ${center}, width ${width}.`;
}

function forgetAnswer() {
  clearTimeout(timer);
  asked += 1;
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
  b: () => opened && changeBox(viewer.middleBox(), true),
  f: () => viewer.fit(),
  1: () => viewer.zoomTo(1 / devicePixelRatio),
  "+": () => viewer.zoomTo(viewer.scale * 1.25),
  "=": () => viewer.zoomTo(viewer.scale * 1.25),
  "-": () => viewer.zoomTo(viewer.scale / 1.25),
  r: resetWindow,
  a: askWhole,
  "/": () => choose("text"),
  "?": () => $("keys").showModal(),
  Escape: () => opened && changeBox(null, false),
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
viewer.addEventListener("window", ({ detail }) => {
  shownWhenDragged ??= shown;
  const dy = opened.inverted ? -detail.dy : detail.dy; // up is brighter on every picture
  changeWindow(dragged(shownWhenDragged, opened.window ?? EIGHT_BIT, detail.dx, dy), detail.done);
  if (detail.done) shownWhenDragged = null;
});
viewer.addEventListener("view", ({ detail }) => {
  $("zoom").textContent = `${Math.round(100 * detail.scale * devicePixelRatio)} %`;
});
viewer.addEventListener("cursor", async ({ detail }) => {
  const at = detail && `x ${detail.x}  y ${detail.y} px`;
  const of = opened;
  const values = detail && greys ? await greys.catch(() => null) : null;
  if (of !== opened) return;
  const value = values ? `   value ${Number(values[detail.y * of.width + detail.x].toPrecision(6))}` : "";
  $("cursor").textContent = at ? at + value : "";
});

api.status().then(showStatus, (error) => {
  $("model-status").textContent = error.message;
});
