// What the tests told a program, and how it answers them.

import { readFileSync } from "node:fs";

export const told = JSON.parse(readFileSync(0, "utf8"));
export const MODEL = "scripted";
export const TRIES = 5;

/** The script of a case, as the text of a message. */
export function script(name) {
  return JSON.stringify(told.scripts[name]);
}

/** A conversation whose last message is the script of a case. */
export function messages(name) {
  return [{ role: "user", content: script(name) }];
}

/** Seconds of CLOCK_MONOTONIC, which the server's model tells as well. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e9;
}

/** What the server's model does. */
export async function state() {
  return (await fetch(told.url + "/state")).json();
}

/** Asks until it holds. */
export async function waitFor(holds) {
  const until = now() + 10;
  for (;;) {
    const found = await state();
    if (holds(found)) return found;
    if (now() > until) throw new Error(JSON.stringify(found));
    await new Promise((done) => setTimeout(done, 2));
  }
}

/** Seconds from leaving to the end of the generation, when one more than `closed` were closed. */
export async function freed(closed, leftAt) {
  const found = await waitFor((each) => each.closed === closed + 1 && each.running === 0);
  return found.closed_at - leftAt;
}

/** What was raised, as far as it says what. */
export function raised(error) {
  console.error(error);
  const { status, statusCode, code } = error;
  return { error: error.constructor.name, name: error.name, status: status ?? statusCode ?? null, code: code ?? null, says: error.message };
}

/** Runs the cases one after the other and prints what each gave, or raised. */
export async function answer(cases) {
  const results = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      results[name] = await run();
    } catch (error) {
      results[name] = raised(error);
    }
  }
  console.log(JSON.stringify(results));
  process.exit(0); // sockets that are kept alive would hold it
}
