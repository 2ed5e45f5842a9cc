// ---------------------------------------------------------------- The conversation on the screen

let current = null; // the chat that is shown; null for a new one
let views = new WeakMap(); // of messages: a view is made once, and again only if all are to look otherwise
let isAtEnd = true; // whether the end of the conversation is in view, and is to stay so

function keepAtEnd() {
  const log = $("log");
  if (isAtEnd) log.scrollTop = current ? log.scrollHeight : 0; // a welcome is read from its begin
  $("down").hidden = isAtEnd;
}

function open(chat) {
  current = chat;
  isAtEnd = true;
  showMessages();
  showList();
  closeSide();
}

function showMessages() {
  const nodes = (current?.messages ?? []).map(message => {
    const View = message.role === "user" ? QuestionView : AnswerView;
    if (!views.has(message)) views.set(message, new View(current, message));
    views.get(message).showActions();
    return views.get(message).root;
  });
  $("log").replaceChildren(...nodes.length ? nodes : [welcome()]);
  $("title").textContent = titleOf(current);
  showLegend();
  $("fates").setAttribute("aria-pressed", String(settings.fates));
  keepAtEnd();
}

/** What a new conversation begins with: who answers, what can be asked, and what is special here. */
function welcome() {
  const part = (head, ...rest) => make("p", {}, make("strong", {}, head), " ", ...rest);
  const keys = { Enter: "sends", "Shift+Enter": "breaks the line", Esc: "stops", "↑": "edits what you said last" };
  return make("div", { className: "welcome" },
    make("h2", {}, model?.id ?? "Foretoken"),
    ...model ? suggestions(model.foretoken?.embedded === true) : [],
    part("The same answer, to the bit:", "alone or in company, with drafts or without. The seed under an answer brings it back."),
    part("Each token’s fate:", "“Tokens” shows which were foretold, by whom, and what was guessed wrong."),
    make("p", { className: "keys" },
      ...Object.entries(keys).map(([key, effect]) => make("span", {}, make("kbd", {}, key), " ", effect))));
}

function suggestions(isEmbedded) {
  const [lead, ...questions] = isEmbedded
    ? ["The little model that comes with Foretoken, to try it with. It has learnt nothing but Swift code: whatever you ask, "
      + "it writes Swift, which looks right and seldom is.",
    "Write a function that reads a file.", "Write a struct that conforms to Hashable.", "Write a test for a queue."]
    : ["Ask it something, or begin with one of these.",
      "Why is the sky blue?", "Write a regular expression for dates such as 2026-03-14.", "Explain recursion to a child of ten."];
  return [make("p", { className: "lead" }, lead),
    make("div", { className: "questions" }, ...questions.map(question => button(question, "", () => ask(question))))];
}

/** Sends a question of the page's own; while the server is not ready, only writes it down. */
function ask(question) {
  $("prompt").value = question;
  fitPrompt();
  $("prompt").focus();
  if (!$("send").disabled) $("composer").requestSubmit();
}

class QuestionView {
  root = make("article", { className: "user", "aria-label": "You" });

  constructor(chat, message) {
    Object.assign(this, { chat, message });
  }

  showActions() {
    this.root.replaceChildren(
      make("div", { className: "said", dir: "auto" }, this.message.content),
      make("div", { className: "actions" },
        button("Copy", "plain", () => copy(this.message.content)),
        button("Edit", "plain", () => this.edit())));
  }

  edit() {
    const area = make("textarea", { value: this.message.content, rows: 3, "aria-label": "Edit your message", dir: "auto" });
    const close = () => { this.showActions(); $("prompt").focus(); };
    const form = make("form", {
      onsubmit: event => {
        event.preventDefault();
        close();
        if (area.value.trim()) replaceFrom(this.chat, this.message, area.value.trim());
      },
      onkeydown: event => {
        if (event.key === "Escape") { event.stopPropagation(); close(); }
        if (sends(event)) { event.preventDefault(); form.requestSubmit(); }
      },
    }, area, make("div", { className: "actions" }, make("button", { className: "main" }, "Send"), button("Cancel", "plain", close)));
    this.root.replaceChildren(form);
    area.focus();
  }
}

function showList() {
  const focused = [...$("chats").querySelectorAll("button")].indexOf(document.activeElement);
  $("chats").replaceChildren(...newestFirst().map(chat => make("li", {},
    make("button", { type: "button", className: "open", onclick: () => open(chat), ariaCurrent: chat === current ? "true" : null },
      make("span", {}, (runs.has(chat.id) ? "… " : "") + titleOf(chat))),
    iconButton("save", "Export this conversation", () => exportChats([chat])),
    iconButton("remove", "Delete this conversation", () => remove(chat)))));
  if (focused >= 0) ($("chats").querySelectorAll("button")[focused] ?? $("new")).focus();
  $("none").hidden = chats.size > 0;
  $("export").disabled = chats.size === 0;
  const isRunning = runs.has(current?.id);
  $("send").setAttribute("aria-label", isRunning ? "Stop" : "Send");
  $("send").replaceChildren(icon(isRunning ? "stop" : "send"));
}

function remove(chat) {
  runs.get(chat.id)?.abort.abort();
  chats.delete(chat.id);
  storage.remove("chat." + chat.id);
  if (chat === current) open(null);
  else showList();
  toast("Conversation deleted.", "Undo", () => {
    chats.set(chat.id, chat);
    save(chat);
    open(chat);
  });
}

/** Speaks an answer to those who listen: whole sentences, at most every two seconds. */
class Speech {
  said = 0;
  at = performance.now();
  waited = "";

  hear(text) {
    if (performance.now() - this.at < 2000) return;
    const end = text.slice(this.said).search(/[.!?:…]["')\]]*\s[^.!?:…]*$|\n[^\n]*$/);
    if (end > 0) this.say(text, this.said + end + 1);
  }

  /** Tells that others come first, and that the prompt is read where that takes long. */
  wait(run) {
    const text = run.queue?.before > 0 ? waitText(run) + "." : run.prompt ? "Reading the prompt." : "";
    if (!text || text === this.waited || (run.prompt && performance.now() - this.at < 2000)) return;
    this.waited = text;
    this.at = performance.now();
    $("spoken").append(make("p", {}, text));
  }

  say(text, end) {
    this.at = performance.now();
    $("spoken").append(make("p", {}, text.slice(this.said, end)));
    while ($("spoken").childElementCount > 20) $("spoken").firstChild.remove();
    this.said = end;
  }

  end({ content, end, error }) {
    this.say(content, content.length);
    $("spoken").append(make("p", {}, { failed: "The answer failed. " + error, stopped: "Stopped." }[end] ?? "End of the answer."));
  }
}

// ---------------------------------------------------------------- The server's state, and its key

async function askKey() {
  const dialog = $("key"), form = dialog.querySelector("form");
  if (dialog.open) return false;
  form.reset();
  form.keep.checked = storage.read("key") !== null;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise(done => dialog.addEventListener("close", done, { once: true }));
  if (dialog.returnValue !== "ok") return false;
  key = form.key.value.trim();
  form.key.value = "";
  if (form.keep.checked) storage.write("key", key);
  else storage.remove("key");
  try { sessionStorage.setItem("foretoken.key", key); } catch { /* it lives as long as the page */ }
  showModel();
  return true;
}

/** The entry of the server's list of models; null until it is known. */
let model = null;

async function showModel() {
  try {
    const response = await fetch("v1/models", { headers: headers() });
    if (response.status === 401 && await askKey()) return;
    model = (await response.json()).data[0];
    const context = model.max_model_len ?? model.context_length;
    $("model").textContent = model.id + (context ? ` · ${plural(context, "token")} of context` : "");
    $("prompt").placeholder = `Ask ${model.id}`;
    if (!current) showMessages();
  } catch { /* the name is no more than decoration */ }
}

/** Shows how far the server is until it is ready. */
async function watchHealth() {
  if (watchHealth.isRunning) return;
  watchHealth.isRunning = true;
  const [head, bar, line] = $("loading").children;
  for (;;) {
    let response = null, state = {};
    try {
      response = await fetch("health", { cache: "no-store" });
      if (response.status === 503) state = await response.json();
    } catch { /* not reached, or no JSON */ }
    if (response && response.status !== 503) break;
    const isLoading = response && ["loading", undefined].includes(state.status);
    head.textContent = !response ? "The server does not answer"
      : isLoading ? "The model is being read" : `The server is ${state.status}`;
    const progress = typeof state.progress === "number" ? state.progress : state.progress?.done / state.progress?.of;
    bar.hidden = !isLoading;
    if (progress >= 0) bar.value = Math.min(1, progress);
    else bar.removeAttribute("value");
    line.textContent = !response ? "Trying again…" : progress >= 0 ? percent(progress, 1) : "";
    $("loading").hidden = false;
    $("send").disabled = true;
    await new Promise(done => setTimeout(done, 1000));
  }
  $("loading").hidden = true;
  $("send").disabled = false;
  watchHealth.isRunning = false;
  showModel();
}

