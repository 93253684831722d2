// What one speaker said, on the screen. Text is appended to a text node once per frame: however many tokens come, the
// browser draws as often as it can and never draws the whole answer anew.

const element = (name, className, parent) => {
  const made = document.createElement(name);
  made.className = className;
  parent.append(made);
  return made;
};

class Growing {
  constructor(parent) {
    this.node = document.createTextNode("");
    parent.append(this.node);
    this.waiting = "";
  }

  add(text) {
    this.waiting += text;
  }

  draw() {
    if (this.waiting !== "") this.node.appendData(this.waiting);
    this.waiting = "";
  }
}

export class Turn {
  // `drawn` is called before and after the page gets longer: it returns what is to be called after.
  constructor(log, speaker, drawn) {
    this.drawn = drawn;
    this.frame = 0;
    this.text = "";
    this.article = element("article", `turn ${speaker}`, log);
    this.article.setAttribute("aria-label", speaker === "user" ? "You" : "Model");
    this.parts = {};
  }

  add(kind, text) {
    if (kind === "text") this.text += text;
    this.part(kind).add(text);
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  part(kind) {
    if (this.parts[kind] === undefined) {
      if (kind === "reasoning") {
        const details = element("details", "reasoning", this.article);
        details.open = true;
        element("summary", "", details).textContent = "Reasoning";
        this.parts[kind] = new Growing(element("p", "", details));
      } else {
        this.parts[kind] = new Growing(element("p", kind, this.article));
      }
    }
    return this.parts[kind];
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const after = this.drawn();
    for (const part of Object.values(this.parts)) part.draw();
    after();
  }

  // The last words about it: how fast it was, and how it ended.
  end(figures, error = "") {
    this.draw();
    const after = this.drawn();
    if (figures) element("p", "figures", this.article).textContent = figures;
    if (error) {
      const told = element("p", "error", this.article);
      told.setAttribute("role", "alert");
      told.textContent = error;
    }
    after();
  }

  remove() {
    this.article.remove();
  }
}
