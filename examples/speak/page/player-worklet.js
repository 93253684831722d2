// The part of the player that runs on the sound's own thread: a jitter buffer, and figures about what it plays.
//
// Playing begins when `JITTER` seconds are there, or all of a short text. A buffer that runs empty before the text is
// complete is an underrun: silence is played until it is as full again.

const JITTER = 0.12;
const REPORT = 1024; // samples between two reports

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.begin(0);
    this.port.onmessage = ({ data }) => this[data.call](data.argument);
  }

  // Forgets what waits: another text is about to come.
  begin(text) {
    Object.assign(this, { text, waiting: [], offset: 0, buffered: 0 });
    Object.assign(this, { playing: false, complete: false, finished: false });
    Object.assign(this, { played: 0, underruns: 0, squares: 0, since: 0, low: 0, high: 0, recent: 0 });
  }

  add(samples) {
    this.waiting.push(samples);
    this.buffered += samples.length;
  }

  end() {
    this.complete = true;
  }

  process(inputs, [[out]]) {
    if (!this.playing && this.buffered > 0 && (this.complete || this.buffered >= JITTER * sampleRate)) {
      this.playing = true;
      if (this.played === 0) this.report("started");
    }
    for (let place = 0; this.playing && place < out.length; place += 1) {
      if (this.buffered === 0) {
        this.playing = false;
        if (!this.complete) this.underruns += 1;
      } else {
        out[place] = this.take();
      }
    }
    if (this.complete && this.buffered === 0 && !this.finished) {
      this.finished = true;
      this.report("figures");
      this.report("finished");
    }
    return true;
  }

  take() {
    const sample = this.waiting[0][this.offset];
    this.offset += 1;
    this.buffered -= 1;
    if (this.offset === this.waiting[0].length) {
      this.waiting.shift();
      this.offset = 0;
    }
    this.played += 1;
    this.squares += sample * sample;
    this.recent += sample * sample;
    this.low = Math.min(this.low, sample);
    this.high = Math.max(this.high, sample);
    this.since += 1;
    if (this.since === REPORT) this.report("figures");
    return sample;
  }

  // `level` is the root mean square since the last report, `rms` that of all that was played of this text.
  report(kind) {
    const { text, played, underruns, buffered, low, high } = this;
    const level = Math.sqrt(this.recent / Math.max(1, this.since));
    const rms = Math.sqrt(this.squares / Math.max(1, played));
    this.port.postMessage({ kind, text, played, underruns, low, high, level, rms, waiting: buffered / sampleRate });
    if (kind === "figures") Object.assign(this, { since: 0, low: 0, high: 0, recent: 0 });
  }
}

registerProcessor("player", Player);
