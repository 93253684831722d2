// The npm package `openai`.

import OpenAI from "openai";
import { MODEL, TRIES, answer, freed, messages, now, raised, script, state, told, waitFor } from "./told.mjs";

const client = new OpenAI({ baseURL: told.url + "/v1", apiKey: "none", maxRetries: 0 });
const TOOLS = [{ type: "function", function: told.weather }];
const FUNCTIONS = { call: { tools: TOOLS }, calls: { tools: TOOLS }, function: { functions: [told.weather] } };

function asked(name, options = {}) {
  return { model: MODEL, messages: messages(name), ...FUNCTIONS[name], ...options };
}

async function streamed(name) {
  const made = { text: "", finish: null };
  const stream = await client.chat.completions.create(
    asked(name, { stream: true, stream_options: { include_usage: true } }),
  );
  for await (const chunk of stream) {
    if (chunk.usage) made.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
    for (const { delta, finish_reason } of chunk.choices) {
      made.text += delta.content ?? "";
      made.finish = finish_reason ?? made.finish;
      if (delta.reasoning_content) made.reasoning = (made.reasoning ?? "") + delta.reasoning_content;
      for (const call of delta.tool_calls ?? []) {
        made.calls ??= [];
        made.calls[call.index] ??= [call.id, call.function.name, ""];
        made.calls[call.index][2] += call.function.arguments ?? "";
      }
      if (delta.function_call) {
        made.calls ??= [["", "", ""]];
        made.calls[0][1] += delta.function_call.name ?? "";
        made.calls[0][2] += delta.function_call.arguments ?? "";
      }
    }
  }
  return made;
}

/** What the package's own accumulator makes of a stream; it checks more than the stream itself. */
async function accumulated(name) {
  const runner = client.chat.completions.stream(asked(name, { stream: true }));
  const completion = await runner.finalChatCompletion();
  const { message, finish_reason } = completion.choices[0];
  const calls = message.tool_calls?.map((call) => [call.id, call.function.name, call.function.arguments]);
  return { text: message.content ?? "", finish: finish_reason, calls };
}

async function whole() {
  const { choices, usage } = await client.chat.completions.create(asked("whole"));
  const { message, finish_reason } = choices[0];
  return { text: message.content, finish: finish_reason, usage: [usage.prompt_tokens, usage.completion_tokens] };
}

async function choices() {
  const made = await client.chat.completions.stream(asked("choices", { n: 2, stream: true })).finalChatCompletion();
  return { texts: made.choices.map((choice) => choice.message.content) };
}

async function broken(name) {
  let text = "";
  try {
    for await (const chunk of await client.chat.completions.create(asked(name, { stream: true })))
      for (const { delta } of chunk.choices) text += delta.content ?? "";
  } catch (error) {
    return { ...raised(error), text };
  }
  return { text, error: null };
}

async function left() {
  const seconds = [];
  for (let tried = 0; tried < TRIES; tried++) {
    const { closed } = await state();
    const stream = await client.chat.completions.create(asked("left", { stream: true }));
    let leftAt;
    for await (const chunk of stream)
      if (chunk.choices[0].delta.content) {
        leftAt = now();
        break; // leaving the loop aborts the request
      }
    seconds.push(await freed(closed, leftAt));
  }
  return { freed: seconds.sort((a, b) => a - b) };
}

async function leftEarly() {
  const seconds = [];
  for (let tried = 0; tried < TRIES; tried++) {
    const { closed } = await state();
    const controller = new AbortController();
    const { signal } = controller;
    const asking = client.chat.completions.create(asked("left early", { stream: true }), { signal }).catch(() => null);
    await waitFor((each) => each.running === 1);
    const leftAt = now();
    controller.abort();
    await asking;
    seconds.push(await freed(closed, leftAt));
  }
  return { freed: seconds.sort((a, b) => a - b) };
}

async function refused(options, on = client) {
  await on.chat.completions.create(options);
  return { error: null };
}

async function fifty() {
  async function one(number) {
    let text = "";
    const said = [{ role: "user", content: `${number} of fifty` }];
    for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: said, stream: true }))
      text += chunk.choices[0].delta.content ?? "";
    return text;
  }
  return { texts: await Promise.all(Array.from({ length: 50 }, (_, number) => one(number))) };
}

async function response(name, options = {}) {
  const kinds = [];
  const numbers = [];
  const stream = await client.responses.create({ model: MODEL, input: script(name), stream: true, ...options });
  for await (const event of stream) {
    kinds.push(event.type);
    numbers.push(event.sequence_number);
  }
  return { kinds, numbers };
}

async function finalResponse(name, options = {}) {
  const made = await client.responses.stream({ model: MODEL, input: script(name), ...options }).finalResponse();
  const calls = made.output
    .filter((item) => item.type === "function_call")
    .map((item) => [item.call_id, item.name, item.arguments]);
  return { text: made.output_text, finish: made.status, calls };
}

const locked = client.withOptions({ baseURL: told.locked + "/v1" });
const cases = {};
for (const name of ["text", "unicode", "length", "reasoning", "call", "calls", "function"])
  cases[name] = () => streamed(name);
for (const name of ["text", "call", "calls"]) cases[`accumulated ${name}`] = () => accumulated(name);
for (const name of ["broken", "crashed"]) cases[name] = () => broken(name);
for (const status of [400, 429, 500, 503])
  cases[`status ${status}`] = () => refused(asked(`status ${status}`, { stream: true }));
Object.assign(cases, {
  whole,
  choices,
  left,
  "left early": leftEarly,
  fifty,
  unauthorized: () => refused(asked("text"), locked),
  "unknown model": () => refused({ ...asked("text"), model: "gpt-9" }),
  "no messages": () => refused({ model: MODEL, messages: [] }),
  response: () => response("text"),
  "final response": () => finalResponse("text"),
  "response call": () => finalResponse("call", { tools: [{ type: "function", ...told.weather }] }),
});
await answer(cases);
