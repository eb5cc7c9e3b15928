// Grey values -> shades 0 to 255 under a window, as PS3.3 C.11.2.1 defines it. Pure functions.

// The largest value that is black and the span up to white; SIGMOID has no ends and is done apart.
function ends(window) {
  return window.function === "LINEAR"
    ? { start: window.center - 0.5 - (window.width - 1) / 2, span: window.width - 1 }
    : { start: window.center - window.width / 2, span: window.width };
}

function shader(window) {
  if (window.function === "SIGMOID") {
    return (value) => 255 / (1 + Math.exp((-4 * (value - window.center)) / window.width));
  }
  const { start, span } = ends(window);
  if (span <= 0) return (value) => (value > start ? 255 : 0); // LINEAR of width 1 is a step
  const slope = 255 / span;
  return (value) => (value - start) * slope;
}

// values: Float32Array, one a pixel. rgba: a Uint8ClampedArray, which rounds and cuts to 0..255.
export function shadeGrey(values, window, inverted, rgba) {
  const shade = shader(window);
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const grey = inverted ? 255 - shade(values[i]) : shade(values[i]);
    rgba[at] = rgba[at + 1] = rgba[at + 2] = grey;
    rgba[at + 3] = 255;
  }
}

// The same for pictures of 8 bits a channel, each channel by itself, from the pixels as opened.
export function shadeBytes(opened, window, rgba) {
  const shade = shader(window);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, value) => shade(value));
  for (let at = 0; at < opened.length; at += 4) {
    rgba[at] = table[opened[at]];
    rgba[at + 1] = table[opened[at + 1]];
    rgba[at + 2] = table[opened[at + 2]];
    rgba[at + 3] = 255;
  }
}

// A right-drag by dx, dy screen pixels: 400 pixels sideways add the width the picture opened with.
export function dragged(window, opened, dx, dy) {
  const step = opened.width / 400;
  const least = window.function === "LINEAR" ? 1 : opened.width / 1000;
  return {
    ...window,
    center: tidy(window.center + dy * step, opened.width),
    width: Math.max(least, tidy(window.width + dx * step, opened.width)),
  };
}

// Three digits below the width it opened with are as fine as an eye can tell.
function tidy(value, scale) {
  const unit = 10 ** (Math.floor(Math.log10(scale)) - 2);
  return Number((Math.round(value / unit) * unit).toPrecision(10));
}
