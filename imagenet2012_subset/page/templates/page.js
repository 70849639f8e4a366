"use strict";

const CLASSES_PER_PAGE = 12;
const { classes } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const query = byId("query");
const sheet = byId("sheet");
const pagers = [...document.querySelectorAll(".pager")];
const number = new Intl.NumberFormat("en");

const state = { found: classes, page: 1 };
const pageCount = () => Math.max(1, Math.ceil(state.found.length / CLASSES_PER_PAGE));

// Searching.

for (const one of classes) {
  const files = one.splits.flatMap((split) => split.images.map((image) => image.name));
  one.text = [one.name, ...one.words, one.wnid, ...files].join("\n").toLowerCase();
}

function search(text) {
  const words = text.toLowerCase().replaceAll("’", "'").split(/\s+/).filter(Boolean);
  // A number of up to three digits is a label; in file names it would be everywhere.
  const isLabel = words.length === 1 && /^\d{1,3}$/.test(words[0]);
  state.found = classes.filter((one) =>
    isLabel
      ? one.label === Number(words[0])
      : words.every((word) => one.text.includes(word)));
  show(1);
}

// Paging.

function show(page) {
  state.page = Math.min(Math.max(1, Math.trunc(page) || 1), pageCount());
  const start = (state.page - 1) * CLASSES_PER_PAGE;
  sheet.replaceChildren(
    ...state.found.slice(start, start + CLASSES_PER_PAGE).map(classElement));
  byId("status").textContent = statusText(start);
  for (const pager of pagers) {
    pager.hidden = pageCount() === 1;
    pager.querySelector("input").value = state.page;
    pager.querySelector("input").max = pageCount();
    pager.querySelector("output").textContent = number.format(pageCount());
    for (const button of pager.querySelectorAll("button")) {
      const backwards = ["first", "previous"].includes(button.dataset.go);
      const atEnd = state.page === (backwards ? 1 : pageCount());
      // Not `disabled`, which would take the focus from who pages by keyboard.
      button.setAttribute("aria-disabled", atEnd);
    }
  }
}

function statusText(start) {
  const total = state.found.length;
  if (total === 0) return "No class matches.";
  const noun = total === 1 ? "class" : "classes";
  const matching = total === classes.length ? "" : " found";
  const end = Math.min(start + CLASSES_PER_PAGE, total);
  const range = total > CLASSES_PER_PAGE ? `${number.format(start + 1)}–${number.format(end)} of ` : "";
  return `${range}${number.format(total)} ${noun}${matching}`;
}

function go(where) {
  const pages = {
    first: 1, previous: state.page - 1, next: state.page + 1, last: pageCount(),
  };
  show(pages[where]);
}

// Drawing. Text from the dataset is only ever set as text.

function cloned(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

function classElement(one) {
  const element = cloned("class-template");
  element.querySelector("h3").textContent = one.name;
  const others = one.words.filter((word) => word !== one.name);
  element.querySelector(".words").textContent = others.join(", ");
  element.querySelector(".ids").textContent = `label ${one.label} · ${one.wnid}`;
  element.querySelector(".groups").append(
    ...one.splits.filter((split) => split.count).map((split) => groupElement(one, split)));
  return element;
}

function groupElement(one, split) {
  const element = cloned("group-template");
  const shown = split.images.length;
  const count = shown < split.count
    ? `${number.format(shown)} of ${number.format(split.count)}` : number.format(shown);
  element.querySelector("h4").textContent = `${split.name}, ${count}`;
  element.querySelector("ul").append(
    ...split.images.map((image) => thumbElement(one, split, image)));
  return element;
}

function thumbElement(one, split, image) {
  const element = cloned("thumb-template");
  const picture = element.querySelector("img");
  picture.src = `data:image/webp;base64,${image.webp}`;
  picture.alt = `${one.name}, ${image.name}`;
  element.querySelector("span").textContent = `${image.width} × ${image.height}`;
  element.querySelector("button").title = image.name;
  element.querySelector("button").addEventListener("click", () =>
    enlarge(one, split, image, picture.src));
  return element;
}

function enlarge(one, split, image, source) {
  byId("enlarged-image").src = source;
  byId("enlarged-image").alt = `The middle of ${image.name}`;
  byId("enlarged-name").textContent = one.name;
  const facts = {
    File: image.name,
    Split: split.name,
    Class: `label ${one.label}, ${one.wnid}`,
    Pixels: `${image.width} × ${image.height}`,
    Encoded: `${number.format(image.bytes)} bytes`,
  };
  byId("enlarged-facts").replaceChildren(...Object.entries(facts).map(([term, value]) => {
    const row = document.createElement("div");
    for (const [tag, text] of [["dt", term], ["dd", value]]) {
      row.append(Object.assign(document.createElement(tag), { textContent: text }));
    }
    return row;
  }));
  byId("enlarged").showModal();
}

// A look at the whole, from first to last class.

const pictures = classes.flatMap((one) => one.splits[0].images.slice(0, 1));
const step = Math.max(1, Math.floor(pictures.length / 24));
byId("strip").replaceChildren(
  ...pictures.filter((_, i) => i % step === 0).slice(0, 24).map((image) =>
    Object.assign(new Image(), { src: `data:image/webp;base64,${image.webp}`, alt: "" })));
byId("strip").hidden = pictures.length === 0;

// Light and dark: the system's choice, until the button is pressed.

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";

function nameOtherTheme() {
  byId("theme-name").textContent = isDark() ? "Light" : "Dark";
}

byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameOtherTheme();
});
prefersDark.addEventListener("change", nameOtherTheme);

// What a reader does.

byId("search").addEventListener("submit", (event) => event.preventDefault());
query.addEventListener("input", () => search(query.value));
for (const pager of pagers) {
  pager.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    go(button.dataset.go);
    if (pager !== pagers[0]) byId("status").scrollIntoView();
  });
  pager.querySelector("input").addEventListener("change", (event) =>
    show(Number(event.target.value)));
}
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, dialog, .scroll, pre");
  if (isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "/") {
    event.preventDefault();
    query.focus();
  } else if (event.key === "ArrowLeft") {
    go("previous");
  } else if (event.key === "ArrowRight") {
    go("next");
  }
});

byId("theme").hidden = false;
byId("search").hidden = false;
nameOtherTheme();
search(query.value);
