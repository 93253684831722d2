// The npm package `ai` with three of its providers.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";
import { MODEL, TRIES, answer, freed, now, script, state, told } from "./told.mjs";

const baseURL = told.url + "/v1";
const MODELS = {
  compatible: createOpenAICompatible({ name: "headrace", baseURL, apiKey: "none", includeUsage: true })(MODEL),
  chat: createOpenAI({ baseURL, apiKey: "none" }).chat(MODEL),
  responses: createOpenAI({ baseURL, apiKey: "none" }).responses(MODEL),
  anthropic: createAnthropic({ baseURL, apiKey: "none" })(MODEL),
};
const tools = {
  weather: tool({ description: told.weather.description, inputSchema: jsonSchema(told.weather.parameters) }),
};

/** All parts of a stream, joined. */
async function streamed(model, name, options = {}) {
  const made = { text: "", reasoning: "", calls: [], error: null };
  const result = streamText({ model, prompt: script(name), maxRetries: 0, onError: () => {}, ...options });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") made.text += part.text;
    if (part.type === "reasoning-delta") made.reasoning += part.text;
    if (part.type === "tool-call") made.calls.push([part.toolCallId, part.toolName, part.input]);
    if (part.type === "error") made.error = String(part.error?.message ?? part.error?.error?.message ?? JSON.stringify(part.error));
    if (part.type === "finish") {
      made.finish = part.finishReason;
      made.usage = [part.totalUsage.inputTokens, part.totalUsage.outputTokens];
    }
  }
  return made;
}

async function whole(model) {
  const { text, finishReason, usage } = await generateText({ model, prompt: script("whole"), maxRetries: 0 });
  return { text, finish: finishReason, usage: [usage.inputTokens, usage.outputTokens] };
}

async function left(model) {
  const seconds = [];
  for (let tried = 0; tried < TRIES; tried++) {
    const { closed } = await state();
    const controller = new AbortController();
    const result = streamText({ model, prompt: script("left"), abortSignal: controller.signal, onError: () => {} });
    let leftAt;
    for await (const part of result.fullStream)
      if (part.type === "text-delta") {
        leftAt = now();
        controller.abort();
        break;
      }
    seconds.push(await freed(closed, leftAt));
  }
  return { freed: seconds.sort((a, b) => a - b) };
}

async function refused(model, name) {
  await generateText({ model, prompt: script(name), maxRetries: 0 });
  return { error: null };
}

const cases = {};
for (const [provider, model] of Object.entries(MODELS)) {
  for (const name of ["text", "unicode", "length", "reasoning", "broken"])
    cases[`${provider} ${name}`] = () => streamed(model, name);
  for (const name of ["call", "calls"]) cases[`${provider} ${name}`] = () => streamed(model, name, { tools });
  for (const status of [400, 429, 500])
    cases[`${provider} status ${status}`] = () => refused(model, `status ${status}`);
  cases[`${provider} whole`] = () => whole(model);
  cases[`${provider} left`] = () => left(model);
}
await answer(cases);
