// Where a face is: our landmark network, looking through windows of an image; a square is {x, y, side, angle} (center, radians).

const FIELD = 0.9; // side of what the network sees, in sides of the FFHQ square
const SEEN = 64;
const MOST_MOVED = 0.028; // of the side: how far looks from beside may take the points along
const SCALES = [0.3, 0.42, 0.6, 0.85, 1.15]; // of the shorter side of the image
const STEP = 0.3; // of a window's side
const AT_ONCE = 32;

export class FaceFinder {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
    this.canvas = new OffscreenCanvas(SEEN, SEEN);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  // The square of the clearest face in an image, or null.
  async find(image, width, height) {
    const windows = [];
    for (const scale of SCALES) {
      const side = scale * Math.min(width, height);
      for (let y = side * 0.35; y <= height - side * 0.35; y += STEP * side)
        for (let x = side * 0.35; x <= width - side * 0.35; x += STEP * side) windows.push({ x, y, side, angle: 0 });
    }
    const answers = await this.look(image, windows);
    const guesses = answers.filter((a, i) => plausible(a, windows[i])).map((a) => a.square);
    // Windows around a face agree about its place; those around anything else do not.
    const ranked = guesses
      .map((square) => ({ square, votes: guesses.filter((other) => near(square, other, 0.2)).length }))
      .sort((a, b) => b.votes - a.votes);
    const tried = [];
    let best = null;
    for (const { square } of ranked) {
      if (tried.some((other) => near(square, other, 0.35))) continue;
      tried.push(square);
      const found = await this.settle(image, square);
      if (found && (!best || found.moved < best.moved)) best = found;
      if (tried.length >= 6) break;
    }
    return best && best.square;
  }

  // Looks again until the square rests; null where looks from beside take it along, as they do where no face is.
  async settle(image, start) {
    let square = start;
    for (let round = 0; round < 3; round++) {
      const [answer] = await this.look(image, [square]);
      if (!plausible(answer, square)) return null;
      square = answer.square;
    }
    const shifts = [[-0.09, 0], [0.09, 0], [0, -0.09], [0, 0.09]];
    const beside = await this.look(image, shifts.map(([dx, dy]) => ({ ...square, x: square.x + dx * square.side, y: square.y + dy * square.side })));
    let moved = 0;
    for (let k = 0; k < 5; k++) {
      const mx = mean(beside.map((b) => b.points[k][0])), my = mean(beside.map((b) => b.points[k][1]));
      moved += mean(beside.map((b) => Math.hypot(b.points[k][0] - mx, b.points[k][1] - my))) / 5;
    }
    moved /= square.side;
    return moved < MOST_MOVED ? { square, moved } : null;
  }

  // The same face in the next frame of a video, moved smoothly; null when it is gone.
  async follow(image, square) {
    const [answer] = await this.look(image, [square]);
    if (!plausible(answer, square)) return null;
    const seen = answer.square, change = Math.hypot(seen.x - square.x, seen.y - square.y) / square.side;
    const share = Math.min(1, 0.25 + 12 * change);
    const mix = (a, b) => a + share * (b - a);
    return { x: mix(square.x, seen.x), y: mix(square.y, seen.y), side: mix(square.side, seen.side), angle: mix(square.angle, seen.angle) };
  }

  // What the network says of each square and of its mirror image, in pixels of the image.
  async look(image, squares) {
    const found = [];
    for (let first = 0; first < squares.length; first += AT_ONCE) {
      const some = squares.slice(first, first + AT_ONCE), plane = SEEN * SEEN;
      const data = new Float32Array(some.length * 2 * 3 * plane);
      some.forEach((square, index) => {
        drawSquare(this.context, image, { ...square, side: square.side * FIELD }, SEEN);
        const pixels = this.context.getImageData(0, 0, SEEN, SEEN).data;
        for (let i = 0; i < plane; i++) {
          const mirrored = i - (i % SEEN) + (SEEN - 1 - (i % SEEN));
          for (let c = 0; c < 3; c++) {
            const value = pixels[4 * i + c] / 127.5 - 1;
            data[(2 * index * 3 + c) * plane + i] = value;
            data[((2 * index + 1) * 3 + c) * plane + mirrored] = value;
          }
        }
      });
      const { points } = await this.session.run({ crop: new this.ort.Tensor("float32", data, [some.length * 2, 3, SEEN, SEEN]) });
      some.forEach((square, index) => found.push(answer(points.data, index, square)));
    }
    return found;
  }
}

// Draw what lies in a square of an image into a canvas of that size.
export function drawSquare(context, image, square, size) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#808080";
  context.fillRect(0, 0, size, size);
  context.imageSmoothingQuality = "high";
  context.translate(size / 2, size / 2);
  context.scale(size / square.side, size / square.side);
  context.rotate(-square.angle);
  context.translate(-square.x, -square.y);
  context.drawImage(image, 0, 0);
}

function answer(data, index, square) {
  const at = (n, k) => [data[(n * 7 + k) * 2], data[(n * 7 + k) * 2 + 1]];
  const swapped = [1, 0, 2, 4, 3, 5, 6], side = square.side * FIELD;
  const cos = Math.cos(square.angle), sin = Math.sin(square.angle), points = [];
  const center = at(2 * index + 1, 5);
  for (let k = 0; k < 7; k++) {
    const [x, y] = at(2 * index, k);
    let [mx, my] = at(2 * index + 1, swapped[k]);
    if (k === 6) [mx, my] = [2 * center[0] - mx, 2 * center[1] - my];
    const u = ((x + 1 - mx) / 2 - 0.5) * side, v = ((y + my) / 2 - 0.5) * side;
    points.push([square.x + cos * u - sin * v, square.y + sin * u + cos * v]);
  }
  const [c, r] = [points[5], points[6]];
  const seen = { x: c[0], y: c[1], side: 2 * Math.hypot(r[0] - c[0], r[1] - c[1]), angle: Math.atan2(r[1] - c[1], r[0] - c[0]) };
  return { points, square: seen };
}

function plausible({ points, square }, start) {
  const ratio = square.side / start.side, turned = Math.abs(((square.angle - start.angle + 3 * Math.PI) % (2 * Math.PI)) - Math.PI);
  const cos = Math.cos(square.angle), sin = Math.sin(square.angle);
  const [left, right, nose, mouthLeft, mouthRight] = points.map(([x, y]) => {
    const dx = (x - square.x) / square.side, dy = (y - square.y) / square.side;
    return [cos * dx + sin * dy, cos * dy - sin * dx];
  });
  const eyes = (left[1] + right[1]) / 2, mouth = (mouthLeft[1] + mouthRight[1]) / 2;
  return ratio > 0.5 && ratio < 2 && turned < 0.9 && left[0] < right[0] && mouthLeft[0] < mouthRight[0] && eyes < nose[1] && nose[1] < mouth + 0.03;
}

function near(a, b, share) {
  return Math.hypot(a.x - b.x, a.y - b.y) < share * a.side && Math.abs(Math.log(a.side / b.side)) < 1.5 * share;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
