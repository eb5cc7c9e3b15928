// The opened picture and the window it is shown under. DICOM greys are windowed from their values
// after rescale, other pictures from their 8-bit pixels.

import * as api from "./api.js";
import { shadeBytes, shadeGrey } from "./window.js";

const EIGHT_BIT = { center: 127.5, width: 255, function: "LINEAR_EXACT" }; // shows bytes as they are

export class Display {
  // description: what POST /api/pictures said. bitmap: its pixels as opened.
  constructor(description, bitmap) {
    this.opened = description;
    this.canvas = document.createElement("canvas");
    this.canvas.width = description.width;
    this.canvas.height = description.height;
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.drawImage(bitmap, 0, 0);
    this.shades = this.context.getImageData(0, 0, description.width, description.height);
    this.bytes = this.shades.data.slice();
    this.greys = null; // Promise of Float32Array, fetched with the first change of window
    this.first = description.window ?? EIGHT_BIT;
    this.window = this.first;
  }

  get changed() { return this.window !== this.first; }

  // Whether the model reads the picture under the window on the screen.
  get windowIsRead() { return this.opened.window !== null; }

  // Shades for another window; false where a later change overtook this one.
  async apply(window) {
    this.window = window;
    if (this.windowIsRead) {
      const values = await this.values();
      if (window !== this.window) return false;
      shadeGrey(values, window, this.opened.inverted, this.shades.data);
    } else {
      shadeBytes(this.bytes, window, this.shades.data);
    }
    this.context.putImageData(this.shades, 0, 0);
    return true;
  }

  reset() {
    this.window = this.first;
    this.shades.data.set(this.bytes);
    this.context.putImageData(this.shades, 0, 0);
  }

  async values() {
    this.greys ??= api.values(this.opened.id);
    try {
      return await this.greys;
    } catch (error) {
      this.greys = null; // so that the next change asks again
      throw error;
    }
  }

  // The value beneath a file pixel, once values are here; null before, and for 8-bit pictures.
  async valueAt(x, y) {
    const values = this.greys && (await this.values().catch(() => null));
    return values ? values[y * this.opened.width + x] : null;
  }
}
