// ---------------------------------------------------------------- Views of one answer

/**
 * A text that grows, as Markdown or token by token. Markdown's closed blocks are final; only the last one, which may
 * still change, is made anew with each update.
 */
class TextView {
  root = make("div", { className: "text", dir: "auto" });
  asTokens = null; // not known before the first token
  taken = 0; // characters, or tokens, that are in the DOM or in `open`
  open = "";
  last = null; // node of the open block, or line of tokens

  update(text, fates, isDone) {
    if (this.asTokens === null && !text && !isDone) return;
    this.asTokens ??= settings.fates && fates?.length > 0;
    if (this.asTokens) {
      this.root.classList.add("tokens");
      for (const [i, token] of fates.slice(this.taken).entries()) {
        // Each line is an element of its own: a browser lays out only the one that grows.
        if (!this.last) this.root.append(this.last = make("div"));
        const before = fates[this.taken + i - 1];
        this.last.append(tokenNode(token, before?.[3] ? before : null));
        if (!token[3] && token[0].endsWith("\n")) this.last = null;
      }
      this.taken = fates.length;
    } else {
      this.open += text.slice(this.taken);
      this.taken = text.length;
      this.updateBlocks(isDone);
    }
  }

  updateBlocks(isDone) {
    const lines = this.open.replaceAll("\r\n", "\n").split("\n");
    const isUnclear = !isDone && (PERHAPS_MARK.test(lines.at(-1)) || FENCE.test(lines.at(-1)));
    const whole = isUnclear ? lines.slice(0, -1) : lines;
    const blocks = parseBlocks(whole);
    blocks.forEach((block, i) => {
      if (i === 0 && block.kind === "code" && this.last?.language === block.language) {
        this.last.code.data = block.text; // it keeps its place of scrolling
      } else {
        const node = blockNode(block, !isDone && i === blocks.length - 1);
        if (i === 0 && this.last) this.last.replaceWith(node);
        else this.root.append(node);
        this.last = node;
      }
    });
    if (blocks.length > 0) this.open = lines.slice(blocks.at(-1).start).join("\n");
  }
}

const SOURCES = { own: "the model's own", mtp: "draft head", lookup: "look-up", prediction: "prediction" };
const isDraft = source => source !== "own" && Object.hasOwn(SOURCES, source);
const sourceName = source => SOURCES[isDraft(source) ? source : "own"];

/** Text as a mark within a line: its white space is seen where there is nothing else. */
const markText = text => text.trim() || text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣");

/**
 * A token, or a draft that was rejected.
 * - rejected: the draft in whose place the token came, if there was one.
 */
function tokenNode([text, source, draft, isRejected], rejected) {
  const name = isDraft(source) ? `draft ${draft} of its round, by ${sourceName(source)}` : "the model's own token";
  if (isRejected) {
    return make("del", { className: isDraft(source) ? source : "", title: `${JSON.stringify(text)}: ${name}, rejected` },
      make("span", { className: "unseen" }, "rejected: "), markText(text));
  }
  return make("span", {
    className: isDraft(source) ? `fate ${source} deep${Math.min(draft, 4)}` : "fate",
    title: name + (isDraft(source) ? ", held"
      : rejected ? `; draft ${rejected[2]}, by ${sourceName(rejected[1])}, was ${JSON.stringify(rejected[0])}` : ""),
  }, text);
}

/**
 * Rounds of verifying: each is a run of drafts that held, the one that was rejected, if one was, and the own token that
 * ends it. The last round of an answer may end without one.
 */
function* rounds(tokens, start, isDone) {
  for (let at = start; at < tokens.length; at++) {
    if (tokens[at][1] !== "own" && !(isDone && at === tokens.length - 1)) continue;
    const round = tokens.slice(start, at + 1);
    start = at + 1;
    yield { held: round.filter(token => !token[3]), rejected: round.find(token => token[3]), end: start };
  }
}

/** What happened in a round, for who points at it. */
function roundTitle({ held, rejected }) {
  const drafts = held.filter(token => isDraft(token[1]));
  const parts = [plural(held.length, "token")];
  if (drafts.length) parts.push(`${sourceName(drafts[0][1])} said ${JSON.stringify(drafts.map(token => token[0]).join(""))}`);
  if (rejected) parts.push(`rejected ${JSON.stringify(rejected[0])} by ${sourceName(rejected[1])}`);
  if (held.length > drafts.length) parts.push("the model said " + JSON.stringify(held.at(-1)[0]));
  return parts.join("; ");
}

/** By source: how many tokens there are in these messages, and how many drafts were rejected. */
function tally(messages) {
  const counts = Object.fromEntries(Object.keys(SOURCES).map(source => [source, { held: 0, rejected: 0 }]));
  for (const { fates } of messages) {
    for (const [, source, , isRejected] of [...fates?.thought ?? [], ...fates?.content ?? []]) {
      if (Object.hasOwn(counts, source)) counts[source][isRejected ? "rejected" : "held"]++;
    }
  }
  return counts;
}

/** What the marks of tokens mean, and how many of them the conversation has. */
function showLegend() {
  $("legend").hidden = !settings.fates;
  if (!settings.fates) return;
  const counts = tally(current?.messages ?? []);
  const told = ({ held, rejected }, source) => held + rejected === 0 ? ""
    : isDraft(source) ? ` ${number.format(held)} held, ${number.format(rejected)} rejected` : " " + number.format(held);
  const entries = Object.entries(counts).map(([source, count]) => make("span", {},
    make("span", { className: isDraft(source) ? `fate ${source} deep2` : "fate" }, SOURCES[source]), told(count, source)));
  const depths = [1, 2, 3, 4].map(depth =>
    make("span", { className: `fate mtp deep${depth}` }, depth < 4 ? String(depth) : "4+"));
  const isUndrafted = counts.own.held > 0 && Object.entries(counts).every(([source, { held, rejected }]) =>
    !isDraft(source) || held + rejected === 0);
  $("legend").replaceChildren(...entries, make("span", {}, "depth in its round ", ...depths),
    make("span", {}, make("del", { className: "mtp" }, "rejected")), isUndrafted ? make("span", {}, "nothing was drafted") : "");
}

/** What an answer waits for that has no token yet. */
function waitText({ queue, prompt }) {
  if (queue) return queue.before > 0 ? `Waiting: ${number.format(queue.before)} before you` : "Waiting: next in line";
  if (!prompt) return "Asking";
  const { done, of, cached, since } = prompt;
  const left = (of - done) * (performance.now() - since.at) / (done - since.done);
  return `Reading the prompt: ${number.format(done)} of ${plural(of, "token")}`
    + (cached ? `, ${number.format(cached)} cached` : "") + (Number.isFinite(left) && left > 1500 ? `, ${seconds(left)} left` : "");
}

class AnswerView {
  thought = new TextView();
  content = new TextView();
  summary = make("summary");
  details = make("details", { className: "thought", hidden: true }, this.summary, this.thought.root);
  wait = make("div", { className: "wait" }, make("span"), make("progress", { hidden: true, "aria-label": "Reading the prompt" }));
  note = make("p", { className: "note", hidden: true });
  strip = make("div", { className: "strip", role: "img", "aria-label": "Tokens of each round of verifying", hidden: true });
  figures = make("div", { className: "figures" });
  actions = make("div", { className: "actions" });
  root = make("article", { className: "answer", "aria-label": "Answer" }, this.details, this.content.root, this.wait, this.note,
    make("div", { className: "after" }, this.strip, this.figures, this.actions));
  inStrip = { content: 0, thought: 0 };
  frame = 0;

  constructor(chat, message) {
    Object.assign(this, { chat, message });
    this.update();
  }

  /** Brings the view up to the message, at most once a frame. */
  soon() {
    this.frame ||= requestAnimationFrame(() => this.update());
  }

  update() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { message } = this, run = runs.get(this.chat.id)?.message === message ? runs.get(this.chat.id) : null;
    this.root.setAttribute("aria-busy", String(run !== null));
    this.details.hidden = !message.thought;
    if (message.thought) {
      this.thought.update(message.thought, message.fates?.thought, !run || message.content !== "");
      const ms = message.thoughtMs ?? (run ? performance.now() - run.firstAt : null);
      this.summary.textContent = (run && !message.content ? "Thinking" : "Thought") + (ms === null ? "" : ` for ${seconds(ms)}`);
    }
    this.content.update(message.content, message.fates?.content, !run);
    this.updateWait(run);
    this.updateStrip(!run);
    if (settings.fates) showLegend();
    this.figures.replaceChildren(...figureTexts(message));
    this.showActions();
    keepAtEnd();
  }

  updateWait(run) {
    const { prompt } = run ?? {};
    this.wait.hidden = !run || run.firstAt !== null;
    if (this.wait.hidden) return;
    const [line, bar] = this.wait.children;
    line.textContent = waitText(run);
    bar.hidden = !prompt;
    if (prompt) Object.assign(bar, { max: prompt.of, value: prompt.done });
  }

  updateStrip(isDone) {
    for (const part of ["thought", "content"]) {
      for (const round of rounds(this.message.fates?.[part] ?? [], this.inStrip[part], isDone)) {
        const { held: { length }, rejected } = round, source = round.held[0]?.[1];
        const className = (length > 1 && isDraft(source) ? source : "") + (rejected ? " rejected" : "");
        const bar = make("i", { className, title: roundTitle(round) });
        bar.style.height = Math.min(3 * Math.max(1, length), 32) + "px";
        this.strip.append(bar);
        this.inStrip[part] = round.end;
      }
    }
    while (this.strip.childElementCount > 140) this.strip.firstChild.remove();
    this.strip.hidden = this.strip.childElementCount === 0;
  }

  /** What is said and can be done once nothing more comes. */
  showActions() {
    const { chat, message } = this, isLast = chat.messages.at(-1) === message;
    if (runs.get(chat.id)?.message === message) return;
    const notes = { stopped: "Stopped.", length: "Cut: the limit of tokens was reached.", failed: message.error };
    this.note.hidden = !notes[message.end];
    this.note.className = message.end === "failed" ? "note wrong" : "note";
    this.note.replaceChildren(notes[message.end] ?? "");
    this.actions.replaceChildren(
      ...message.content ? [button("Copy", "plain", () => copy(message.content))] : [],
      ...isLast ? [button(message.end === "failed" ? "Try again" : "Regenerate", "plain", () => regenerate(chat))] : [],
      ...isLast && message.asked?.seed && message.content ? [make("button", {
        type: "button", className: "plain", onclick: () => regenerate(chat, message),
        title: `Answer again with seed ${message.asked.seed}, with this answer as draft: the text must be the same`,
      }, "Repeat")] : [],
      badge(message));
  }
}

/** What is known of an answer's making, as elements. */
function figureTexts({ fates, figures }) {
  if (!figures) return [];
  const part = (text, title = "") => make("span", { title }, text);
  const list = [...fates?.thought ?? [], ...fates?.content ?? []].filter(token => !token[3]);
  const parts = [];
  if (figures.tokens) parts.push(part(plural(figures.tokens, "token")));
  if (figures.perSecond) parts.push(part(number.format(figures.perSecond) + " tok/s"));
  if (figures.firstMs) parts.push(part("first after " + seconds(figures.firstMs), "time to first token"));
  if (figures.queueMs > 50) parts.push(part("waited " + seconds(figures.queueMs)));
  if (figures.promptTokens) parts.push(part(plural(figures.promptTokens, "token") + " read"
    + (figures.cachedTokens ? `, ${number.format(figures.cachedTokens)} cached` : "")));
  const perRound = figures.perRound ?? list.length / list.filter(token => token[1] === "own").length;
  if (Number.isFinite(perRound)) parts.push(part(perRound.toFixed(1) + " tokens a round", "what one reading of the weights yields"));
  if (figures.drafts > 0) {
    const depths = (figures.drafted ?? []).flatMap((count, i) => count > 0 ? [percent(figures.accepted?.[i] ?? 0, count)] : []);
    parts.push(part(`${percent(figures.acceptedDrafts, figures.drafts)} of ${plural(figures.drafts, "draft")} accepted`));
    if (depths.length > 1) parts.push(part("by depth " + depths.join(", "), "accepted drafts by their depth in a round"));
  }
  return parts;
}

/** How an answer can be had again, and whether it was. */
function badge({ asked, figures, repeated }) {
  const seed = asked?.seed && "seed " + asked.seed;
  const part = (text, className = "badge", title = "") => make("span", { className, title }, text);
  if (repeated === false) return part("not the same as before · " + seed);
  if (repeated) return part("✓ the same again · " + seed, "badge exact", "asked again with this seed, and compared");
  if (!figures?.exact) return seed ? part(seed) : "";
  return part("same bits · " + seed, "badge exact",
    "With this seed and these settings the answer is the same to the bit: alone or in company, with drafts or without.");
}

