// ---------------------------------------------------------------- The conversation on the screen

let current = null; // the chat that is shown; null for a new one
let views = new WeakMap(); // of messages: a view is made once, and again only if all are to look otherwise
let isAtEnd = true; // whether the end of the conversation is in view, and is to stay so

function keepAtEnd() {
  const log = $("log");
  if (isAtEnd) log.scrollTop = log.scrollHeight;
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
  $("legend").hidden = !settings.fates;
  $("fates").setAttribute("aria-pressed", String(settings.fates));
  keepAtEnd();
}

const welcome = () => make("div", { className: "welcome" },
  make("h2", {}, "The same answer, to the bit."),
  make("p", {}, "Alone or in company, with drafts or without: the seed under an answer brings it back. "
    + "“Tokens” shows which of them were foretold, and by whom."),
  make("p", {}, make("kbd", {}, "Enter"), " sends, ", make("kbd", {}, "Shift+Enter"), " breaks the line, ", make("kbd", {}, "Esc"),
    " stops, ", make("kbd", {}, "↑"), " edits what you said last."));

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

  hear(text) {
    if (performance.now() - this.at < 2000) return;
    const end = text.slice(this.said).search(/[.!?:…]["')\]]*\s[^.!?:…]*$|\n[^\n]*$/);
    if (end > 0) this.say(text, this.said + end + 1);
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

async function showModel() {
  try {
    const response = await fetch("v1/models", { headers: headers() });
    if (response.status === 401 && await askKey()) return;
    const model = (await response.json()).data[0], context = model.max_model_len ?? model.context_length;
    $("model").textContent = model.id + (context ? ` · ${plural(context, "token")} of context` : "");
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

