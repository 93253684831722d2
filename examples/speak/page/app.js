// The page: what its user does, and what becomes of it.

import { Meters } from "./meters.js";
import { Player } from "./player.js";
import { Session } from "./session.js";
import { Wave } from "./wave.js";

const element = (id) => document.getElementById(id);
const SPEAKING = "Speaking";

class Page {
  constructor() {
    this.wave = new Wave(element("wave"));
    this.meters = new Meters();
    this.session = null;
    this.player = null;
    this.sound = null;
    this.speaking = false;
    this.report = null;
    this.wanted = false; // a click waits for the connection
  }

  connect() {
    this.connection("connecting", "Connecting");
    const url = new URL("converse?pace=realtime", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.session = new Session(url, {
      opened: (sound) => this.opened(sound),
      sound: (samples) => this.heard(samples),
      said: () => this.said(),
      closed: () => this.lost("closed", "The conversation is over. Speak begins a new one."),
      failed: (message) => this.failed(message),
    });
  }

  opened(sound) {
    if (sound.encoding !== "pcm_s16le" || sound.channels !== 1) {
      const sent = `${sound.encoding} on ${sound.channels} channels`;
      this.failed(`The server sends ${sent}, and this page plays pcm_s16le on one.`);
      return;
    }
    if (this.sound?.sample_rate !== sound.sample_rate) this.silence();
    this.sound = sound;
    this.connection("open", `Connected, ${sound.sample_rate} Hz`);
    element("speak").disabled = false;
    if (this.wanted) this.speak();
  }

  // A click: here, and only here, a browser lets sound begin.
  speak() {
    this.wanted = this.session === null;
    if (this.wanted) {
      this.error("");
      this.connect();
      return;
    }
    const text = element("text").value.trim();
    if (text === "") {
      this.status("There is nothing to say yet: write something first");
      element("text").focus();
      return;
    }
    this.player ??= new Player(this.sound.sample_rate, {
      started: () => this.meters.started(),
      figures: (report) => this.show(report),
      finished: () => this.finished("All was said"),
      failed: (message) => {
        this.silence();
        this.failed(message);
      },
    });
    this.error("");
    this.wave.clear();
    this.meters.begin();
    this.player.begin();
    this.speaking = true;
    element("stop").disabled = false;
    this.status(SPEAKING);
    this.session.say(text);
  }

  stop() {
    if (!this.speaking) return;
    this.session?.say("");
    this.player.begin();
    this.finished("Stopped");
  }

  heard(samples) {
    if (!this.speaking) return;
    this.meters.chunk();
    this.player.add(samples);
  }

  said() {
    if (this.speaking) this.player.end();
  }

  show(report) {
    this.report = report;
    this.wave.add(report);
    this.meters.show(report);
  }

  finished(status) {
    this.speaking = false;
    element("stop").disabled = true;
    if (this.report !== null) this.meters.rest(this.report);
    this.status(status);
  }

  failed(message) {
    this.error(message);
    this.player?.begin();
    this.session?.leave();
    this.lost("failed", "Speak connects again");
  }

  silence() {
    this.player?.close();
    this.player = null;
  }

  lost(state, status) {
    this.session = null;
    this.wanted = false;
    this.connection(state, state === "failed" ? "Failed" : "Not connected");
    this.finished(status);
    element("speak").disabled = false;
  }

  // -- what is shown

  connection(state, text) {
    element("connection").dataset.state = state;
    element("connection-text").textContent = text;
  }

  status(text) {
    element("status").textContent = text;
  }

  error(text) {
    element("error").textContent = text;
    element("error").hidden = text === "";
  }

  // Without a secure context there is no AudioWorklet: what is left is the browser's own player.
  insecure() {
    this.connection("failed", "Not secure");
    this.status("Plays as a WAV file only");
    this.error(
      "Browsers play live sound only on pages that come over https or from localhost. " +
        "Open this page that way, or listen to the text as a WAV file.",
    );
    element("plain").hidden = false;
    element("speak").disabled = false;
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const query = new URLSearchParams({ text: element("text").value });
      element("audio").src = `speak?${query}`;
      element("audio").play();
    });
  }

  begin() {
    if (!window.isSecureContext) {
      this.insecure();
      return;
    }
    element("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.speak();
    });
    element("stop").addEventListener("click", () => this.stop());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.stop();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element("form").requestSubmit();
    });
    this.connect();
  }
}

new Page().begin();
