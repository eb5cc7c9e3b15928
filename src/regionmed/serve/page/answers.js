// The right column: sentences with bars, cards of similar regions, and a card enlarged.

import { thumbnail } from "./api.js";

const $ = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
}

const figure = (similarity) => similarity.toFixed(2).replace("-0.00", "0.00").replace("-", "−");

// no finding is certain, and none is out of the question
function percent(probability) {
  if (probability < 0.005) return "< 1 %";
  return probability >= 0.995 ? "> 99 %" : `${Math.round(100 * probability)} %`;
}

function showSentences(sentences) {
  const calibrated = sentences.some(({ probability }) => probability !== null);
  $("columns").hidden = !calibrated;
  $("sentences").classList.toggle("calibrated", calibrated);
  $("sentences").replaceChildren(
    ...sentences.map(({ text, similarity, probability }) => {
      const item = make("li");
      const measure = make("span", "measure");
      const bar = make("i");
      bar.style.width = `${100 * Math.min(Math.max(similarity, 0), 1)}%`;
      measure.append(bar);
      const likely = make("span", "likely", probability === null ? "–" : percent(probability));
      if (probability === null) likely.title = "No finding of a region: it has no probability";
      item.append(make("span", "text", text), ...(calibrated ? [likely] : []),
        make("span", "similarity", figure(similarity)), measure);
      return item;
    }),
  );
  return calibrated;
}

// The doubt stands above the answers and hides none of them.
function showCertainty({ unsure, unjudged }) {
  $("unsure").hidden = unsure === null;
  $("unsure-reason").textContent = unsure ?? "";
  $("unjudged").hidden = unjudged === null;
  $("unjudged").textContent = unjudged === null ? "" : `Not judged: ${unjudged}.`;
}

function meaningOfLikely({ findings }) {
  const count = findings.rows.toLocaleString("en");
  return `Likely: the probability among the findings of this index. It was calibrated on ${count} `
    + "validation regions of its corpora and holds for regions like these alone.";
}

// A picture of `extent` [x0, y0, x1, y1] (file pixels) with a box of the same frame drawn over it.
function framed(source, extent, box, alt) {
  const [x0, y0, x1, y1] = extent;
  const [w, h] = [x1 - x0, y1 - y0];
  const frame = make("span", "framed");
  frame.style.aspectRatio = `${w} / ${h}`;
  frame.style.width = w >= h ? "100%" : `${(100 * w) / h}%`;
  const image = make("img");
  image.src = source;
  image.alt = alt;
  image.loading = "lazy";
  frame.append(image);
  if (box) {
    const mark = make("span", "mark");
    mark.style.left = `${(100 * (box[0] - x0)) / w}%`;
    mark.style.top = `${(100 * (box[1] - y0)) / h}%`;
    mark.style.width = `${(100 * (box[2] - box[0])) / w}%`;
    mark.style.height = `${(100 * (box[3] - box[1])) / h}%`;
    frame.append(mark);
  }
  return frame;
}

// a label in one word, as many sets write them, may break before its capitals: Active|Tuberculosis
const breakable = (label) => label.replace(/([a-z])([A-Z])/g, "$1\u200b$2");
const title = (match) =>
  match.label ? breakable(match.label) : match.region === null ? "Whole picture" : "No label";

// `index` holds the counts that /api/status gives, `opened` is the sha256 of the picture asked about.
export function showAnswer(answer, index, opened) {
  const { box, sentences, regions, unsure } = answer;
  const kind = box ? "regions" : "pictures";
  $("sentences-of").textContent = `nearest of ${answer.choices.toLocaleString("en")}; none need fit`;
  $("matches-title").textContent = `Most similar ${kind}`;
  $("matches-of").textContent = `nearest of ${index[kind].toLocaleString("en")}`;
  showCertainty(answer);
  $("likely-means").textContent = showSentences(sentences) ? meaningOfLikely(index.certainty) : "";
  showMatches($("matches"), regions, opened);
  const [best] = sentences;
  const doubt = unsure === null ? "" : `Unsure: ${unsure}. `;
  $("spoken").textContent = best ? `${doubt}Best match: ${best.text}, similarity ${figure(best.similarity)}` : "";
}

// `opened` is the sha256 of the picture on the screen: a hit in that very picture is marked as such.
export function showMatches(list, matches, opened = null) {
  list.replaceChildren(
    ...matches.map((match) => {
      const item = make("li");
      const card = make("button", "card");
      card.type = "button";
      const thumb = make("span", "thumb");
      const extent = match.view ?? [0, 0, match.width, match.height];
      thumb.append(framed(thumbnail(match.number), extent, match.box, ""));
      const caption = make("span", "caption");
      const same = opened !== null && match.sha256 === opened;
      const second = make("span", same ? "same" : "quiet", same ? "this very picture" : match.set);
      const third = make("span", "quiet number", `similarity ${figure(match.similarity)}`);
      caption.append(make("span", "label", title(match)), second, third);
      card.append(thumb, caption);
      card.title = match.region === null ? "Whole picture" : `Region ${match.region + 1} of its picture`;
      card.addEventListener("click", () => enlarge(match));
      item.append(card);
      return item;
    }),
  );
}

function enlarge(match) {
  $("enlarged-title").textContent = title(match);
  const whole = [0, 0, match.width, match.height];
  const picture = framed(thumbnail(match.picture), whole, match.box, `Picture of ${match.record}`);
  // as large as the screen allows, and no larger than twice its own 512 pixels
  const [wide, high] = [Math.min(innerWidth * 0.94 - 310, 640), innerHeight * 0.92 - 90];
  picture.style.width = `${Math.min(wide, (high * match.width) / match.height)}px`;
  $("enlarged-picture").replaceChildren(picture);
  const facts = [
    ["Similarity (cosine)", figure(match.similarity)],
    ["Description", match.phrase],
    ["Box in file pixels", match.box ? match.box.map((edge) => Math.round(edge * 10) / 10).join(", ") : "whole picture"],
    ["Picture", `${match.width} × ${match.height} px, shown as a thumbnail`],
    ["Record", match.record],
    ["Set, split", [match.set, match.split].filter(Boolean).join(", ")],
    ["Seen in training", { true: "yes", false: "no" }[match.in_training] ?? "unknown"],
  ];
  $("enlarged-facts").replaceChildren(
    ...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]),
  );
  $("enlarged").showModal();
}

export function showStatus({ model, index, version }) {
  const count = (n, what) => `${n.toLocaleString("en")} ${what}`;
  const trained = model.training_pictures === null ? "training data unknown"
    : `trained on ${count(model.training_pictures, "pictures")}`;
  const parts = ["Model ", make("b", "", model.name), model.stage ? `, stage ${model.stage}` : "",
    `, ${trained}, fingerprint `, make("code", "", model.fingerprint.slice(0, 12))];
  $("model-status").replaceChildren(...parts);
  $("model-status").title = $("model-status").textContent;
  $("index-status").textContent =
    `Index: ${count(index.pictures, "pictures")}, ${count(index.regions, "regions")}, ` +
    `${count(index.sentences, "sentences")} · regionmed ${version}`;
}
