// One streamed answer of an OpenAI-compatible API: a request goes out, pieces of the answer come in.
//
// An answer is complete when its finish reason and "[DONE]" came. Whatever else its stream ends with is told: a refusal
// before it, an error in it, or nothing at all. Leaving the loop closes the connection, which stops the model.

import { EventStream } from "./sse.js";

// What the user is told.
export class AnswerFailed extends Error {}

// Yields {kind: "text" | "reasoning" | "call", text}, {kind: "finish", reason} and {kind: "tokens", count}.
export async function* answer(url, request, signal) {
  const response = await ask(url, request, signal);
  const reader = response.body.getReader();
  const stream = new EventStream();
  let finished = false;
  try {
    for (let ended = false; !ended; ) {
      const { value, done } = await next(reader, signal);
      ended = done;
      for (const event of done ? stream.end() : stream.feed(value)) {
        if (event.data === "[DONE]") {
          if (!finished) throw new AnswerFailed("The server ended the answer without saying why. It may not be complete.");
          return;
        }
        for (const piece of pieces(event)) {
          finished ||= piece.kind === "finish";
          yield piece;
        }
      }
    }
    throw new AnswerFailed("The answer was cut off: the stream ended before the answer did.");
  } finally {
    await reader.cancel().catch(() => {}); // it failed already, or was aborted: then there is nothing left to close
  }
}

async function ask(url, request, signal) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request), signal };
  const response = await fetch(url, options).catch((error) => {
    throw signal.aborted ? error : new AnswerFailed("The server cannot be reached. Is it running?");
  });
  if (!response.ok) throw new AnswerFailed(await refusal(response));
  const type = response.headers.get("content-type") ?? "nothing that it names";
  if (!type.toLowerCase().startsWith("text/event-stream")) {
    await response.body?.cancel();
    throw new AnswerFailed(`The server answered with ${type}, not with a stream.`);
  }
  return response;
}

async function next(reader, signal) {
  try {
    return await reader.read();
  } catch (error) {
    throw signal.aborted ? error : new AnswerFailed("The answer was cut off: the connection was lost.");
  }
}

async function refusal(response) {
  const text = await response.text().catch(() => "");
  const told = message(parsed(text)?.error) ?? `The server answered ${response.status}.`;
  const retry = response.headers.get("retry-after");
  return /^\d+$/.test(retry ?? "") ? `${told.replace(/\.$/, "")}. Try again in ${retry} s.` : told;
}

function* pieces(event) {
  const chunk = parsed(event.data);
  if (chunk === null || typeof chunk !== "object") throw new AnswerFailed("The server sent something that is no answer.");
  if (chunk.error || event.event === "error") {
    throw new AnswerFailed(message(chunk.error ?? chunk) ?? "The server failed, and did not say why.");
  }
  for (const choice of list(chunk.choices)) {
    const delta = choice?.delta ?? {};
    yield* said("reasoning", delta.reasoning_content || delta.reasoning); // two names of one thing; some send both
    yield* said("text", delta.content);
    yield* said("text", delta.refusal);
    for (const call of list(delta.tool_calls)) {
      yield* said("call", call?.function?.name && `${call.function.name} `);
      yield* said("call", call?.function?.arguments);
    }
    if (choice?.finish_reason) yield { kind: "finish", reason: choice.finish_reason };
  }
  if (typeof chunk.usage?.completion_tokens === "number") yield { kind: "tokens", count: chunk.usage.completion_tokens };
}

function* said(kind, text) {
  if (typeof text === "string" && text !== "") yield { kind, text };
}

const list = (value) => (Array.isArray(value) ? value : []);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // whoever asked says what it means
  }
}

function message(error) {
  return typeof error === "string" ? error : typeof error?.message === "string" ? error.message : null;
}
