// Server-sent events, to the letter of the standard (WHATWG HTML, section 9.2): bytes in, events out.
//
// EventSource cannot send a POST, so a page that asks a model reads the stream itself. The bytes come in pieces that are
// cut anywhere, inside a character or between CR and LF; whatever is unfinished waits here for the next piece.

const LINE_END = /\r\n|\r|\n/g;
const LIMIT = 1 << 24; // characters of one line, and of the data of one event
const DIGITS = /^[0-9]{1,18}$/; // of a time that is longer nobody would see the end

export class EventStream {
  constructor() {
    this.lastEventId = "";
    this.retry = null; // milliseconds
    this.decoder = new TextDecoder(); // takes a byte order mark at the beginning away
    this.unfinished = ""; // the beginning of a line
    this.afterCr = false;
    this.data = [];
    this.size = 0; // characters in data
    this.event = "";
    this.id = "";
  }

  // The events that these bytes complete: {event, data, id}.
  feed(bytes) {
    return this.read(this.decoder.decode(bytes, { stream: true }));
  }

  // No more bytes will come. An event without its blank line is none, and is left out as the standard says.
  end() {
    return this.read(this.decoder.decode());
  }

  read(text) {
    if (text === "") return [];
    if (this.afterCr && text.startsWith("\n")) text = text.slice(1); // the rest of a line end whose line is out
    this.afterCr = text.endsWith("\r");
    const lines = text.split(LINE_END);
    lines[0] = this.unfinished + lines[0];
    this.unfinished = lines.pop();
    this.check(this.unfinished.length);
    return lines.flatMap((line) => (line === "" ? this.dispatch() : this.field(line)));
  }

  field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon); // a comment has no name
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") {
      this.data.push(value);
      this.size += value.length + 1;
      this.check(this.size);
    }
    if (name === "event") this.event = value;
    if (name === "id" && !value.includes("\0")) this.id = value;
    if (name === "retry" && DIGITS.test(value)) this.retry = Number(value);
    return [];
  }

  dispatch() {
    this.lastEventId = this.id;
    const { data, event } = this;
    this.data = [];
    this.size = 0;
    this.event = "";
    return data.length === 0 ? [] : [{ event: event || "message", data: data.join("\n"), id: this.id }];
  }

  check(length) {
    if (length > LIMIT) throw new RangeError(`an event of ${length} characters or more; the limit is ${LIMIT}`);
  }
}
