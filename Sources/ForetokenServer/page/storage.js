// ---------------------------------------------------------------- What the browser keeps

/** JSON under keys "foretoken.…"; a browser that keeps nothing, or is full, is no reason to stop. */
const storage = {
  read(key) {
    try { return JSON.parse(localStorage.getItem("foretoken." + key)); } catch { return null; }
  },
  write(key, value) {
    try { localStorage.setItem("foretoken." + key, JSON.stringify(value)); return true; } catch { return false; }
  },
  remove(key) {
    try { localStorage.removeItem("foretoken." + key); } catch { /* nothing was kept */ }
  },
  keys(prefix) {
    try {
      return Object.keys(localStorage).filter(key => key.startsWith("foretoken." + prefix)).map(key => key.slice(10));
    } catch { return []; }
  },
};

const settings = { system: "", temperature: "", top_p: "", max_tokens: "", seed: "", thinking: "", theme: "", fates: false,
  ...storage.read("settings") };

/*
 * A chat is { id, at, messages }; a message { role, content } and, if it is an answer, what there is of
 *   thought, thoughtMs   the text before the answer, and how long it took
 *   fates                { content, thought }: lists of tokens, each [text, source, draft], where draft is the place in its
 *                        round from 1, and 0 for the model's own; [text, source, draft, true] for a draft that was rejected
 *   asked                the settings it was asked with, for repeating it
 *   end, error           "stop", "length", "stopped" (by the user), "failed"
 *   figures              see `take`
 *   repeated             whether an answer to the same question with the same seed was the same
 */
const newID = () => Date.now().toString(36) + "-" + crypto.getRandomValues(new Uint32Array(1))[0].toString(36);

/** A chat out of what a file or the browser's storage holds, which may be anything; null if there is nothing to it. */
function readChat(value) {
  if (!Array.isArray(value?.messages)) return null;
  const messages = value.messages.filter(message =>
    ["user", "assistant"].includes(message?.role) && typeof message.content === "string").map(readMessage);
  return messages.length === 0 ? null : { id: newID(), at: Number(value.at) || Date.now(), messages };
}

const ANSWER = {
  content: "", thought: "", thoughtMs: 0, end: "", error: "", repeated: false, fates: { content: [], thought: [] },
  asked: { system: "", temperature: "", top_p: "", max_tokens: "", seed: "", thinking: "" },
  figures: { tokens: 0, firstMs: 0, perSecond: 0, perRound: 0, promptTokens: 0, cachedTokens: 0, queueMs: 0,
    drafts: 0, acceptedDrafts: 0, drafted: [], accepted: [], exact: false },
};

/** The members of a value that have a shape's names and types. */
const fitting = (value, shape) => Object.fromEntries(Object.entries(shape).flatMap(([key, like]) => {
  const member = value?.[key];
  if (Array.isArray(like)) return [[key, Array.isArray(member) ? member : []]];
  if (typeof like === "object") return [[key, fitting(member, like)]];
  return typeof member === typeof like ? [[key, member]] : [];
}));

function readMessage(value) {
  if (value.role === "user") return { role: "user", content: value.content };
  const message = { role: "assistant", thought: "", ...fitting(value, ANSWER) };
  for (const part of ["content", "thought"]) {
    message.fates[part] = message.fates[part].filter(token =>
      Array.isArray(token) && typeof token[0] === "string" && [undefined, true].includes(token[3]));
  }
  if (!/^\d{1,20}$/.test(message.asked.seed)) delete message.asked.seed;
  return message;
}

const chats = new Map();
function loadChats() {
  for (const key of storage.keys("chat.")) {
    const chat = readChat(storage.read(key));
    if (chat) chats.set(key.slice(5), { ...chat, id: key.slice(5) });
  }
}

const newestFirst = () => [...chats.values()].sort((a, b) => b.at - a.at);
const titleOf = chat => chat?.messages[0]?.content.replace(/[*_`#]+/g, "").trim().slice(0, 80) || "New conversation";

function save(chat) {
  if (!chats.has(chat.id) || storage.write("chat." + chat.id, chat)) return;
  // The tokens' fates are the larger half. Old conversations can do without.
  for (const old of newestFirst().reverse().filter(other => other !== chat)) {
    for (const message of old.messages) delete message.fates;
    storage.write("chat." + old.id, old);
    if (storage.write("chat." + chat.id, chat)) return;
  }
  toast("This browser keeps no more: the conversation will be lost with the page. Export it, or delete others.",
    "Export", () => exportChats([chat]));
}

function exportChats(list) {
  const file = new Blob([JSON.stringify({ foretoken: 1, conversations: list }, null, 1)], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(file), download: "foretoken-conversations.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function importChats(file) {
  let read = [];
  try { read = JSON.parse(await file.text()).conversations.map(readChat).filter(Boolean); } catch { /* said below */ }
  for (const chat of read) {
    chats.set(chat.id, chat);
    save(chat);
  }
  toast(read.length ? plural(read.length, "conversation") + " imported" : "That file holds no conversations.");
  showList();
}

