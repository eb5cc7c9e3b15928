// Boxes [x0, y0, x1, y1] in file pixels, edges whole numbers inside the picture. Pure functions.

// The box two corners span, cut at the picture; null where nothing is left.
export function spanned(ax, ay, bx, by, width, height) {
  const box = [
    Math.max(0, Math.round(Math.min(ax, bx))),
    Math.max(0, Math.round(Math.min(ay, by))),
    Math.min(width, Math.round(Math.max(ax, bx))),
    Math.min(height, Math.round(Math.max(ay, by))),
  ];
  return box[0] < box[2] && box[1] < box[3] ? box : null;
}

// The box moved, its size kept, stopped at the picture's edges.
export function moved(box, dx, dy, width, height) {
  const [x0, y0, x1, y1] = box;
  const x = Math.min(Math.max(Math.round(dx), -x0), width - x1);
  const y = Math.min(Math.max(Math.round(dy), -y0), height - y1);
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

// The box with the edges named in `grip` ("n", "se", ...) moved; dragged past the other side it turns over.
export function resized(box, grip, dx, dy, width, height) {
  const [x0, y0, x1, y1] = box;
  return (
    spanned(
      grip.includes("w") ? x0 + dx : x0,
      grip.includes("n") ? y0 + dy : y0,
      grip.includes("e") ? x1 + dx : x1,
      grip.includes("s") ? y1 + dy : y1,
      width,
      height,
    ) ?? box
  );
}

// Which part of the box a screen point touches: a grip, "inside" or null. `reach` in the same unit.
export function touched(box, x, y, reach) {
  const [x0, y0, x1, y1] = box;
  if (x < x0 - reach || x > x1 + reach || y < y0 - reach || y > y1 + reach) return null;
  // on a small box the inner half of each reach stays free, so that it can still be moved
  const [rx, ry] = [Math.min(reach, (x1 - x0) / 4), Math.min(reach, (y1 - y0) / 4)];
  const vertical = y < y0 + ry ? "n" : y > y1 - ry ? "s" : "";
  const horizontal = x < x0 + rx ? "w" : x > x1 - rx ? "e" : "";
  return vertical + horizontal || "inside";
}
