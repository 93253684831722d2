// The waveform of the last seconds, drawn from the lowest and highest sample of each report.

const SHOWN = 132; // reports: six seconds of 1024 samples each

export class Wave {
  constructor(canvas) {
    this.canvas = canvas;
    this.reports = [];
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.scheduled = false;
    new ResizeObserver(() => this.show()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
  }

  add({ low, high }) {
    this.reports.push([low, high]);
    if (this.reports.length > SHOWN) this.reports = this.still.matches ? [] : this.reports.slice(-SHOWN);
    this.show();
  }

  clear() {
    this.reports = [];
    this.show();
  }

  show() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  draw() {
    const { canvas, reports } = this;
    const scale = devicePixelRatio;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const middle = canvas.height / 2;
    const step = canvas.width / SHOWN;
    pen.fillStyle = style.getPropertyValue("--line");
    pen.fillRect(0, middle - scale / 2, canvas.width, scale);
    pen.fillStyle = style.getPropertyValue("--accent");
    // With reduced motion the wave is written from left to right; otherwise it moves, and now is on the right.
    const start = this.still.matches ? 0 : SHOWN - reports.length;
    reports.forEach(([low, high], place) => {
      const top = middle - high * middle * 0.95;
      const height = Math.max(scale, (high - low) * middle * 0.95);
      pen.beginPath();
      pen.roundRect((start + place) * step, top, Math.max(1, step * 0.65), height, step * 0.3);
      pen.fill();
    });
  }
}
