// The page's decoder and spec/vectors/sse.json: every case whole, byte by byte, and cut in two at every place.
//
// node --test tests/browser/sse.test.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

// The page's modules are served as scripts; Node takes a .js file for something else unless its text is given.
const script = read("../../examples/chat_page/page/sse.js");
const { EventStream } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
const { cases } = JSON.parse(read("../../spec/vectors/sse.json"));

function* waysToArrive(bytes) {
  yield [bytes];
  yield Array.from(bytes, (_, place) => bytes.subarray(place, place + 1));
  for (let cut = 0; cut <= bytes.length; cut += 1) yield [bytes.subarray(0, cut), bytes.subarray(cut)];
}

for (const { name, input, hex, events, retry, last_event_id } of cases) {
  test(name, () => {
    const bytes = hex === undefined ? Buffer.from(input, "utf8") : Buffer.from(hex, "hex");
    for (const pieces of waysToArrive(bytes)) {
      const stream = new EventStream();
      const found = [...pieces.flatMap((piece) => stream.feed(piece)), ...stream.end()];
      assert.deepEqual({ found, retry: stream.retry, id: stream.lastEventId }, { found: events, retry, id: last_event_id });
    }
  });
}

test("an empty piece changes nothing", () => {
  const stream = new EventStream();
  const pieces = ["data: a\r", "", "\ndata: b\r\n\r\n"].map((text) => Buffer.from(text));
  assert.deepEqual(pieces.flatMap((piece) => stream.feed(piece)), [{ event: "message", data: "a\nb", id: "" }]);
});

test("a time of ages is ignored", () => {
  const stream = new EventStream();
  stream.feed(Buffer.from(`retry: ${"9".repeat(19)}\n`));
  assert.equal(stream.retry, null);
});

test("a megabyte in small pieces takes no time that grows with its square", () => {
  const stream = new EventStream();
  stream.feed(Buffer.from("data: "));
  const piece = Buffer.from("x".repeat(16));
  for (let number = 0; number < 65536; number += 1) stream.feed(piece);
  assert.equal(stream.feed(Buffer.from("\n\n"))[0].data.length, 1048576);
});

for (const [what, head, tail] of [["a line", "data: ", ""], ["an event", "", "\n"]]) {
  test(`${what} without an end has a limit`, () => {
    const stream = new EventStream();
    const piece = Buffer.from((head === "" ? "data: " : "") + "x".repeat(1 << 20) + tail);
    stream.feed(Buffer.from(head));
    assert.throws(() => {
      for (let number = 0; number < 17; number += 1) stream.feed(piece);
    }, RangeError);
  });
}

test("many events together have none", () => {
  const stream = new EventStream();
  const piece = Buffer.from(`data: ${"x".repeat(1 << 20)}\n\n`);
  for (let number = 0; number < 17; number += 1) assert.equal(stream.feed(piece).length, 1);
});
