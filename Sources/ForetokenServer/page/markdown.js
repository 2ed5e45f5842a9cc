// ---------------------------------------------------------------- Markdown: blocks

// No expression may take time that grows with the square of a line: whoever writes the text may be hostile.
const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const ROW_OF_DASHES = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
/** A last line that may yet become a mark of some block; while text comes in, it is not shown. */
const PERHAPS_MARK = /^(?:[-*+#`~|=_:>\s]*|[\s>]*\d{1,9}[.)]?\s*)$/;
const DEEPEST = 8;

const isBlank = line => line.trim() === "";
const indent = line => sum([...line.match(/^[ \t]*/)[0]].map(c => c === "\t" ? 4 : 1));
const startsBlock = line => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

/** Without up to `count` columns of white space at the line's begin. */
function outdent(line, count) {
  let at = 0;
  for (; count > 0 && (line[at] === " " || line[at] === "\t"); at++) count -= line[at] === "\t" ? 4 : 1;
  return line.slice(at);
}

/** Blocks { kind, start, … } of some lines; `start` is the number of a block's first line. */
function parseBlocks(lines, depth = 0) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const start = at, line = lines[at];
    let found, block;
    if (isBlank(line)) {
      at++;
      continue;
    } else if ((found = line.match(FENCE))) {
      const closes = other => other.startsWith(found[1]) && other === other[0].repeat(other.length);
      do at++; while (at < lines.length && !closes(lines[at].trim()));
      block = { kind: "code", language: found[2].trim().split(/\s/)[0], text: lines.slice(start + 1, at).join("\n") };
      at++;
    } else if ((found = line.match(HEADING))) {
      block = { kind: "heading", level: found[1].length, text: line.slice(found[0].length) };
      at++;
    } else if (RULE.test(line)) {
      block = { kind: "rule" };
      at++;
    } else if (depth < DEEPEST && QUOTE.test(line)) {
      while (at < lines.length && QUOTE.test(lines[at])) at++;
      block = { kind: "quote", blocks: parseBlocks(lines.slice(start, at).map(l => l.replace(QUOTE, "")), depth + 1) };
    } else if (depth < DEEPEST && (found = line.match(ITEM))) {
      [block, at] = parseList(lines, at, depth);
    } else if (line.includes("|") && ROW_OF_DASHES.test(lines[at + 1] ?? "") && cells(line).length === cells(lines[at + 1]).length) {
      at += 2;
      while (at < lines.length && !isBlank(lines[at]) && !startsBlock(lines[at])) at++;
      block = { kind: "table", rows: lines.slice(start, at).map(cells) };
    } else {
      do at++; while (at < lines.length && !isBlank(lines[at]) && !startsBlock(lines[at]));
      block = { kind: "paragraph", text: lines.slice(start, at).map(l => l.trimStart()).join("\n") };
    }
    blocks.push({ ...block, start });
  }
  return blocks;
}

const cells = line => line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/).map(cell => cell.trim());

function parseList(lines, at, depth) {
  const isOrdered = line => /^\s*\d/.test(line);
  const list = { kind: "list", first: isOrdered(lines[at]) ? parseInt(lines[at], 10) : null, items: [] };
  let item;
  while (at < lines.length && (item = lines[at].match(ITEM)) && !RULE.test(lines[at])
    && isOrdered(lines[at]) === (list.first !== null)) {
    // What stands two columns right of the mark is the item's: models are careless of where its text begins.
    const edge = indent(item[1]) + 2;
    const inner = [lines[at].slice(item[0].length)];
    let blank = 0;
    for (at++; at < lines.length; at++) {
      if (isBlank(lines[at])) blank++;
      else if (indent(lines[at]) >= edge || (blank === 0 && !startsBlock(lines[at]))) {
        inner.push(...Array(blank).fill(""), outdent(lines[at], item[0].length));
        blank = 0;
      } else break;
    }
    list.items.push(parseBlocks(inner, depth + 1));
  }
  return [list, at];
}

// ---------------------------------------------------------------- Markdown: text within blocks, and the DOM of both

const MARK = /\\([!-/:-@[-`{-~])|(`+)|(\*{1,3}|_{1,3}|~~)|!?\[|<(https?:[^\s<>]+)>|https?:\/\/[^\s<>"`]+|\\?\n/g;
const LINK = /\[((?:[^[\]\\]|\\.)*)\]\([ \t]*<?((?:[^\s<>()]|\([^\s<>()]*\))*)>?(?:[ \t]+"[^"\n]*")?[ \t]*\)/y;

/** Where the closing twin of an emphasis mark begins, -1 for nowhere. */
function closing(text, mark, from) {
  let at = from;
  while ((at = text.indexOf(mark, at)) >= 0) {
    let end = at;
    while (text[end] === mark[0]) end++;
    const length = end - at;
    const fits = length === mark.length || (length === 3 && mark.length < 3);
    const closes = at > from && !/\s/.test(text[at - 1]) && !(mark[0] === "_" && /[\p{L}\p{N}]/u.test(text[end] ?? ""));
    if (fits && closes) return end - mark.length;
    at = end;
  }
  return -1;
}

/** Code within two marks; a space at both ends is theirs. */
const codeText = text => text.startsWith(" ") && text.endsWith(" ") && !isBlank(text) ? text.slice(1, -1) : text;

/** An address without the marks at its end that belong to the sentence. */
function withoutStop(address) {
  const stops = ".,;:!?'*_~" + (address.includes("(") ? "" : ")");
  let end = address.length;
  while (stops.includes(address[end - 1])) end--;
  return address.slice(0, end);
}

/** Only http and https, and only whole addresses. Never an image: an address made by the model would tell who reads. */
function link(address, ...children) {
  let url;
  try { url = new URL(address); } catch { return null; }
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  return make("a", { href: url.href, title: url.href, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

/**
 * Nodes of a block's text. All text goes into text nodes.
 * - isOpen: more text will come: what is bold up to the end is shown so already, lest marks flicker.
 */
function inline(text, isOpen = false, depth = 0) {
  const nodes = [];
  const unclosed = new Set(); // A mark that is not closed here will not be closed further on: no second search.
  const marks = new RegExp(MARK);
  let plain = "", at = 0, found;
  const put = (node, end) => {
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(node);
    at = end;
  };
  const nested = (tag, inner, stillOpen) => make(tag, {}, ...inline(inner, stillOpen, depth + 1));

  while (marks.lastIndex = at, (found = marks.exec(text))) {
    const [mark, escaped, ticks, emphasis, pointed] = found, start = found.index, end = start + mark.length;
    plain += text.slice(at, start);
    at = end;
    if (escaped) {
      plain += escaped;
    } else if (mark.endsWith("\n")) {
      put(make("br"), end);
    } else if (ticks) {
      const close = unclosed.has(ticks) ? null : new RegExp(`(?<!\`)${ticks}(?!\`)`, "g");
      if (close) close.lastIndex = end;
      const twin = close?.exec(text);
      if (twin) put(make("code", {}, codeText(text.slice(end, twin.index).replaceAll("\n", " "))), twin.index + ticks.length);
      else if (isOpen && ticks.length === 1) put(make("code", {}, text.slice(end)), text.length);
      else { plain += mark; unclosed.add(ticks); }
    } else if (emphasis) {
      const isInWord = mark[0] === "_" && /[\p{L}\p{N}]/u.test(text[start - 1] ?? "");
      const opens = depth < DEEPEST && !isInWord && !/^\s/.test(text.slice(end, end + 1));
      const twin = opens && !unclosed.has(mark) ? closing(text, mark, end) : -1;
      const tag = mark[0] === "~" ? "s" : mark.length === 1 ? "em" : "strong";
      if (opens && (twin >= 0 || (isOpen && mark === "**"))) {
        const inner = text.slice(end, twin >= 0 ? twin : text.length);
        const node = nested(tag, inner, isOpen && twin < 0);
        put(mark.length === 3 ? make("em", {}, node) : node, end + inner.length + (twin >= 0 ? mark.length : 0));
      } else {
        plain += mark;
        if (opens) unclosed.add(mark);
      }
    } else if (mark.endsWith("[")) {
      LINK.lastIndex = end - 1;
      const parts = depth < DEEPEST ? LINK.exec(text) : null;
      const node = parts && link(parts[2], ...inline(parts[1] || parts[2], false, DEEPEST));
      if (node) put(node, LINK.lastIndex);
      else plain += mark;
    } else {
      const address = pointed ?? withoutStop(mark);
      const node = depth < DEEPEST ? link(address, address) : null;
      if (node) put(node, pointed ? end : start + address.length);
      else plain += mark;
    }
  }
  plain += text.slice(at);
  if (plain) nodes.push(plain);
  return nodes;
}

const blockNodes = (blocks, isOpen) => blocks.map((block, i) => blockNode(block, isOpen && i === blocks.length - 1));

function blockNode(block, isOpen) {
  switch (block.kind) {
    case "code": return codeNode(block);
    case "heading": return make("h" + Math.min(block.level + 2, 6), {}, ...inline(block.text, isOpen));
    case "rule": return make("hr");
    case "quote": return make("blockquote", {}, ...blockNodes(block.blocks, isOpen));
    case "table": return tableNode(block.rows, isOpen);
    case "list": {
      const items = block.items.map((item, i) => make("li", {}, ...blockNodes(item, isOpen && i === block.items.length - 1)));
      return block.first === null ? make("ul", {}, ...items) : make("ol", { start: block.first }, ...items);
    }
    default: return make("p", {}, ...inline(block.text, isOpen));
  }
}

function codeNode(block) {
  const text = document.createTextNode(block.text);
  const node = make("div", { className: "code" },
    make("div", {}, make("span", {}, block.language || "text"), button("Copy", "plain", () => copy(text.data))),
    make("pre", { tabIndex: 0, dir: "ltr" }, make("code", {}, text)));
  return Object.assign(node, { language: block.language, code: text });
}

function tableNode([head, dashes, ...rows], isOpen) {
  const sides = dashes.map(cell => !cell.endsWith(":") ? "" : cell.startsWith(":") ? "center" : "right");
  const row = (tag, list, open) => make("tr", {}, ...list.slice(0, head.length).map((cell, i) =>
    make(tag, { className: sides[i] }, ...inline(cell.replaceAll("\\|", "|"), open))));
  return make("div", { className: "table", tabIndex: 0, role: "region", "aria-label": "Table" }, make("table", {},
    make("thead", {}, row("th", head)),
    make("tbody", {}, ...rows.map((list, i) => row("td", list, isOpen && i === rows.length - 1)))));
}

