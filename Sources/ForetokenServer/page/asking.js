// ---------------------------------------------------------------- The wire

class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let key = "";
function headers() {
  return { "Content-Type": "application/json", ...key ? { Authorization: "Bearer " + key } : {} };
}

/** What went wrong, in the server's words if it has some. */
async function errorOf(response) {
  let said = "";
  try { said = (await response.json()).error?.message; } catch { /* no JSON, no words */ }
  const after = Number(response.headers.get("Retry-After"));
  const words = { 401: "The key is missing or wrong.", 429: "The server is busy.", 503: "The server is not ready." };
  return new ServerError((said || words[response.status] || `The server answered with status ${response.status}.`)
    + (after > 0 ? ` Try again in ${plural(after, "second")}.` : ""), response.status);
}

/** A body as JSON; the seed is written by hand, as it has more digits than a JavaScript number. */
function bodyOf(chat, asked, prediction) {
  const messages = chat.messages.filter(message => message.content).map(({ role, content }) => ({ role, content }));
  if (asked.system) messages.unshift({ role: "system", content: asked.system });
  const body = { messages, stream: true, stream_options: { include_usage: true }, foretoken: { trace: true } };
  for (const name of ["temperature", "top_p", "max_tokens"]) if (asked[name] !== "") body[name] = Number(asked[name]);
  if (asked.thinking) body.thinking = { type: asked.thinking };
  if (prediction) body.prediction = { type: "content", content: prediction };
  return JSON.stringify(body).replace(/\}$/, `,"seed":${asked.seed}}`);
}

/** The chunks of a streamed answer. */
async function* streamAnswer(body, signal) {
  let response;
  try {
    response = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ServerError("The server cannot be reached.");
  }
  if (!response.ok) throw await errorOf(response);
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    let part;
    try { part = await reader.read(); } catch (error) {
      throw error.name === "AbortError" ? error : new ServerError("The connection broke.");
    }
    if (part.done) throw new ServerError("The connection ended before the answer did.");
    const lines = (rest + decoder.decode(part.value, { stream: true })).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue; // comments keep the connection alive
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      // A quote within a JSON string is escaped: this meets nothing but a member's name.
      const chunk = JSON.parse(data.replace(/"seed"\s*:\s*(\d+)/g, '"seed":"$1"'));
      if (chunk.error) throw new ServerError(chunk.error.message ?? "The server failed.");
      yield chunk;
    }
  }
}

// ---------------------------------------------------------------- Asking

/**
 * Answers under way, by the chat's id: { message, abort, startedAt, firstAt, queue, prompt }, times of performance.now().
 * `queue` and `prompt` are what the server told last of how far it is, `prompt.since` what it told first.
 */
const runs = new Map();

const drawSeed = () => String(crypto.getRandomValues(new BigUint64Array(1))[0] >> 1n);
const askedNow = () => {
  const { system, temperature, top_p, max_tokens, thinking, seed } = settings;
  return { system, temperature, top_p, max_tokens, thinking, seed: /^\d{1,20}$/.test(seed) ? seed : drawSeed() };
};

/** Puts an answer at the chat's end and fills it. */
async function answer(chat, asked, prediction) {
  const body = bodyOf(chat, asked, prediction);
  const message = { role: "assistant", content: "", thought: "", fates: { content: [], thought: [] }, asked, figures: {} };
  const run = { message, abort: new AbortController(), startedAt: performance.now(), firstAt: null };
  chat.messages.push(message);
  chat.at = Date.now();
  runs.set(chat.id, run);
  if (chat === current) showMessages();
  showList();
  const speech = new Speech();
  try {
    for await (const chunk of streamAnswer(body, run.abort.signal)) {
      take(chunk, run);
      if (chat === current) run.firstAt === null ? speech.wait(run) : speech.hear(message.content);
      views.get(message)?.soon();
    }
    message.end ??= "stop";
  } catch (error) {
    message.end = error.name === "AbortError" ? "stopped" : "failed";
    if (message.end === "failed") Object.assign(message, { error: error.message, status: error.status });
  }
  if (runs.get(chat.id) === run) runs.delete(chat.id); // not one that has taken its place
  save(chat);
  views.get(message)?.update();
  if (chat === current) speech.end(message);
  showList();
  if (message.status === 401 && await askKey()) await regenerate(chat);
  if (message.status === 503) watchHealth();
  return message;
}

/** A chunk's tokens as they are kept; rejected drafts stand before what came in their place. */
function tokensOf({ pieces = [], rejected = [] }) {
  const tokens = pieces.map(({ text, source, draft }) => [text, source, draft]);
  for (const { at, text, source, draft } of [...rejected].reverse()) tokens.splice(at, 0, [text, source, draft, true]);
  return tokens;
}

/** How many of a chunk's tokens are the thought's: it may hold the end of the thought and the beginning of the content. */
function thoughtEnd(tokens, message, content) {
  if (!message.thought) return 0;
  if (!message.content) return tokens.length;
  let [place, length] = [tokens.length, 0];
  while (place > 0 && length < content.length) {
    place--;
    if (!tokens[place][3]) length += tokens[place][0].length;
  }
  // Behind the first chunk with content there are no thoughts.
  return message.content.length > content.length ? 0 : place;
}

/** Takes one chunk into a message. What only this server tells is taken where it is there. */
function take(chunk, run) {
  const { message } = run, { figures } = message, now = performance.now();
  const own = chunk.foretoken ?? {}, choice = chunk.choices?.[0], delta = choice?.delta ?? {};
  const thought = delta.reasoning_content ?? delta.reasoning ?? "", content = delta.content ?? "";
  run.queue = own.queue;
  run.prompt = own.prompt && { ...own.prompt, since: run.prompt?.since ?? { at: now, done: own.prompt.done } };
  if (thought || content) {
    run.firstAt ??= now;
    figures.firstMs ??= now - run.startedAt;
  }
  if (content && message.thought) message.thoughtMs ??= now - run.firstAt;
  message.thought += thought;
  message.content += content;
  const tokens = tokensOf(own), place = thoughtEnd(tokens, message, content);
  message.fates.thought.push(...tokens.slice(0, place));
  message.fates.content.push(...tokens.slice(place));

  // Until the server counts, the page does; a chunk without a trace is taken for one token.
  const news = own.tokens?.length ?? (thought || content ? 1 : 0);
  if (news && run.firstAt === now) run.firstTokens = news;
  figures.tokens = chunk.usage?.completion_tokens ?? (figures.tokens ?? 0) + news;
  if (news && now - run.firstAt > 300) figures.perSecond = 1000 * (figures.tokens - run.firstTokens) / (now - run.firstAt);
  const { timings, usage } = chunk;
  if (timings?.predicted_per_second) figures.perSecond = timings.predicted_per_second;
  if (usage) Object.assign(figures, { promptTokens: usage.prompt_tokens, cachedTokens: usage.prompt_tokens_details?.cached_tokens });
  if (own.queue_ms) figures.queueMs = own.queue_ms;
  if (own.tokens_per_round) figures.perRound = own.tokens_per_round;
  if (own.seed) message.asked.seed = String(own.seed);
  if (own.bits === "exact") figures.exact = true;
  if (own.drafted) Object.assign(figures, { drafted: own.drafted, accepted: own.accepted });
  figures.drafts = timings?.draft_n ?? (own.drafted ? sum(own.drafted) : figures.drafts);
  figures.acceptedDrafts = timings?.draft_n_accepted ?? (own.accepted ? sum(own.accepted) : figures.acceptedDrafts);
  if (choice?.finish_reason) message.end = choice.finish_reason;
}

function send(text) {
  current ??= { id: newID(), at: 0, messages: [] };
  chats.set(current.id, current);
  current.messages.push({ role: "user", content: text });
  save(current);
  isAtEnd = true;
  answer(current, askedNow());
}

/** Answers the last question again; with the seed, and from the draft, of `earlier` if that is to be repeated. */
async function regenerate(chat, earlier) {
  $("send").focus(); // the button that was pressed goes
  if (chat.messages.at(-1)?.role === "assistant") chat.messages.pop();
  if (!earlier) return void answer(chat, askedNow());
  const message = await answer(chat, { ...earlier.asked }, earlier.thought + earlier.content);
  if (message.end === "failed") return;
  // One of both may have been stopped early.
  const text = m => m.thought + "\n" + m.content, length = Math.min(text(message).length, text(earlier).length);
  const isCut = message.end === "stopped" || earlier.end === "stopped" || earlier.end === "failed";
  message.repeated = isCut ? text(message).slice(0, length) === text(earlier).slice(0, length) : text(message) === text(earlier);
  save(chat);
  views.get(message)?.showActions();
}

const stop = () => runs.get(current?.id)?.abort.abort();

/** Replaces a question, and with it all that came after. */
function replaceFrom(chat, message, text) {
  const before = [...chat.messages], at = before.indexOf(message);
  runs.get(chat.id)?.abort.abort();
  chat.messages.splice(at, Infinity, { role: "user", content: text });
  isAtEnd = true;
  answer(chat, askedNow());
  if (before.length > at + 2) toast("What came after was removed.", "Undo", () => {
    stop();
    chat.messages = before;
    save(chat);
    open(chat);
  });
}

