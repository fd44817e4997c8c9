"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const PAGE = 24;

  // All text goes through textContent or an attribute that cannot act: nothing that the data say is markup.
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") element.className = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const draw = (name, attributes = {}) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  const boxesOver = (picture, boxes) => {
    picture.querySelector("svg")?.remove();
    if (!boxes.length) return;
    const svg = draw("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const [x1, y1, x2, y2, label, colour] of boxes) {
      const edges = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
      svg.append(draw("rect", { ...edges, class: "halo" }));
      const box = draw("rect", { ...edges, class: "box", stroke: colour || "#ffffff" });
      const title = draw("title");
      title.textContent = label;
      box.append(title);
      svg.append(box);
    }
    picture.append(svg);
  };

  const pictureOf = (name, described) => {
    const url = data.pictures[name];
    const holder = make("div", { class: "picture" });
    if (url) holder.append(make("img", { src: url, alt: described, decoding: "async" }));
    else holder.append(make("p", { class: "quiet" }, "This picture is not on the page."));
    return holder;
  };

  // The gallery

  const { cards, filters } = data.gallery;
  const form = document.getElementById("filters");
  const chosen = {};
  let showBoxes = true;
  let search = "";
  let limit = PAGE;

  const valuesOf = (card, key) => (Array.isArray(card[key]) ? card[key] : [card[key]]);
  const fits = (card) =>
    filters.every(([key]) => !chosen[key] || valuesOf(card, key).includes(chosen[key])) &&
    (!search || card.text.includes(search));

  const boxesOf = (card) => {
    if (!showBoxes) return [];
    const wanted = chosen.labels;
    return wanted ? card.boxes.filter((box) => box[4] === wanted) : card.boxes;
  };

  const sharesOf = (card) => {
    const list = make("ul", { class: "shares", "aria-label": "What it shows" });
    for (const [label, share, colour] of card.shares) {
      const item = make("li", {}, share === null ? label : `${label} ${(share * 100).toFixed(1)} %`);
      if (colour) {
        const patch = draw("svg", { class: "patch", viewBox: "0 0 10 10", "aria-hidden": "true" });
        patch.append(draw("rect", { width: 10, height: 10, fill: colour }));
        item.prepend(patch);
      }
      list.append(item);
    }
    return list;
  };

  const rowOf = (row, card, picture) => {
    const item = make("li", {}, make("strong", {}, row.task), make("span", { class: "asked" }, row.prompt), row.answer);
    if (row.boxes.length) {
      const colours = Object.fromEntries(card.shares.map(([label, , colour]) => [label, colour]));
      const button = make("button", { type: "button", "aria-pressed": "false" }, "Show its boxes");
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        for (const other of item.parentElement.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(on));
        boxesOver(picture, on ? row.boxes.map((box) => [...box, colours[box[4]]]) : boxesOf(card));
      });
      item.append(make("br"), button);
    }
    return item;
  };

  const factsOf = (card) => {
    const list = make("dl", { class: "facts" });
    for (const [name, value] of card.facts) list.append(make("dt", {}, name), make("dd", {}, value));
    return list;
  };

  const cardOf = (card) => {
    const described = card.shares.map(([label, share]) => (share === null ? label : `${label} ${Math.round(share * 100)} %`));
    const picture = pictureOf(card.picture, `${card.id}: ${described.slice(0, 6).join(", ")}`);
    boxesOver(picture, boxesOf(card));
    const title = make("h3", {}, card.id, make("span", { class: `badge ${card.split}` }, card.split));
    const details = make("details", {}, make("summary", {}, `${card.rows.length} rows and more`));
    // Made when it is opened: most never are.
    details.addEventListener("toggle", () => {
      if (!details.open || details.children.length > 1) return;
      const rows = make("ol", { class: "rows" });
      rows.append(...card.rows.map((row) => rowOf(row, card, picture)));
      details.append(sharesOf(card), factsOf(card), rows);
      if (card.rejects.length) details.append(make("p", {}, `Left out beside it: ${card.rejects.join(", ")}`));
    });
    return make("article", { class: "card" }, picture, title, make("p", {}, card.caption), details);
  };

  const show = () => {
    const found = cards.filter(fits);
    document.getElementById("cards").replaceChildren(...found.slice(0, limit).map(cardOf));
    const more = document.getElementById("more");
    more.hidden = found.length <= limit;
    const shown = Math.min(limit, found.length);
    const noun = data.gallery.noun[cards.length === 1 ? 0 : 1];
    document.getElementById("shown").textContent = cards.length
      ? `${found.length} of ${cards.length} ${noun} ${found.length === 1 ? "fits" : "fit"}, ${shown} shown`
      : `No ${noun} yet.`;
  };

  const prepareGallery = () => {
    for (const card of cards) {
      card.text = [card.id, card.caption, ...card.rows.flatMap((row) => [row.prompt, row.answer])].join("\n").toLowerCase();
    }
    for (const [key, name] of filters) {
      const counts = new Map();
      for (const card of cards) for (const value of valuesOf(card, key)) counts.set(value, (counts.get(value) || 0) + 1);
      const select = make("select", { name: key });
      select.append(make("option", { value: "" }, "all"));
      for (const value of [...counts.keys()].sort()) {
        select.append(make("option", { value }, `${value} (${counts.get(value)})`));
      }
      select.disabled = !counts.size;
      select.addEventListener("change", () => {
        chosen[key] = select.value;
        limit = PAGE;
        show();
      });
      form.append(make("label", {}, name, select));
    }
    const field = make("input", { type: "search", name: "search" });
    field.addEventListener("input", () => {
      search = field.value.trim().toLowerCase();
      limit = PAGE;
      show();
    });
    form.append(make("label", {}, "words in ids and rows", field));
    if (cards.some((card) => card.boxes.length)) {
      const tick = make("input", { type: "checkbox", name: "boxes" });
      tick.checked = true;
      tick.addEventListener("change", () => {
        showBoxes = tick.checked;
        show();
      });
      form.append(make("label", { class: "tick" }, tick, "boxes"));
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("more").addEventListener("click", () => {
      const first = limit;
      limit += PAGE;
      show();
      document.querySelectorAll("#cards summary")[first]?.focus();
    });
    show();
  };

  // The check sheet

  const rows = data.sample ? data.sample.rows : [];
  const KEY = `nutonic-check ${data.digest} ${data.sample ? data.sample.seed : 0}`;
  const VERDICTS = [["right", "r"], ["wrong", "w"], ["unsure", "u"]];
  const judged = {};
  let kept = true;
  let at = 0;

  const load = () => {
    try {
      const stored = JSON.parse(localStorage.getItem(KEY) || "{}");
      for (const row of rows) {
        const verdict = stored[row.id];
        if (verdict && VERDICTS.some(([name]) => name === verdict.verdict)) judged[row.id] = verdict;
      }
    } catch {
      kept = false;
    }
  };
  const save = () => {
    try {
      localStorage.setItem(KEY, JSON.stringify(judged));
    } catch {
      kept = false;
    }
  };

  const logGamma = (x) => {
    // Lanczos, g = 7: right to 15 digits.
    const c = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
      12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7];
    let sum = c[0];
    for (let i = 1; i < 9; i++) sum += c[i] / (x - 1 + i);
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  };
  const atMost = (wrong, n, p) => {
    let sum = 0;
    for (let i = 0; i <= wrong; i++) {
      const ways = logGamma(n + 1) - logGamma(i + 1) - logGamma(n - i + 1);
      sum += Math.exp(ways + i * Math.log(p) + (n - i) * Math.log1p(-p));
    }
    return sum;
  };
  // Clopper and Pearson: the largest share of wrong rows that would give so few with a chance of one in twenty.
  const upperBound = (wrong, n) => {
    if (!n || wrong >= n) return 1;
    let [low, high] = [0, 1];
    for (let k = 0; k < 60; k++) {
      const middle = (low + high) / 2;
      if (atMost(wrong, n, middle) > 0.05) low = middle;
      else high = middle;
    }
    return high;
  };

  const tally = (some) => {
    const counts = { right: 0, wrong: 0, unsure: 0 };
    for (const row of some) if (judged[row.id]) counts[judged[row.id].verdict]++;
    const n = counts.right + counts.wrong + counts.unsure;
    return { ...counts, n, bound: upperBound(counts.wrong + counts.unsure, n) };
  };

  const csv = () => {
    // A cell that a spreadsheet would take for a formula begins with an apostrophe.
    const cell = (value) => {
      const text = String(value ?? "");
      return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    };
    const heads = ["number", "id", "task", "split", "verdict", "note", "prompt", "answer"];
    const lines = rows.map((row, k) => {
      const { verdict = "", note = "" } = judged[row.id] || {};
      return [k + 1, row.id, row.task, row.split, verdict, note, row.prompt, row.answer].map(cell).join(",");
    });
    return `${[heads.join(","), ...lines].join("\r\n")}\r\n`;
  };

  const sheet = document.getElementById("sheet");
  const parts = {};

  const showResult = () => {
    const { n, wrong, unsure, bound } = tally(rows);
    const told = n
      ? `${n} of ${rows.length} judged: ${wrong} wrong, ${unsure} unsure. With 95 % confidence, at most ` +
        `${(bound * 100).toFixed(1)} % of all ${data.sample.of.toLocaleString("en")} rows are wrong ` +
        "(exact bound of Clopper and Pearson, one-sided; unsure counts as wrong)."
      : `None of ${rows.length} judged yet.`;
    parts.result.textContent = told + (kept ? "" : " This browser keeps nothing: export before you leave.");
    const body = make("tbody");
    for (const task of [...new Set(rows.map((row) => row.task))].sort()) {
      const found = tally(rows.filter((row) => row.task === task));
      const cells = [found.n, found.right, found.wrong, found.unsure, found.n ? `${(found.bound * 100).toFixed(1)} %` : ""];
      body.append(make("tr", {}, make("th", { scope: "row" }, task), ...cells.map((c) => make("td", { class: "number" }, String(c)))));
    }
    parts.table.querySelector("tbody")?.remove();
    parts.table.append(body);
  };

  const showRow = () => {
    const row = rows[at];
    const verdict = judged[row.id]?.verdict;
    const pictures = (row.pictures.length ? row.pictures : [""]).map((name) => pictureOf(name, `Picture of row ${row.id}`));
    boxesOver(pictures[pictures.length - 1], row.boxes.map((box) => [...box, "#ffd400"]));
    parts.pictures.replaceChildren(...pictures);
    parts.where.textContent = `Row ${at + 1} of ${rows.length}: ${row.task}, ${row.split}${verdict ? `, judged ${verdict}` : ""}`;
    parts.id.textContent = row.id;
    parts.prompt.textContent = row.prompt;
    parts.answer.textContent = row.answer;
    parts.note.value = judged[row.id]?.note || "";
    for (const [name] of VERDICTS) parts[name].setAttribute("aria-pressed", String(verdict === name));
    parts.previous.disabled = at === 0;
    parts.next.disabled = at === rows.length - 1;
    showResult();
  };

  const judge = (verdict) => {
    const row = rows[at];
    judged[row.id] = { verdict, note: parts.note.value };
    save();
    const open = rows.findIndex((each, k) => k > at && !judged[each.id]);
    if (open >= 0) at = open;
    showRow();
  };
  const step = (by) => {
    at = Math.max(0, Math.min(rows.length - 1, at + by));
    showRow();
  };
  const exported = () => {
    const url = URL.createObjectURL(new Blob(["\ufeff", csv()], { type: "text/csv" }));
    const link = make("a", { href: url, download: `check-${data.name.replace(/[^A-Za-z0-9._-]+/g, "-")}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const cleared = () => {
    if (!confirm("Forget all judgements of this sample?")) return;
    for (const key of Object.keys(judged)) delete judged[key];
    save();
    at = 0;
    showRow();
  };

  const button = (text, action, attributes = {}) => {
    const element = make("button", { type: "button", ...attributes }, text);
    element.addEventListener("click", action);
    return element;
  };

  const prepareSheet = () => {
    if (!rows.length) {
      sheet.append(make("p", {}, "There are no rows to judge yet."));
      return;
    }
    load();
    for (const [name, key] of VERDICTS) {
      parts[name] = button(`${name[0].toUpperCase()}${name.slice(1)} (${key})`, () => judge(name), { "aria-pressed": "false" });
    }
    parts.previous = button("Previous", () => step(-1));
    parts.next = button("Next", () => step(1));
    parts.where = make("h3", { "aria-live": "polite" });
    parts.id = make("p", { class: "quiet" });
    parts.prompt = make("p");
    parts.answer = make("p", { class: "answer" });
    parts.pictures = make("div");
    parts.note = make("input", { type: "text", id: "note" });
    parts.result = make("p", { class: "result", role: "status" });
    const heads = ["task", "judged", "right", "wrong", "unsure", "at most wrong"].map((head) => make("th", { scope: "col" }, head));
    parts.table = make("table", {}, make("caption", {}, "By task"), make("thead", {}, make("tr", {}, ...heads)));
    parts.note.addEventListener("input", () => {
      const row = rows[at];
      if (!judged[row.id]) return;
      judged[row.id].note = parts.note.value;
      save();
    });
    const form = make("div", {}, parts.where, parts.id, parts.prompt, parts.answer,
      make("div", { class: "buttons", role: "group", "aria-label": "Judgement" }, ...VERDICTS.map(([name]) => parts[name])),
      make("div", { class: "filters" }, make("label", {}, "note", parts.note)),
      make("div", { class: "buttons" }, parts.previous, parts.next, button("Export CSV", exported, { id: "export" }), button("Forget all", cleared)));
    const box = make("div", { class: "sheet", role: "group", "aria-label": "Check sheet. Keys: r right, w wrong, u unsure, arrows to go on" },
      parts.pictures, form);
    // Keys count only within the sheet, and not while a note is written.
    box.addEventListener("keydown", (event) => {
      if (event.target === parts.note || event.ctrlKey || event.metaKey || event.altKey) return;
      const verdict = VERDICTS.find(([, key]) => key === event.key.toLowerCase());
      if (verdict) judge(verdict[0]);
      else if (event.key === "ArrowLeft") step(-1);
      else if (event.key === "ArrowRight") step(1);
      else return;
      event.preventDefault();
    });
    sheet.append(box, parts.result, make("div", { class: "scroll" }, parts.table));
    const open = rows.findIndex((row) => !judged[row.id]);
    at = Math.max(0, open);
    showRow();
  };

  prepareGallery();
  if (data.sample) prepareSheet();
})();
