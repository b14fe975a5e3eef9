// What a reader can ask of the page: sort and filter tables, choose whose draws are shown in all tables and pictures,
// find a quantity, and choose between light and dark. Without this script everything shows as it is.
(() => {
  "use strict";

  // A number as the report writes it, before its error and with commas or without; what is no number comes last.
  const number = (text) => {
    const found = parseFloat(text.replace(/,(?=\d{3})/g, "").replace("\u2212", "-").replace(/^[<>]\s*/, ""));
    return Number.isNaN(found) ? null : found;
  };

  const cell = (body, at) => body.rows[0].cells[at].textContent.trim();

  const order = (at, numeric, sign) => (one, other) => {
    const [a, b] = [cell(one, at), cell(other, at)];
    if (!numeric) return sign * a.localeCompare(b, undefined, { numeric: true });
    const [x, y] = [number(a), number(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  };

  // By a column upwards, then downwards, then as they were.
  const sortable = (table, bodies) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.title = "Sort by this column";
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
        heads.forEach((one) => one.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", next);
        const sign = next === "descending" ? -1 : 1;
        const sorted = [...bodies];
        if (next !== "none") sorted.sort(order(at, head.classList.contains("num"), sign));
        table.append(...sorted);
      });
    });
  };

  const filterable = (table, bodies, frame) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    label.className = "filter";
    input.type = "search";
    label.append("Show rows with ", input, " ", count);
    frame.before(label);
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      bodies.forEach((body) => {
        const text = body.textContent.toLowerCase();
        body.hidden = !words.every((word) => text.includes(word));
      });
      const shown = bodies.filter((body) => !body.hidden).length;
      count.textContent = words.length ? `${shown} of ${bodies.length}` : "";
    };
    input.addEventListener("input", apply);
  };

  const button = (text, press) => {
    const made = document.createElement("button");
    made.type = "button";
    made.append(text);
    made.addEventListener("click", () => press(made));
    return made;
  };

  // Of every guide, and of the reference, what has its class: lines and panels of pictures, rows of tables.
  const shown = (bar) => {
    const names = new Map();
    document.querySelectorAll("tbody[class] > tr:first-child > th .key").forEach((key) => {
      const of = key.closest("tbody").className;
      const known = names.get(of) ?? new Set();
      names.set(of, known.add(key.textContent.trim()));
    });
    if (document.querySelector(".picture .g-dcdcdc")) names.set("g-dcdcdc", new Set(["reference"]));
    if (names.size < 2) return;
    names.forEach((known, of) => {
      const name = [...known].join(", ");
      const parts = document.querySelectorAll(`.${of}`);
      parts.forEach((part) => {
        if (!(part instanceof SVGElement) || part.querySelector(":scope > title")) return;
        const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
        title.textContent = name;
        part.prepend(title);
      });
      const made = button("", (one) => {
        const on = one.getAttribute("aria-pressed") === "false";
        one.setAttribute("aria-pressed", on);
        parts.forEach((part) => part.classList.toggle("off", !on));
      });
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = `#${of.slice(2)}`;
      made.append(swatch, name);
      made.setAttribute("aria-pressed", true);
      made.title = `Show or hide ${name} in all tables and pictures`;
      bar.append(made);
    });
  };

  // Rows of all tables that have the words; the folds around them open. A table without such a row stays as it is.
  const findable = (bar) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    label.className = "find";
    input.type = "search";
    label.append("Find a quantity ", input, " ", count);
    bar.append(label);
    const tables = [...document.querySelectorAll("main .scroll > table")].map((table) => [...table.tBodies]);
    const texts = new Map(tables.flat().map((body) => [body, body.rows[0].cells[0].textContent.toLowerCase()]));
    const opened = new Set();
    let first = null;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      first = null;
      opened.forEach((fold) => (fold.open = false));
      opened.clear();
      tables.forEach((bodies) => {
        const has = (body) => words.length > 0 && words.every((word) => texts.get(body).includes(word));
        const some = bodies.filter(has);
        found += some.length;
        first ??= some[0] ?? null;
        bodies.forEach((body) => body.classList.toggle("unasked", some.length > 0 && !has(body)));
        for (let fold = some[0]?.closest("details"); fold; fold = fold.parentElement.closest("details")) {
          if (!fold.open) opened.add(fold);
          fold.open = true;
        }
      });
      count.textContent = words.length ? `${found} ${found === 1 ? "row" : "rows"}` : "";
    });
    input.title = "Enter leads to the first row";
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") first?.scrollIntoView({ block: "center" });
    });
  };

  const lit = (bar) => {
    const root = document.documentElement;
    const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    const name = (one) => (one.textContent = dark() ? "Light" : "Dark");
    const made = button("", (one) => {
      root.dataset.theme = dark() ? "light" : "dark";
      name(one);
    });
    made.className = "theme";
    made.title = "Change between light and dark";
    name(made);
    bar.append(made);
  };

  const bar = document.createElement("div");
  bar.className = "ask";
  bar.setAttribute("role", "region");
  bar.setAttribute("aria-label", "What is shown");
  shown(bar);
  findable(bar);
  lit(bar);
  document.getElementById("content").before(bar);

  document.querySelectorAll(".scroll > table").forEach((table) => {
    const bodies = [...table.tBodies];
    if (bodies.length < 3 || !table.tHead) return;
    sortable(table, bodies);
    if (bodies.length > 12) filterable(table, bodies, table.parentElement);
  });
})();
