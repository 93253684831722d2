// The time to the first token, and the rate of the others. Tokens are counted by who makes them; pieces are only pieces.

const SHORTEST = 5; // milliseconds in which a rate says something of the model, and not only of how its bytes were read

export class Pace {
  constructor(now = () => performance.now()) {
    this.now = now; // milliseconds
    this.asked = now();
    this.first = null;
    this.last = null;
    this.pieces = 0;
    this.tokens = null;
  }

  piece() {
    this.last = this.now();
    this.first ??= this.last;
    this.pieces += 1;
  }

  // "first token 84 ms · 61 tokens/s · 128 tokens", and "" where nothing came.
  toString() {
    if (this.first === null) return "";
    const [count, unit] = this.tokens === null ? [this.pieces, "piece"] : [this.tokens, "token"];
    const told = [`first token ${Math.round(this.first - this.asked)} ms`];
    if (count > 1 && this.last - this.first >= SHORTEST) {
      told.push(`${Math.round(((count - 1) * 1000) / (this.last - this.first))} ${unit}s/s`);
    }
    return [...told, `${count} ${unit}${count === 1 ? "" : "s"}`].join(" · ");
  }
}
