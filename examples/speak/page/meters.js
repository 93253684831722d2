// The figures below the waveform.

const QUIETEST = -60; // decibels below full scale
const FULL = 2000; // milliseconds of sound that fill the bar
const REFRESH = 100; // milliseconds: figures that change faster cannot be read

const element = (id) => document.getElementById(id);

export class Meters {
  constructor() {
    this.arrivals = [];
    this.shown = 0;
  }

  begin() {
    this.clicked = performance.now();
    this.arrivals = [];
    element("first").value = "–";
  }

  started() {
    element("first").value = Math.round(performance.now() - this.clicked);
  }

  chunk() {
    this.arrivals.push(performance.now());
  }

  // What is left when nothing is played any more.
  rest(report) {
    this.arrivals = [];
    this.shown = 0;
    this.show({ ...report, level: 0, waiting: 0 });
    element("level").value = "–";
  }

  show(report) {
    const now = performance.now();
    if (now - this.shown < REFRESH) return;
    this.shown = now;
    this.arrivals = this.arrivals.filter((arrival) => now - arrival < 1000);
    const decibels = Math.max(QUIETEST, 20 * Math.log10(Math.max(report.level, 1e-6)));
    const buffered = Math.round(1000 * report.waiting);
    element("level").value = decibels.toFixed(0);
    element("buffered").value = buffered;
    element("underruns").value = report.underruns;
    element("rate").value = this.arrivals.length;
    element("played").value = report.played;
    element("played").dataset.rms = report.rms;
    bar("level-bar", decibels, 1 - decibels / QUIETEST);
    bar("buffer-bar", Math.min(FULL, buffered), Math.min(1, buffered / FULL));
  }
}

function bar(id, value, share) {
  element(id).setAttribute("aria-valuenow", value.toFixed(0));
  element(id).firstElementChild.style.transform = `scaleX(${share})`;
}
