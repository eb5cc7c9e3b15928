// The canvas: shows a picture, zooms, pans, and lets a box be drawn, moved and resized.
//
// File pixel (x, y) stands at CSS pixel (x * scale + left, y * scale + top). It reports through events:
// "box" {box, done}, "window" {dx, dy, done} while right-dragging, "cursor" {x, y} or null, "view".

import { moved, resized, spanned, touched } from "./geometry.js";

const REACH = 7; // CSS pixels around an edge that still take hold of it
const LEAST = 3; // CSS pixels; a shorter drag was a click
const CURSORS = {
  inside: "move", n: "ns-resize", s: "ns-resize", w: "ew-resize", e: "ew-resize",
  nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize",
};

export class Viewer extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.source = null; // what is drawn: a canvas of the file's size
    this.box = null;
    this.scale = 1;
    this.left = this.top = 0;
    this.fitted = true; // follows the size of the window until zoomed or panned
    this.drag = null;
    this.space = false;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => this.#tell("cursor", null));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  get width() { return this.source?.width ?? 0; }
  get height() { return this.source?.height ?? 0; }

  show(source) {
    this.source = source;
    this.box = null;
    this.fit();
  }

  // The same picture with other shades.
  refresh() { this.#draw(); }

  setBox(box) {
    this.box = box;
    this.#draw();
  }

  fit() {
    if (!this.source) return;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    this.scale = Math.min(w / this.width, h / this.height);
    this.left = (w - this.width * this.scale) / 2;
    this.top = (h - this.height * this.scale) / 2;
    this.fitted = true;
    this.#changed();
  }

  // Zoom to CSS pixels a file pixel, the CSS point (x, y) staying where it is; the middle by default.
  zoomTo(scale, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    if (!this.source) return;
    const next = Math.min(Math.max(scale, 0.02), 40);
    this.left = x - ((x - this.left) * next) / this.scale;
    this.top = y - ((y - this.top) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.#changed();
  }

  // A third of what is visible, in the middle of it: for those who draw without a mouse.
  middleBox() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const [ax, ay] = this.#file(0, 0).map((v) => Math.max(v, 0));
    const [bx, by] = [Math.min(this.#file(w, h)[0], this.width), Math.min(this.#file(w, h)[1], this.height)];
    const [tx, ty] = [(bx - ax) / 3, (by - ay) / 3];
    return spanned(ax + tx, ay + ty, bx - tx, by - ty, this.width, this.height);
  }

  #file(x, y) { return [(x - this.left) / this.scale, (y - this.top) / this.scale]; }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  #changed() {
    this.#draw();
    this.#tell("view", { scale: this.scale });
  }

  #resize() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    this.canvas.width = Math.round(w * devicePixelRatio);
    this.canvas.height = Math.round(h * devicePixelRatio);
    if (this.fitted) this.fit();
    this.#draw();
  }

  #down(event) {
    if (!this.source || this.drag) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const from = { x: event.offsetX, y: event.offsetY };
    if (event.button === 1 || (event.button === 0 && this.space)) {
      this.drag = { ...from, kind: "pan", left: this.left, top: this.top };
    } else if (event.button === 2) {
      this.drag = { ...from, kind: "window" };
    } else if (event.button === 0) {
      const grip = this.#grip(event);
      this.drag = { ...from, kind: grip ?? "draw", box: this.box };
    }
    event.preventDefault(); // the middle button would scroll
  }

  #grip(event) {
    return this.box && touched(this.box, ...this.#file(event.offsetX, event.offsetY), REACH / this.scale);
  }

  #move(event) {
    if (!this.source) return;
    const [x, y] = this.#file(event.offsetX, event.offsetY);
    const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    this.#tell("cursor", inside ? { x: Math.floor(x), y: Math.floor(y) } : null);
    if (this.drag) this.#follow(event, false);
    this.canvas.style.cursor = this.#cursor(event);
  }

  #cursor(event) {
    if (this.drag?.kind === "pan" || this.space) return this.drag ? "grabbing" : "grab";
    if (this.drag) return CURSORS[this.drag.kind] ?? "crosshair";
    return CURSORS[this.#grip(event)] ?? "crosshair";
  }

  #up(event) {
    if (!this.drag) return;
    this.#follow(event, true);
    this.drag = null;
  }

  #follow(event, done) {
    const { drag, width, height } = this;
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    if (drag.kind === "pan") {
      this.left = drag.left + dx;
      this.top = drag.top + dy;
      this.fitted = false;
      this.#changed();
    } else if (drag.kind === "window") {
      this.#tell("window", { dx, dy, done });
    } else {
      const [fx, fy] = [dx / this.scale, dy / this.scale];
      if (drag.kind === "draw") {
        if (Math.hypot(dx, dy) < LEAST) return;
        const from = this.#file(drag.x, drag.y);
        this.box = spanned(...from, from[0] + fx, from[1] + fy, width, height);
      } else if (drag.kind === "inside") {
        this.box = moved(drag.box, fx, fy, width, height);
      } else {
        this.box = resized(drag.box, drag.kind, fx, fy, width, height);
      }
      this.#draw();
      this.#tell("box", { box: this.box, done });
    }
  }

  #wheel(event) {
    if (!this.source) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1; // some mice count lines, others pixels
    this.zoomTo(this.scale * Math.exp(-event.deltaY * lines * 0.0015), event.offsetX, event.offsetY);
  }

  #draw() {
    const context = this.canvas.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    if (!this.source) return;
    context.imageSmoothingEnabled = this.scale < 4; // close up, file pixels are shown as they are
    context.imageSmoothingQuality = "high";
    context.drawImage(this.source, this.left, this.top, this.width * this.scale, this.height * this.scale);
    if (this.box) this.#drawBox(context);
  }

  #drawBox(context) {
    const [x0, y0, x1, y1] = this.box;
    const [x, y] = [x0 * this.scale + this.left, y0 * this.scale + this.top];
    const [w, h] = [(x1 - x0) * this.scale, (y1 - y0) * this.scale];
    for (const [colour, thick] of [["rgb(0 0 0 / .65)", 3.5], ["#e6bf6b", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.strokeRect(x, y, w, h);
    }
    if (w < 24 || h < 24) return; // grips would cover what the box is about
    context.fillStyle = "#e6bf6b";
    for (const [gx, gy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      context.fillRect(x + gx * w - 3, y + gy * h - 3, 6, 6);
    }
  }
}
