// What a model says, as elements: paragraphs, headings, code. All of it is text, whatever it says.

import { make } from "./page.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^#{1,6} +(.+)$/;
const MARKED = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

// A text that grows. What cannot change any more is drawn once; only its end is drawn anew.
export class Prose {
  element = make("div", "prose");
  #end = "";
  #drawn = [];

  add(text) {
    this.#end += text;
  }

  draw() {
    const settled = settledLength(this.#end);
    for (const element of this.#drawn) element.remove();
    this.element.append(...elementsOf(this.#end.slice(0, settled)));
    this.#end = this.#end.slice(settled);
    this.#drawn = elementsOf(this.#end);
    this.element.append(...this.#drawn);
  }
}

// As far as nothing that follows changes how it is drawn: up to an empty line, or the end of a block of code.
function settledLength(text) {
  let fence = null, length = 0, settled = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    length += line.length + 1;
    const mark = FENCE.exec(line)?.[1];
    const closes = fence !== null && closesFence(line, fence);
    if (fence === null && mark) fence = mark;
    else if (closes) fence = null;
    if (closes || (fence === null && !line.trim())) settled = length;
  }
  return settled;
}

const closesFence = (line, fence) => line.trim().startsWith(fence) && !line.trim().replaceAll(fence[0], "");

function elementsOf(text) {
  const elements = [];
  let lines = [], fence = null;
  const flush = (element) => {
    if (lines.join("").trim()) elements.push(element(lines.join("\n")));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1];
    if (fence === null && mark) {
      flush(paragraph);
      fence = mark;
    } else if (fence !== null && closesFence(line, fence)) {
      flush(code);
      fence = null;
    } else if (fence === null && HEADING.test(line)) {
      flush(paragraph);
      elements.push(make("p", "heading", ...marked(HEADING.exec(line)[1])));
    } else if (fence === null && !line.trim()) flush(paragraph);
    else lines.push(line);
  }
  flush(fence === null ? paragraph : code);
  return elements;
}

const paragraph = (text) => make("p", "", ...marked(text));

function code(text) {
  const element = make("pre", "", make("code", "", text));
  element.tabIndex = 0; // it may scroll
  return element;
}

// `code` and **emphasis** within a line.
function marked(text) {
  return text.split(MARKED).map((part, at) => {
    if (at % 2 === 0) return part;
    return part.startsWith("`") ? make("code", "", part.slice(1, -1)) : make("strong", "", part.slice(2, -2));
  });
}
