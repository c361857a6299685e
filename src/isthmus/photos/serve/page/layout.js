// Rows of equal height that fill the width, each photo as wide as its shape asks. Pure: numbers in, numbers out.

const NARROWEST = 0.45;
const WIDEST = 3.2; // a panorama is cut in its tile, not in the full view

/** The tile's shape: width by height. */
export function shape(width, height) {
  return Math.min(WIDEST, Math.max(NARROWEST, width / height));
}

/**
 * widths, heights: of the photos, in their order; width: of the page; row: the height to aim at; gap: between tiles.
 * `parting`: before which photo a new part begins after `space`, or -1.
 * Gives first [rows + 1], the photo each row begins with; top and height [rows]; total, the height of all.
 */
export function layOut(widths, heights, width, { row, gap, parting = -1, space = 0 }) {
  const count = widths.length;
  const first = [0], top = [], height = [];
  let y = 0, at = 0;
  while (at < count) {
    if (at === parting) y += space;
    const limit = at < parting ? parting : count;
    let shapes = 0, end = at;
    while (end < limit) {
      const next = shapes + shape(widths[end], heights[end]);
      const tall = fit(width, next, end - at + 1, gap);
      if (end > at && tall < row) {
        // This one makes the row lower than aimed at: it comes in where that is nearer than without it.
        if (row - tall < fit(width, shapes, end - at, gap) - row) { shapes = next; end += 1; }
        break;
      }
      shapes = next;
      end += 1;
      if (tall <= row) break;
    }
    let tall = fit(width, shapes, end - at, gap);
    if (end === limit && tall > row * 1.25) tall = row; // the last row need not fill the width
    top.push(y);
    height.push(tall);
    y += tall + gap;
    at = end;
    first.push(at);
  }
  return { first, top, height, total: Math.max(0, y - gap) };
}

function fit(width, shapes, count, gap) {
  return (width - gap * (count - 1)) / shapes;
}

/** The last row that begins at or above y, by halving. */
export function rowAt(rows, y) {
  let low = 0, high = rows.top.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows.top[middle] <= y) low = middle; else high = middle - 1;
  }
  return low;
}

/** The row of a photo. */
export function rowOf(rows, photo) {
  let low = 0, high = rows.top.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (rows.first[middle] <= photo) low = middle; else high = middle - 1;
  }
  return low;
}
