// A pane that output flows into, bounded, and at its end for as long as its reader is.

const LONGEST = 2_000_000; // characters that stay in the page; the rest is with the server
const NEAR = 30;

export class Pane {
  constructor(element) {
    this.element = element;
    this.size = element.textContent.length;
    this.toEnd();
  }

  text(text) {
    if (!text) return;
    const last = this.element.lastElementChild;
    if (last?.tagName === "SPAN" && last.textContent.length < 10_000) {
      this.keeping(() => last.append(text), text.length);
    } else {
      this.add("span", text);
    }
  }

  note(text, type) {
    this.add("div", text, "hint", type);
  }

  clear() {
    this.element.replaceChildren();
    this.size = 0;
  }

  add(tag, text, name, type) {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    if (type) made.dataset.type = type;
    this.keeping(() => this.element.append(made), text.length);
  }

  keeping(change, size) {
    const atEnd = this.atEnd();
    change();
    this.size += size;
    while (this.size > LONGEST && this.element.children.length > 1) {
      this.size -= this.element.firstElementChild.textContent.length;
      this.element.firstElementChild.remove();
    }
    if (atEnd) this.toEnd();
  }

  atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }
}
