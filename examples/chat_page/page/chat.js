// The page: what its user does, and what becomes of it.

import { answer, AnswerFailed } from "./answer.js";
import { Pace } from "./pace.js";
import { Turn } from "./turn.js";

const element = (id) => document.getElementById(id);
const NEAR = 48; // pixels from the end at which the log follows what is added
const ENDED_EARLY = { length: "at the token limit", content_filter: "cut by a content filter" };

class Page {
  constructor() {
    this.messages = [];
    this.running = null; // the AbortController of the answer that comes
  }

  async begin() {
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    element("question").addEventListener("keydown", (event) => {
      // While a word is composed (Japanese, Chinese ...), Enter belongs to the input method.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    element("question").addEventListener("input", () => this.controls());
    element("stop").addEventListener("click", () => this.stop());
    element("fresh").addEventListener("click", () => this.reset());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.stop();
    });
    await this.offer();
    this.controls();
    element("question").focus();
  }

  // Fills the list of models.
  async offer() {
    try {
      const response = await fetch("v1/models");
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      const { data } = await response.json();
      element("model").replaceChildren(...data.map(({ id }) => new Option(id)));
      element("model").disabled = data.length < 2;
      this.status(data.length === 0 ? "The server has no model." : "");
    } catch (error) {
      this.status(`The server does not tell its models: ${error.message}`);
    }
  }

  async send() {
    const question = element("question").value.trim();
    if (question === "" || this.running !== null) return;
    element("question").value = "";
    element("empty").hidden = true;
    const asked = new Turn(element("log"), "user", () => this.follow(true));
    asked.add("text", question);
    asked.draw();
    this.running = new AbortController();
    this.controls();
    this.status("Waiting for the first token");
    try {
      await this.show(question);
    } finally {
      this.running = null;
      this.controls();
    }
  }

  // Shows the answer as it comes, and keeps what came of it.
  async show(question) {
    const turn = new Turn(element("log"), "assistant", () => this.follow(false));
    const pace = new Pace();
    const before = this.messages;
    const messages = [...before, { role: "user", content: question }];
    let ending = "";
    let error = "";
    try {
      for await (const piece of this.answer(messages)) {
        if (piece.kind === "finish") ending = ENDED_EARLY[piece.reason] ?? "";
        else if (piece.kind === "tokens") pace.tokens = piece.count;
        else {
          if (pace.first === null) this.status("Answering");
          pace.piece();
          turn.add(piece.kind, piece.text);
        }
      }
    } catch (failure) {
      if (!this.running.signal.aborted) error = told(failure);
      ending = error === "" ? "stopped" : "cut off";
    }
    const figures = [String(pace), String(pace) === "" && error !== "" ? "" : ending].filter((part) => part !== "");
    turn.end(figures.join(" · "), error);
    if (this.messages === before) this.keep(messages, turn.text.toWellFormed(), ending); // else there is a new chat
    this.status(error === "" ? (ending === "stopped" ? "Stopped" : "Answered") : "Failed");
  }

  answer(messages) {
    const request = { model: element("model").value, messages, stream: true, stream_options: { include_usage: true } };
    return answer("v1/chat/completions", request, this.running.signal);
  }

  // Questions and answers take turns: a question without an answer is given back. What is not whole is marked for the model.
  keep(messages, text, ending) {
    if (text !== "") {
      const content = ending === "" ? text : `${text} [${ending}]`;
      this.messages = [...messages, { role: "assistant", content }];
    } else if (ending !== "" && element("question").value === "") {
      element("question").value = messages.at(-1).content;
    }
  }

  stop() {
    this.running?.abort();
  }

  reset() {
    this.stop();
    this.messages = [];
    element("log").replaceChildren(element("empty"));
    element("empty").hidden = false;
    this.status("");
    element("question").focus();
  }

  // -- what is shown

  controls() {
    const busy = this.running !== null;
    element("send").hidden = busy;
    element("send").disabled = element("question").value.trim() === "" || element("model").value === "";
    element("stop").hidden = !busy;
    element("log").setAttribute("aria-busy", String(busy)); // read aloud when it is whole, not token by token
  }

  status(text) {
    element("status").textContent = text;
  }

  // Keeps the end of the log in sight, unless its reader has scrolled away from it.
  follow(always) {
    const log = element("log");
    const near = always || log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
    return () => {
      if (near) log.scrollTop = log.scrollHeight;
    };
  }
}

function told(failure) {
  if (failure instanceof AnswerFailed) return failure.message;
  console.error(failure);
  return `The page failed: ${failure.message}`;
}

new Page().begin();
