// Pictures of frames, fetched by index and kept around the position.

const MOST = 48;

export class Frames {
  /** `address` gives the address of a frame; `count` may grow while the server reads the file. */
  constructor(address) {
    this.address = address;
    this.count = 1;
    this.kept = new Map();
  }

  /** A promise of the decoded picture of a frame. */
  get(index) {
    const known = this.kept.get(index);
    if (known) {
      this.kept.delete(index);
      this.kept.set(index, known);
      return known;
    }
    const picture = new Image();
    picture.src = this.address(index);
    const ready = picture.decode().then(() => picture);
    this.kept.set(index, ready);
    ready.catch(() => this.kept.delete(index));
    if (this.kept.size > MOST) this.kept.delete(this.kept.keys().next().value);
    return ready;
  }

  /** Fetches what follows in a direction. */
  ahead(index, direction, number = 4) {
    for (let step = 1; step <= number; step += 1) {
      const next = index + direction * step;
      if (next >= 0 && next < this.count) this.get(next).catch(() => undefined);
    }
  }
}
