"use strict";

// ---------------------------------------------------------------- Small tools

const $ = id => document.getElementById(id);

/** An element with properties (or attributes, or `on…` listeners) and children; null children are left out. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child != null));
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-" + name);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const button = (text, className, onclick) => make("button", { type: "button", className, onclick }, text);
const iconButton = (name, label, onclick) =>
  make("button", { type: "button", className: "also", "aria-label": label, title: label, onclick }, icon(name));

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const seconds = ms => ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(ms < 9950 ? 1 : 0) + " s";
const percent = (part, whole) => Math.round(100 * part / whole) + " %";
const sum = list => list.reduce((a, b) => a + b, 0);
const plural = (count, word) => number.format(count) + " " + word + (count === 1 ? "" : "s");

/** Tells something for a while, perhaps with a button that takes it back. */
function toast(text, label, action) {
  clearTimeout(toast.timer);
  $("toast").replaceChildren(text, ...label ? [button(label, "", () => { $("toast").replaceChildren(); action(); })] : []);
  toast.timer = setTimeout(() => $("toast").replaceChildren(), 9000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // There is no clipboard for pages that came by plain HTTP from another machine.
    const area = make("textarea", { className: "unseen", value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast("Copied");
}

