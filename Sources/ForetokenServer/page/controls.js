// ---------------------------------------------------------------- Controls

const sends = event => event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;

function fitPrompt() {
  const area = $("prompt");
  area.style.height = "auto";
  area.style.height = area.scrollHeight + "px";
}

function showTheme() {
  const theme = settings.theme;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const label = `Colours: ${theme || "the system's"}`;
  $("theme").setAttribute("aria-label", label);
  $("theme").title = label;
}

function set(name, value) {
  settings[name] = value;
  storage.write("settings", settings);
}

function closeSide() {
  document.body.classList.remove("side-open");
  $("menu").setAttribute("aria-expanded", "false");
}

$("composer").addEventListener("submit", event => {
  event.preventDefault();
  if (runs.has(current?.id)) return stop();
  const text = $("prompt").value.trim();
  if (!text) return;
  $("prompt").value = "";
  fitPrompt();
  send(text);
});
$("prompt").addEventListener("input", fitPrompt);
$("prompt").addEventListener("keydown", event => {
  if (sends(event)) {
    event.preventDefault();
    if (!runs.has(current?.id) && !$("send").disabled) $("composer").requestSubmit();
  } else if (event.key === "ArrowUp" && $("prompt").value === "" && current) {
    const at = current.messages.findLastIndex(message => message.role === "user");
    if (at < 0) return;
    event.preventDefault();
    views.get(current.messages[at]).edit();
  }
});
$("log").addEventListener("scroll", () => {
  const log = $("log");
  isAtEnd = !current || log.scrollHeight - log.scrollTop - log.clientHeight < 48;
  $("down").hidden = isAtEnd;
});
$("down").addEventListener("click", () => { isAtEnd = true; keepAtEnd(); });
$("new").addEventListener("click", () => { open(null); $("prompt").focus(); });
$("export").addEventListener("click", () => exportChats(newestFirst()));
$("import").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  if ($("file").files[0]) await importChats($("file").files[0]);
  $("file").value = "";
});
$("fates").addEventListener("click", () => { set("fates", !settings.fates); views = new WeakMap(); showMessages(); });
$("theme").addEventListener("click", () => {
  set("theme", { "": "light", light: "dark" }[settings.theme] ?? "");
  showTheme();
});
$("menu").addEventListener("click", () => {
  document.body.classList.add("side-open");
  $("menu").setAttribute("aria-expanded", "true");
  $("new").focus();
});
document.querySelector("main").addEventListener("click", event => { if (!event.target.closest("#menu")) closeSide(); });

$("options").addEventListener("click", () => {
  for (const field of $("settings").querySelectorAll("[name]")) field.value = settings[field.name];
  $("settings").showModal();
});
$("settings").addEventListener("input", event => {
  if (event.target.validity.valid) set(event.target.name, event.target.value);
});
$("change-key").addEventListener("click", () => { $("settings").close(); askKey(); });

document.addEventListener("keydown", event => {
  if (event.key === "Escape" && !event.isComposing && !document.querySelector("dialog[open]")) {
    if (!document.body.classList.contains("side-open")) return stop();
    closeSide();
    $("menu").focus();
  } else if (event.key.toUpperCase() === "O" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $("new").click();
  }
});
for (const leaving of ["beforeunload", "pagehide"]) addEventListener(leaving, () => { // a half answer is better than none
  for (const [id, { message, abort }] of runs) {
    abort.abort();
    message.end = "stopped";
    save(chats.get(id));
  }
});

try { key = sessionStorage.getItem("foretoken.key") ?? storage.read("key") ?? ""; } catch { /* none is kept */ }
loadChats();
showTheme();
open(null);
watchHealth();
