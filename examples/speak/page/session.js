// One conversation over a WebSocket: texts go up, their sound comes down.
//
// Messages follow the subprotocol `headrace.v1`: a header first, sound as binary messages, and an ending. A connection
// that closes without one was cut, and that is told. An empty binary message ends a text. So sound belongs to the last
// text exactly when all but one have ended, and what an interrupted text had on its way is left out.

const FULL = 1 << 20; // bytes that may wait to be sent

export class Session {
  constructor(url, listener) {
    this.listener = listener; // opened(sound), sound(Int16Array), said(), closed(), failed(message)
    this.sent = 0;
    this.ended = 0;
    this.over = false;
    this.socket = new WebSocket(url, "headrace.v1");
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => (typeof event.data === "string" ? this.read(event.data) : this.hear(event.data));
    this.socket.onclose = (event) => this.close(event);
  }

  // Says a text, instead of whatever is being said. The empty text is silence.
  say(text) {
    if (this.socket.bufferedAmount > FULL) {
      this.finish("failed", "The server takes nothing any more. Try again later.");
      return;
    }
    this.sent += 1;
    this.socket.send(JSON.stringify({ item: text }));
  }

  read(message) {
    if (this.over) return;
    const [[name, value]] = Object.entries(JSON.parse(message));
    if (name === "header") this.listener.opened(value);
    if (name === "end") this.finish("closed");
    if (name === "error") this.finish("failed", `The stream failed: ${value.message} (${value.code})`);
  }

  hear(bytes) {
    if (this.over) return;
    if (bytes.byteLength === 0) {
      this.ended += 1;
      if (this.ended === this.sent) this.listener.said();
    } else if (this.ended === this.sent - 1) {
      this.listener.sound(new Int16Array(bytes));
    }
  }

  close(event) {
    const reason = event.reason ? `, ${event.reason}` : "";
    this.finish("failed", `The connection was cut (code ${event.code}${reason}). What was said is not complete.`);
  }

  finish(how, message) {
    if (this.over) return; // an ending is followed by a close, and only the first of them counts
    this.leave();
    this.listener[how](message);
  }

  // The server stops whatever it does for this conversation.
  leave() {
    this.over = true;
    this.socket.close();
  }
}
