// Plays sound that is still arriving. The work is done in `player-worklet.js`; this is the page's side of it.

const MOST = 60; // seconds of sound that may wait: a server that sends in real time stays near one

export class Player {
  // Call it while a click is being handled: browsers play nothing before their user has done something.
  constructor(rate, listener) {
    this.listener = listener; // started(), figures(report), finished(), failed(message)
    this.text = 0;
    this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    this.node = this.open();
    this.node.catch((error) => listener.failed(`This browser cannot play the sound: ${error.message}`));
  }

  async open() {
    await this.context.audioWorklet.addModule("player-worklet.js");
    const node = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => this.hear(data);
    node.onprocessorerror = () => this.listener.failed("The player failed. Load the page again.");
    node.connect(this.context.destination);
    return node;
  }

  // Another text: what waits of the last one is not played any more.
  begin() {
    this.context.resume();
    this.text += 1;
    this.call("begin", this.text);
  }

  add(integers) {
    this.call("add", Float32Array.from(integers, (sample) => sample / 32768));
  }

  end() {
    this.call("end");
  }

  close() {
    this.context.close();
  }

  async call(call, argument) {
    const node = await this.node.catch(() => null); // told above
    node?.port.postMessage({ call, argument });
  }

  hear(report) {
    if (report.text !== this.text) return; // of a text that was interrupted meanwhile
    this.listener[report.kind](report);
    if (report.waiting > MOST) this.listener.failed(`More than ${MOST} seconds of sound wait here: too many.`);
  }
}
