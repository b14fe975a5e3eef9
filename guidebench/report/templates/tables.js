// Tables that can be sorted by a column and, where they are long, filtered. Without this script they show as they are.
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

  document.querySelectorAll(".scroll > table").forEach((table) => {
    const bodies = [...table.tBodies];
    if (bodies.length < 3 || !table.tHead) return;
    sortable(table, bodies);
    if (bodies.length > 12) filterable(table, bodies, table.parentElement);
  });
})();
