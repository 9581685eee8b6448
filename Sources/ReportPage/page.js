// The page of `spanqa inspect`. One object, `data`, holds everything (InspectionReport.swift says what); this script draws it. Texts come
// into the page as text nodes only. Order: helpers, colours, the chosen token, the kinds of charts, then a function for each section.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rowCount = data.tokens.length;
  const passageRows = data.tokens.map((token, row) => (token.part === "passage" ? row : -1)).filter((row) => row >= 0);

  // ---------------------------------------------------------------- Helpers

  function append(element, children) {
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
    return element;
  }

  /** An element with attributes, listeners (`onclick`) and children; strings become text. */
  function el(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key.startsWith("aria-")) element.setAttribute(key, String(value));
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
    }
    return append(element, children);
  }

  function svg(name, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return append(element, children);
  }

  const body = (section) => document.querySelector(`#${section} .body`);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const mean = (numbers) => (numbers.length ? sum(numbers) / numbers.length : 0);
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const fixed = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits) : String(x));
  const percent = (x, digits = 1) => {
    const value = 100 * x;
    return value > 0 && value < 10 ** -digits ? `< ${10 ** -digits} %` : `${fixed(value, digits)} %`;
  };
  const bytes = (count) => (count < 1 << 20 ? `${fixed(count / 1024, 0)} KiB` : `${fixed(count / (1 << 20), 1)} MiB`);

  /** Control characters by their pictures (U+2400 …): they would show as nothing. */
  const visible = (text) =>
    text.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
      .replace(/\u007f/g, "\u2421")
      .replace(/[\u0080-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);

  // Places are Unicode scalars, which a string's iterator gives; its own indices count UTF-16.
  const scalars = { passage: Array.from(data.passage), question: Array.from(data.question) };
  const piece = (part, start, end) => scalars[part].slice(start, end).join("");

  const tip = document.getElementById("tip");
  function showTip(text, x, y) {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${clamp(x + 14, 4, innerWidth - width - 4)}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? y - height - 10 : y + 18}px`;
  }
  const hideTip = () => { tip.hidden = true; };

  /** A table of the numbers that a chart draws, for those who would rather read. */
  function table(summary, head, rows) {
    const cell = (name, value) =>
      el(name, { class: typeof value === "number" || /^[<−-]?[\d.]+( %)?$/.test(value) ? "n" : null, scope: name === "th" ? "col" : null },
        typeof value === "number" ? String(Math.round(value * 10000) / 10000) : value);
    return el("details", {}, el("summary", {}, summary),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": summary },
        el("table", {}, el("thead", {}, el("tr", {}, head.map((value) => cell("th", value)))),
          el("tbody", {}, rows.map((row) => el("tr", {}, row.map((value) => cell("td", value))))))));
  }

  /** Buttons of which one is pressed. */
  function choice(label, names, chosen, choose) {
    const buttons = names.map((name) =>
      el("button", { type: "button", "aria-pressed": name === chosen, onclick: () => {
        for (const button of buttons) button.setAttribute("aria-pressed", button.textContent === name);
        choose(name);
      } }, name));
    return el("div", { class: "switch", role: "group", "aria-label": label }, buttons);
  }

  const legend = (...entries) =>
    el("p", { class: "legend" }, entries.map(([color, text]) => el("span", {}, el("i", { style: `background:${color}` }), text)));

  // Charts are as wide as the page lets them be.
  const drawings = [];
  function onDraw(draw) {
    drawings.push(draw);
    draw();
  }
  let lastWidth = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === lastWidth) return;
    lastWidth = innerWidth;
    redraw();
  });
  function redraw() {
    ramps.clear();
    for (const draw of drawings) draw();
  }

  // ---------------------------------------------------------------- Colours

  const root = document.documentElement;
  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const ramps = new Map();

  /** 256 colours of a ramp of the style sheet, as [r, g, b]. */
  function ramp(name) {
    if (ramps.has(name)) return ramps.get(name);
    const stops = variable(name).split(",").map((stop) => parseInt(stop.trim().slice(1), 16))
      .map((color) => [color >> 16, (color >> 8) & 255, color & 255]);
    const colors = Array.from({ length: 256 }, (_, index) => {
      const place = (index / 255) * (stops.length - 1);
      const low = Math.min(Math.floor(place), stops.length - 2);
      return stops[low].map((c, i) => Math.round(c + (stops[low + 1][i] - c) * (place - low)));
    });
    ramps.set(name, colors);
    return colors;
  }
  const rampScale = (name, low, high) => el("p", { class: "legend" }, low,
    el("i", { class: "scale", style: `background:linear-gradient(90deg,${variable(name)})` }), high);

  const themes = ["system", "light", "dark"];
  const darkSystem = matchMedia("(prefers-color-scheme: dark)");
  let theme = themes[0];
  const themeButton = document.getElementById("theme");
  function applyTheme() {
    root.dataset.theme = theme === themes[0] ? (darkSystem.matches ? "dark" : "light") : theme;
    themeButton.textContent = `Colours: ${theme}`;
    redraw();
  }
  themeButton.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    applyTheme();
  });
  darkSystem.addEventListener("change", applyTheme);
  root.dataset.theme = darkSystem.matches ? "dark" : "light";
  themeButton.textContent = `Colours: ${theme}`;

  // ---------------------------------------------------------------- The token pointed at, and the token chosen

  const readout = document.getElementById("readout");
  let chosen = null;
  let hovered = null;
  const hoverListeners = [];
  const chooseListeners = [];

  function softmax(logits) {
    const rows = [0, ...passageRows];
    const largest = Math.max(...rows.map((row) => logits[row]));
    const total = sum(rows.map((row) => Math.exp(logits[row] - largest)));
    const allowed = new Set(rows);
    return logits.map((logit, row) => (allowed.has(row) ? Math.exp(logit - largest) / total : 0));
  }
  const startProbability = softmax(data.logits.start);
  const endProbability = softmax(data.logits.end);

  const tokenText = (row) => visible(data.tokens[row].text);
  function place(token) {
    return token.part === "special" ? "special token" : `${token.part} ${token.start}–${token.end}`;
  }
  function describe(row) {
    const token = data.tokens[row];
    return `token ${row} · ${tokenText(row)} · id ${token.id} · ${place(token)}`;
  }

  function showReadout() {
    const row = hovered ?? chosen;
    readout.hidden = row === null;
    if (row === null) return;
    const token = data.tokens[row];
    const entries = [
      el("b", {}, tokenText(row)), el("span", {}, `token ${row}`), el("span", {}, `id ${token.id}`),
      el("span", { class: "offsets" }, place(token)),
      token.part === "special" ? null
        : el("span", { class: "text" }, `“${visible(piece(token.part, token.start, token.end))}”`),
      el("span", {}, `start ${percent(startProbability[row])}`), el("span", {}, `end ${percent(endProbability[row])}`),
      chosen === null ? null
        : el("button", { type: "button", class: "quiet", onclick: () => choose(null) }, `let go of token ${chosen}`),
    ];
    readout.replaceChildren(append(el("div", {}), entries));
  }

  function hover(row) {
    if (row === hovered) return;
    hovered = row;
    for (const listener of hoverListeners) listener(row);
    showReadout();
  }
  function choose(row) {
    chosen = row === chosen ? null : row;
    for (const listener of chooseListeners) listener(chosen);
    showReadout();
  }

  /** Marks elements that belong to tokens: `elements()[row]` is one or none. */
  function followToken(elements) {
    const mark = (name) => {
      let last = null;
      return (row) => {
        if (last !== null) elements()[last]?.classList.remove(name);
        if (row !== null) elements()[row]?.classList.add(name);
        last = row;
      };
    };
    hoverListeners.push(mark("hover"));
    chooseListeners.push(mark("chosen"));
  }

  /** Arrow keys among elements of which only one is reached by the tab key; `step(index, key)` says where a key leads. */
  function roving(container, items, step, enter) {
    items.forEach((item, index) => { item.tabIndex = index === 0 ? 0 : -1; });
    container.addEventListener("keydown", (event) => {
      const index = items.indexOf(event.target);
      if (index < 0) return;
      const next = step(index, event.key);
      if (next === null) return;
      event.preventDefault();
      const target = items[clamp(next, 0, items.length - 1)];
      items[index].tabIndex = -1;
      target.tabIndex = 0;
      target.focus();
    });
    container.addEventListener("focusin", (event) => {
      const index = items.indexOf(event.target);
      if (index >= 0) enter?.(index);
    });
  }
  const lineStep = (count) => (index, key) =>
    ({ ArrowLeft: index - 1, ArrowUp: index - 1, ArrowRight: index + 1, ArrowDown: index + 1, Home: 0, End: count - 1 })[key] ?? null;

  // ---------------------------------------------------------------- Maps

  /**
   * A map of numbers from 0 to 1 on a canvas that can be pointed at and gone through with the arrow keys.
   *
   * `value(r, c)` is a number, or null for no cell; `describe(r, c)` says what a cell is; `token(r, c)` which token it stands for.
   */
  function heatmap(host, options) {
    const { rows, columns, label, describe: describeCell } = options;
    const canvas = el("canvas", { class: "map", tabindex: 0, role: "application", "aria-roledescription": "map", "aria-label": label });
    const status = el("p", { class: "note keys", "aria-live": "polite" }, "Arrow keys go from cell to cell.");
    host.append(el("div", { class: "scroll" }, canvas), status);
    let cursor = null;
    let geometry = null;

    function measure() {
      const names = options.rowNames;
      const cell = (left) => clamp(Math.max(200, host.clientWidth - left - 2) / columns, options.smallest ?? 1.5, options.largest ?? 24);
      let left = names ? (options.nameWidth ?? 96) : 0;
      let width = cell(left);
      // Rows too low for their names leave them no room either.
      if (!options.rowHeight && width < 8) [left, width] = [0, Math.min(cell(0), 7.9)];
      const height = options.rowHeight ?? width;
      const top = options.columnNames && width >= 8 ? (options.nameHeight ?? 92) : 0;
      return { left, top, width, height };
    }

    function draw() {
      geometry = measure();
      const { left, top, width, height } = geometry;
      const scale = devicePixelRatio || 1;
      const [w, h] = [left + columns * width, top + rows * height];
      canvas.width = Math.ceil(w * scale);
      canvas.height = Math.ceil(h * scale);
      canvas.style.width = `${w}px`;
      canvas.style.height = `${h}px`;
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      const colors = ramp(options.ramp ?? "--ramp");
      const image = new ImageData(columns, rows);
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          const value = options.value(r, c);
          if (value === null) continue;
          const color = colors[Math.round(255 * clamp(value, 0, 1)) || 0];
          image.data.set([color[0], color[1], color[2], options.alpha?.(r, c) ?? 255], 4 * (r * columns + c));
        }
      }
      const small = document.createElement("canvas");
      [small.width, small.height] = [columns, rows];
      small.getContext("2d").putImageData(image, 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, left, top, columns * width, rows * height);

      const family = variable("--mono");
      context.fillStyle = variable("--soft");
      context.textBaseline = "middle";
      const fit = (text, room) => {
        let fitted = text;
        while (fitted.length > 1 && context.measureText(fitted).width > room) fitted = fitted.slice(0, -1);
        return fitted === text ? text : `${fitted.slice(0, -1)}…`;
      };
      if (left && height >= 8) {
        context.font = `${clamp(height - 1, 8, 12)}px ${family}`;
        context.textAlign = "right";
        for (let r = 0; r < rows; r++) context.fillText(fit(options.rowNames[r], left - 8), left - 6, top + (r + 0.5) * height);
      }
      if (top) {
        context.font = `${clamp(width - 1, 8, 12)}px ${family}`;
        context.textAlign = "left";
        for (let c = 0; c < columns; c++) {
          context.save();
          context.translate(left + (c + 0.5) * width, top - 5);
          context.rotate(-Math.PI / 2);
          context.fillText(fit(options.columnNames[c], top - 8), 0, 0);
          context.restore();
        }
      }
      context.lineWidth = 2;
      for (const [r, c, color] of options.marks?.() ?? []) {
        context.strokeStyle = variable(color);
        context.strokeRect(left + c * width - 1, top + r * height - 1, width + 2, height + 2);
      }
      if (cursor) {
        context.strokeStyle = variable("--focus");
        context.strokeRect(left + cursor[1] * width - 1, top + cursor[0] * height - 1, width + 2, height + 2);
      }
    }

    function cellAt(event) {
      const box = canvas.getBoundingClientRect();
      const c = Math.floor((event.clientX - box.left - geometry.left) / geometry.width);
      const r = Math.floor((event.clientY - box.top - geometry.top) / geometry.height);
      return r >= 0 && c >= 0 && r < rows && c < columns ? [r, c] : null;
    }
    canvas.addEventListener("pointermove", (event) => {
      const cell = cellAt(event);
      if (!cell) return leave();
      showTip(describeCell(...cell), event.clientX, event.clientY);
      hover(options.token?.(...cell) ?? null);
    });
    function leave() {
      hideTip();
      hover(null);
    }
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("click", (event) => {
      const cell = cellAt(event);
      const token = cell && options.token?.(...cell);
      if (token !== null && token !== undefined) choose(token);
    });
    canvas.addEventListener("keydown", (event) => {
      const [r, c] = cursor ?? [0, 0];
      const next = {
        ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], Home: [r, 0], End: [r, columns - 1],
      }[event.key];
      if (event.key === "Enter" && cursor && options.token) choose(options.token(...cursor));
      if (!next) return;
      event.preventDefault();
      cursor = cursor ? [clamp(next[0], 0, rows - 1), clamp(next[1], 0, columns - 1)] : [0, 0];
      status.textContent = describeCell(...cursor).replaceAll("\n", ", ");
      hover(options.token?.(...cursor) ?? null);
      draw();
    });
    canvas.addEventListener("blur", () => {
      cursor = null;
      hover(null);
      draw();
    });
    draw();
    return draw;
  }

  /** Lines over places 0, 1, 2, …: each `{ name, color, values, dashed }`. */
  function lineChart(host, { names, ticks, series, label, format, height = 240 }) {
    const width = clamp(host.clientWidth, 300, 1100);
    const [left, right, top, bottom] = [54, 12, 12, names.some((name) => name.length > 3) && names.length < 16 ? 34 : 30];
    const all = series.flatMap((line) => line.values).filter(Number.isFinite);
    const largest = Math.max(...all, 1e-12);
    const x = (index) => left + (names.length > 1 ? (index / (names.length - 1)) * (width - left - right) : 0);
    const y = (value) => top + (1 - value / largest) * (height - top - bottom);
    const chart = svg("svg", { width, height, role: "img", "aria-label": label });
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      chart.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(part * largest), y2: y(part * largest) }),
        svg("text", { x: left - 8, y: y(part * largest) + 4, "text-anchor": "end" }, format(part * largest)));
    }
    const labels = ticks ?? names.map((name, index) => [index, name]);
    const every = Math.ceil(labels.length / Math.max(2, Math.floor((width - left) / 84)));
    labels.forEach(([index, name], number) => {
      if (number % every === 0) chart.append(svg("text", { x: x(index), y: height - 8,
        "text-anchor": index === 0 ? "start" : index === names.length - 1 ? "end" : "middle" },
        name));
    });
    for (const line of series) {
      const points = line.values.map((value, index) => (Number.isFinite(value) ? `${x(index)},${y(value)}` : null)).filter(Boolean);
      const color = `var(${line.color})`;
      chart.append(svg("polyline", { class: line.dashed ? "curve dashed" : "curve", points: points.join(" "), style: `stroke:${color}` }));
      if (!line.dashed && names.length < 40) {
        for (const point of points) {
          const [cx, cy] = point.split(",");
          chart.append(svg("circle", { cx, cy, r: 3, style: `fill:${color}` }));
        }
      }
    }
    const hair = svg("line", { class: "axis", y1: top, y2: height - bottom, visibility: "hidden" });
    chart.append(hair);
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const index = clamp(Math.round(((event.clientX - box.left - left) / (width - left - right)) * (names.length - 1)), 0, names.length - 1);
      hair.setAttribute("x1", x(index));
      hair.setAttribute("x2", x(index));
      hair.setAttribute("visibility", "visible");
      showTip([names[index], ...series.map((line) => `${line.name}: ${format(line.values[index])}`)].join("\n"), event.clientX, event.clientY);
    });
    chart.addEventListener("pointerleave", () => {
      hideTip();
      hair.setAttribute("visibility", "hidden");
    });
    host.replaceChildren(el("div", { class: "scroll" }, chart),
      legend(...series.map((line) => [`var(${line.color})`, line.name])));
  }

  // ---------------------------------------------------------------- Sections

  function drawTop() {
    document.getElementById("question").textContent = visible(data.question);
    document.getElementById("question").dir = "auto";
    const best = data.answers[0];
    append(document.getElementById("lead"),
      best && best.text ? [el("b", { class: "text", dir: "auto" }, visible(best.text)), ` with a score of ${percent(best.score)}`]
        : ["The passage does not say."]);
    const model = data.model;
    const facts = [
      ["model", model.name], ["layers × heads", `${model.layers} × ${model.heads}`], ["hidden size", model.hidden],
      ["weights", model.weight_precision], ["tokens in this window", rowCount], ["windows", data.windows.length],
      ["a pass", `${fixed(data.timeline.duration / 1000)} ms`], ["kernels", `${model.kernels}, ${model.threads} threads`],
    ];
    append(document.getElementById("facts"), facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
    const links = [...document.querySelectorAll("main > section:not([hidden])")].map((section) =>
      el("li", {}, el("a", { href: `#${section.id}` }, section.dataset.name)));
    append(document.getElementById("contents"), links);
    const anchors = links.map((item) => item.firstChild);
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const anchor of anchors) {
          if (anchor.hash === `#${entry.target.id}`) anchor.setAttribute("aria-current", "true");
          else anchor.removeAttribute("aria-current");
        }
      }
    }, { rootMargin: "-30% 0px -60% 0px" });
    for (const section of document.querySelectorAll("main > section")) observer.observe(section);
    document.getElementById("footer").textContent =
      `Made by SpanQA ${data.version}. Places count Unicode scalars, as Python does. The same as data: spanqa inspect --json.`;
  }

  /** The text of `part` cut at the places in `cuts`; `wrap(start, end, node)` may put an element around a piece. */
  function cutText(part, cuts, wrap) {
    const places = [...new Set([0, ...cuts, scalars[part].length])].sort((a, b) => a - b);
    return places.slice(1).map((end, index) => {
      const start = places[index];
      return wrap(start, end, visible(piece(part, start, end)));
    });
  }

  function drawAnswer() {
    const spans = data.answers.filter((span) => span.first_row !== undefined && span.first_row !== null);
    const segments = [];
    const text = cutText("passage", spans.flatMap((span) => [span.start, span.end]), (start, end, content) => {
      const ranks = spans.map((span, rank) => (span.start <= start && end <= span.end ? rank : -1)).filter((rank) => rank >= 0);
      if (ranks.length === 0) return content;
      const element = ranks[0] === 0 ? el("mark", { class: "best" }, content) : el("span", { class: "hit" }, content);
      segments.push([element, ranks]);
      return element;
    });
    const point = (rank) => {
      for (const [element, ranks] of segments) element.classList.toggle("active", rank !== null && ranks.includes(rank));
    };
    const top = Math.max(...data.answers.map((span) => span.score), 1e-9);
    const list = data.answers.map((span) => {
      const rank = spans.indexOf(span);
      const show = () => point(rank);
      const where = rank < 0 ? "no answer" : `${span.start}–${span.end}`;
      return el("li", {}, el("button", {
        type: "button", onpointerenter: show, onfocus: show, onpointerleave: () => point(null), onblur: () => point(null),
        onclick: () => segments.find(([, ranks]) => ranks.includes(rank))?.[0].scrollIntoView({ block: "nearest" }),
      }, el("span", { class: "rank" }, `${data.answers.indexOf(span) + 1}`),
      el("span", { class: "what text", dir: "auto" }, span.text ? visible(span.text) : "∅ the passage does not say"),
      el("span", { class: "meter" }, el("i", { style: `width:${(100 * span.score) / top}%` })),
      el("span", { class: "number" }, `${percent(span.score)} · ${where} · window ${span.window}`)));
    });
    const passage = el("p", { class: "passage text", id: "passage", dir: "auto", tabindex: 0 }, text);
    append(body("answer"), [passage, el("ol", { class: "spans" }, list),
      el("p", { class: "note" }, `Probability that the passage holds no answer: ${percent(data.no_answer_score, 2)}`)]);
    const first = passage.querySelector("mark.best");
    if (first) passage.scrollTop = Math.max(0, first.offsetTop - passage.offsetTop - 120);
  }

  function drawTokens() {
    const sources = [];
    const sourceText = (part) => {
      const rows = data.tokens.map((token, row) => ({ ...token, row })).filter((token) => token.part === part && token.end > token.start);
      // Only what this window holds of a long passage.
      const all = cutText(part, rows.flatMap((token) => [token.start, token.end]), (start, end, content) => {
        const token = rows.find((token) => token.start === start && token.end === end);
        if (!token) {
          const outside = part === "passage" && (end <= rows[0].start || start >= rows[rows.length - 1].end);
          return outside && content.length > 60 ? " … " : content;
        }
        const element = el("span", { class: "source", "data-row": token.row }, content);
        sources[token.row] = element;
        return element;
      });
      return el("div", {}, el("p", { class: "label" }, part), el("p", { class: "passage text", dir: "auto" }, all));
    };
    const best = data.answers.find((span) => span.window === data.window && span.first_row !== undefined && span.first_row !== null);
    const chips = data.tokens.map((token, row) => {
      const inAnswer = best && best === data.answers[0] && row >= best.first_row && row <= best.last_row;
      return el("button", {
        type: "button", class: `chip ${token.part}${inAnswer ? " span" : ""}`, "data-row": row, "aria-label": describe(row),
      }, tokenText(row));
    });
    const chipBox = el("div", { class: "chips", role: "group", "aria-label": `${rowCount} tokens` }, chips);
    const host = body("tokens");
    append(host, [el("div", { class: "columns" }, sourceText("question"), sourceText("passage")), chipBox]);
    const rowOf = (event) => {
      const row = event.target.closest?.("[data-row]")?.dataset.row;
      return row === undefined ? null : Number(row);
    };
    host.addEventListener("pointerover", (event) => {
      const row = rowOf(event);
      hover(row);
      if (row === null) hideTip();
      else showTip(describe(row), event.clientX, event.clientY);
    });
    host.addEventListener("pointerleave", () => {
      hover(null);
      hideTip();
    });
    host.addEventListener("click", (event) => {
      const row = rowOf(event);
      if (row !== null) choose(row);
    });
    roving(chipBox, chips, lineStep(rowCount), (row) => hover(row));
    chipBox.addEventListener("focusout", () => hover(null));
    followToken(() => chips);
    followToken(() => sources);
  }

  /** Bars of two numbers a token along the text. Returns the columns behind them, one a token. */
  function tokenBars(host, upper, lower, label) {
    const width = Math.max(7, Math.min(46, (host.clientWidth - 2) / rowCount));
    const named = width >= 12;
    const [height, gap] = [96, named ? 92 : 10];
    const columns = [];
    const chart = svg("svg", { width: width * rowCount, height: 2 * height + gap, role: "img", "aria-label": label });
    for (let row = 0; row < rowCount; row++) {
      const x = row * width;
      columns.push(chart.appendChild(svg("rect", { class: "column", x, y: 0, width, height: 2 * height + gap })));
      const faint = data.tokens[row].part === "question" || (data.tokens[row].part === "special" && row > 0) ? " faint" : "";
      const [up, down] = [upper[row] * height, lower[row] * height];
      chart.append(svg("rect", { class: `start${faint}`, x: x + 1, y: height - up, width: Math.max(1, width - 2), height: Math.max(up, 0.5) }),
        svg("rect", { class: `end${faint}`, x: x + 1, y: height + gap, width: Math.max(1, width - 2), height: Math.max(down, 0.5) }));
      if (named) {
        const text = tokenText(row);
        const cut = text.length > 12 ? `${text.slice(0, 11)}…` : text;
        chart.append(svg("text", { class: "strong", transform: `translate(${x + width / 2 + 4} ${height + gap - 6}) rotate(-90)` }, cut));
      }
    }
    if (chosen !== null) columns[chosen].classList.add("chosen");
    const rowAt = (event) => clamp(Math.floor((event.clientX - chart.getBoundingClientRect().left) / width), 0, rowCount - 1);
    chart.addEventListener("pointermove", (event) => {
      const row = rowAt(event);
      hover(row);
      showTip(`${describe(row)}\nstart ${fixed(data.logits.start[row])}, ${percent(startProbability[row])}\n`
        + `end ${fixed(data.logits.end[row])}, ${percent(endProbability[row])}`, event.clientX, event.clientY);
    });
    chart.addEventListener("pointerleave", () => {
      hover(null);
      hideTip();
    });
    chart.addEventListener("click", (event) => choose(rowAt(event)));
    host.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, chart));
    return columns;
  }

  function drawLogits() {
    const host = body("logits");
    const bars = el("div");
    const scaled = (logits) => {
      const [low, high] = [Math.min(...logits), Math.max(...logits)];
      return logits.map((logit) => (logit - low) / (high - low || 1));
    };
    let shown = "logits";
    let columns = [];
    followToken(() => columns);
    const draw = () => {
      const [up, down] = shown === "logits" ? [scaled(data.logits.start), scaled(data.logits.end)] : [startProbability, endProbability];
      columns = tokenBars(bars, up, down, `${shown} of start and end for ${rowCount} tokens`);
    };
    append(host, [choice("What the bars show", ["logits", "probabilities"], shown, (name) => { shown = name; draw(); }),
      legend(["var(--start)", "an answer starts here"], ["var(--end)", "an answer ends here"]), bars]);
    onDraw(draw);
    append(host, [table("The numbers", ["row", "token", "start logit", "end logit", "P(start)", "P(end)"],
      data.tokens.map((_, row) => [String(row), tokenText(row), fixed(data.logits.start[row], 4), fixed(data.logits.end[row], 4),
        percent(startProbability[row], 2), percent(endProbability[row], 2)])),
    el("h3", {}, "Every pair of a start and an end"),
    el("p", { class: "note" }, `A row for each start, a column for each end. Pairs that may be an answer, up to ${
      data.options.max_answer_length} tokens, have their full colour; those that rank are framed.`)]);
    const square = el("div");
    host.append(square);
    const count = passageRows.length;
    const [starts, ends] = [passageRows.map((row) => data.logits.start[row]), passageRows.map((row) => data.logits.end[row])];
    const largest = Math.max(...starts) + Math.max(...ends);
    const least = Math.min(...starts) + Math.min(...ends);
    const isAnswer = (r, c) => c >= r && c < r + data.options.max_answer_length;
    const names = passageRows.map(tokenText);
    const ranked = data.answers.filter((span) => span.window === data.window && span.first_row > 0);
    onDraw(heatmap(square, {
      rows: count, columns: count, largest: clamp(760 / count, 1.5, 18), smallest: Math.min(1.5, 520 / count),
      label: "Sum of start and end logit for every pair",
      rowNames: names, columnNames: names,
      value: (r, c) => ((starts[r] + ends[c] - least) / (largest - least || 1)) ** 2,
      alpha: (r, c) => (isAnswer(r, c) ? 255 : 70),
      marks: () => ranked.map((span, rank) => [span.first_row - passageRows[0], span.last_row - passageRows[0], rank ? "--third" : "--end"]),
      token: (r) => passageRows[r],
      describe: (r, c) => {
        const [first, last] = [data.tokens[passageRows[r]], data.tokens[passageRows[c]]];
        const text = c < r ? "ends before it starts" : `“${visible(piece("passage", first.start, last.end).slice(0, 160))}”`;
        return `${text}\nstart ${names[r]} ${fixed(starts[r])} + end ${names[c]} ${fixed(ends[c])} = ${fixed(starts[r] + ends[c])}\n`
          + (isAnswer(r, c) ? `${percent(startProbability[passageRows[r]] * endProbability[passageRows[c]], 2)} in this window`
            : "cannot be an answer");
      },
    }));
  }

  function drawWindows() {
    const host = body("windows");
    const length = Math.max(scalars.passage.length, 1);
    const chartHost = host.appendChild(el("div"));
    onDraw(() => {
      const width = clamp(chartHost.clientWidth, 280, 1100);
      const x = (place) => 4 + (place / length) * (width - 8);
      const chart = svg("svg", { width, height: 26 * data.windows.length + 22, role: "img",
        "aria-label": `${data.windows.length} windows along the passage of ${length} characters` });
      data.windows.forEach((window, index) => {
        const y = 26 * index + 4;
        const isShown = index === data.window;
        chart.append(svg("rect", { x: x(window.start), y, width: Math.max(2, x(window.end) - x(window.start)), height: 18, rx: 5,
          style: `fill:var(${isShown ? "--accent-soft" : "--sunk"});stroke:var(${isShown ? "--accent" : "--line"})` }),
        svg("text", { x: x(window.start) + 8, y: y + 13, class: "strong" }, `window ${index}`));
        const best = window.proposals[0];
        if (best) {
          chart.append(svg("rect", { x: x(best.start), y: y + 2, width: Math.max(3, x(best.end) - x(best.start)), height: 14, rx: 2,
            style: "fill:var(--end)" }));
        }
      });
      chart.append(svg("text", { x: 4, y: 26 * data.windows.length + 16 }, "0"),
        svg("text", { x: width - 4, y: 26 * data.windows.length + 16, "text-anchor": "end" }, `${length} characters`));
      chartHost.replaceChildren(el("div", { class: "scroll" }, chart));
    });
    const rows = data.windows.flatMap((window, index) => window.proposals.map((span, rank) =>
      el("tr", { class: rank === 0 ? "winner" : null }, el("td", {}, rank === 0 ? `${index}` : ""),
        el("td", {}, rank === 0 ? `${window.start}–${window.end}, ${window.token_count} tokens` : ""),
        el("td", { class: "text", dir: "auto" }, visible(span.text)), el("td", { class: "n" }, `${span.start}–${span.end}`),
        el("td", { class: "n" }, percent(span.score)), el("td", { class: "n" }, rank === 0 ? percent(window.no_answer_score) : ""))));
    append(host, [el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "What each window proposes" },
      el("table", {}, el("thead", {}, el("tr", {},
        ["window", "passage", "proposes", "place", "in this window alone", "no answer"].map((name, index) =>
          el("th", { scope: "col", class: index > 2 ? "n" : null }, name)))), el("tbody", {}, rows))),
    data.windows.length > 1 ? el("p", { class: "note" }, `The rest of this page is about window ${data.window}; --window chooses another.`) : null]);
  }

  // ---------------------------------------------------------------- Attention

  const attention = data.attention;
  const decodedMaps = new Map();

  function fromBase64(text) {
    const binary = atob(text);
    const result = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) result[i] = binary.charCodeAt(i);
    return result;
  }

  /** A table that tells, of the next 15 bits, a symbol and the length of its word (canonical Huffman code). */
  const huffman = (() => {
    const lengths = attention.code_lengths;
    const tableSize = 1 << 15;
    const [symbols, sizes] = [new Uint8Array(tableSize), new Uint8Array(tableSize)];
    let word = 0;
    for (let length = 1; length <= 15; length++) {
      for (let symbol = 0; symbol < lengths.length; symbol++) {
        if (lengths[symbol] !== length) continue;
        const first = word << (15 - length);
        symbols.fill(symbol, first, first + (1 << (15 - length)));
        sizes.fill(length, first, first + (1 << (15 - length)));
        word++;
      }
      word <<= 1;
    }
    return { symbols, sizes };
  })();

  /** The numbers of a head's map, a row for each token that looks; `(number / levels)²` is the probability. */
  function attentionMap(layer, head) {
    const key = layer * attention.shape[1] + head;
    if (decodedMaps.has(key)) return decodedMaps.get(key);
    const source = fromBase64(attention.maps[layer][head]);
    let numbers = source;
    if (attention.encoding === "huffman") {
      numbers = new Uint8Array(rowCount * rowCount);
      const [base, perWord] = [attention.levels + 1, attention.numbers_per_word];
      let [pending, count, at] = [0, 0, 0];
      for (let i = 0; i < numbers.length; i += perWord) {
        while (count < 15) {
          pending = ((pending << 8) | (source[at++] ?? 0)) & 0x7fffff;
          count += 8;
        }
        const word = (pending >> (count - 15)) & 0x7fff;
        let symbol = huffman.symbols[word];
        for (let place = i; place < Math.min(i + perWord, numbers.length); place++) {
          numbers[place] = symbol % base;
          symbol = Math.floor(symbol / base);
        }
        count -= huffman.sizes[word] || 15;
      }
    }
    decodedMaps.set(key, numbers);
    return numbers;
  }
  const probability = (number) => (number / attention.levels) ** 2;

  /** A head's map at the size of a stamp: of the cells that fall on a pixel the brightest. */
  function drawStamp(canvas, layer, head) {
    const numbers = attentionMap(layer, head);
    const size = Math.min(rowCount, 88);
    canvas.width = canvas.height = size;
    const colors = ramp("--ramp");
    const image = new ImageData(size, size);
    const largest = new Uint8Array(size * size);
    for (let r = 0; r < rowCount; r++) {
      const target = Math.floor((r * size) / rowCount) * size;
      for (let c = 0; c < rowCount; c++) {
        const place = target + Math.floor((c * size) / rowCount);
        if (numbers[r * rowCount + c] > largest[place]) largest[place] = numbers[r * rowCount + c];
      }
    }
    for (let i = 0; i < largest.length; i++) {
      const color = colors[Math.round((255 * largest[i]) / attention.levels)];
      image.data.set([color[0], color[1], color[2], 255], 4 * i);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  const shareNames = [
    ["to_itself", "itself"], ["to_previous", "the token before"], ["to_next", "the token after"], ["to_special", "special tokens"],
    ["to_question", "the question"], ["to_passage", "the passage"],
  ];

  function drawAttention() {
    const [layers, heads] = attention.shape;
    const host = body("attention");
    const buttons = [];
    const grid = el("div", { class: "heads", role: "grid", "aria-label": `Attention maps, ${layers} layers of ${heads} heads`,
      style: `grid-template-columns: auto repeat(${heads}, minmax(0, 1fr)); min-width: ${60 * heads + 70}px` });
    grid.append(el("div", { role: "row" }, el("span", { role: "columnheader", class: "name" }, ""),
      Array.from({ length: heads }, (_, head) => el("span", { role: "columnheader", class: "name" }, `head ${head}`))));
    for (let layer = 0; layer < layers; layer++) {
      const row = el("div", { role: "row" }, el("span", { role: "rowheader", class: "name" }, `layer ${layer}`));
      for (let head = 0; head < heads; head++) {
        const facts = attention.heads[layer][head];
        const main = shareNames.reduce((best, share) => (facts[share[0]] > facts[best[0]] ? share : best));
        const name = facts.is_ablated ? `layer ${layer}, head ${head}: left out`
          : `layer ${layer}, head ${head}\nmost to ${main[1]}, ${percent(facts[main[0]], 0)}\n${fixed(facts.entropy, 1)} bits, ${
            fixed(facts.distance, 1)} tokens away`;
        const button = el("button", {
          type: "button", class: facts.is_ablated ? "head ablated" : "head", "data-layer": layer, "data-head": head,
          "aria-label": name.replaceAll("\n", ", "), "aria-pressed": "false", onclick: () => open(layer, head),
          onpointermove: (event) => showTip(name, event.clientX, event.clientY), onpointerleave: hideTip,
        }, el("canvas", { "aria-hidden": "true", width: 1, height: 1 }));
        buttons.push(button);
        row.append(el("div", { role: "gridcell" }, button));
      }
      grid.append(row);
    }
    roving(grid, buttons, (index, key) => ({
      ArrowLeft: index - 1, ArrowRight: index + 1, ArrowUp: index - heads, ArrowDown: index + heads,
      Home: index - (index % heads), End: index - (index % heads) + heads - 1,
    })[key] ?? null);
    const scaleHost = el("div");
    const detail = el("div", { id: "head-detail" });
    append(host, [el("div", { class: "scroll" }, grid), scaleHost, detail]);
    onDraw(() => scaleHost.replaceChildren(rampScale("--ramp", "0", "1, by the square root")));

    // Stamp by stamp, so that the page answers meanwhile.
    let generation = 0;
    onDraw(() => {
      const mine = ++generation;
      let next = 0;
      const some = () => {
        if (mine !== generation) return;
        const until = performance.now() + 12;
        while (next < buttons.length && performance.now() < until) {
          drawStamp(buttons[next].firstChild, Math.floor(next / heads), next % heads);
          next++;
        }
        if (next < buttons.length) requestAnimationFrame(some);
        else grid.dataset.ready = "true";
      };
      some();
    });

    let opened = null;
    let redrawDetail = () => {};
    function open(layer, head) {
      if (opened) buttons[opened[0] * heads + opened[1]].setAttribute("aria-pressed", "false");
      opened = [layer, head];
      buttons[layer * heads + head].setAttribute("aria-pressed", "true");
      redrawDetail = drawHead(detail, layer, head);
    }
    // The head that looks most at the question.
    let [first, most] = [[0, 0], -1];
    attention.heads.forEach((row, layer) => row.forEach((facts, head) => {
      if (!facts.is_ablated && facts.to_question > most) [most, first] = [facts.to_question, [layer, head]];
    }));
    open(...first);
    drawings.push(() => redrawDetail());
    chooseListeners.push(() => redrawDetail(true));
  }

  /** One head: its map and its lines. Returns what draws it anew, all or the lines alone. */
  function drawHead(host, layer, head) {
    const numbers = attentionMap(layer, head);
    const facts = attention.heads[layer][head];
    const names = data.tokens.map((_, row) => tokenText(row));
    const map = el("div");
    const lines = el("div", { class: "lines", tabindex: 0, role: "region", "aria-label": "Attention as lines between tokens" });
    let direction = "looks at";
    host.replaceChildren(el("h3", {}, `Layer ${layer}, head ${head}${facts.is_ablated ? " (left out)" : ""}`),
      el("div", { class: "shares" }, [["entropy", `${fixed(facts.entropy)} bits`], ["mean distance", `${fixed(facts.distance, 1)} tokens`],
        ...shareNames.map(([key, name]) => [`to ${name}`, percent(facts[key])])].map(([name, value]) =>
        el("span", {}, name, el("b", {}, value)))),
      el("div", { class: "detail" }, map, el("div", {},
        choice("Direction", ["looks at", "is looked at by"], direction, (name) => { direction = name; drawLines(); }), lines)));
    const drawMap = heatmap(map, {
      rows: rowCount, columns: rowCount, rowNames: names, columnNames: names, largest: 20, smallest: Math.min(1.5, 520 / rowCount),
      label: `Attention of layer ${layer}, head ${head}: rows look at columns`,
      value: (r, c) => numbers[r * rowCount + c] / attention.levels,
      token: (r) => r,
      describe: (r, c) => `${names[r]} (${r}) looks at ${names[c]} (${c})\n${percent(probability(numbers[r * rowCount + c]), 2)}`,
    });

    function drawLines() {
      const step = 17;
      const width = clamp(lines.clientWidth - 16, 240, 460);
      const [left, right] = [width * 0.34, width * 0.66];
      const chart = svg("svg", { width, height: rowCount * step + 26, role: "img",
        "aria-label": chosen === null ? "The strongest lines of all tokens" : `Lines of token ${chosen}, ${names[chosen]}` });
      chart.append(svg("text", { x: left, y: 12, "text-anchor": "end" }, direction === "looks at" ? "looks" : "is looked at"),
        svg("text", { x: right, y: 12 }, direction === "looks at" ? "is looked at" : "looks"));
      const y = (row) => 26 + row * step;
      const value = (from, to) => probability(numbers[direction === "looks at" ? from * rowCount + to : to * rowCount + from]);
      const strands = [];
      for (const from of chosen === null ? names.keys() : [chosen]) {
        for (let to = 0; to < rowCount; to++) {
          const p = value(from, to);
          if (p >= (chosen === null ? 0.12 : 0.004)) strands.push([from, to, p]);
        }
      }
      strands.sort((a, b) => b[2] - a[2]);
      for (const [from, to, p] of strands.slice(0, 700)) {
        chart.append(svg("line", { x1: left + 5, x2: right - 5, y1: y(from), y2: y(to),
          style: `stroke:var(--accent);stroke-width:${0.6 + 2.6 * p};opacity:${clamp(Math.sqrt(p), 0.08, 1)}` }));
      }
      names.forEach((name, row) => {
        const text = name.length > 13 ? `${name.slice(0, 12)}…` : name;
        const strength = chosen === null ? 1 : 0.35 + 0.65 * Math.sqrt(value(chosen, row));
        const one = svg("text", { x: left, y: y(row) + 4, "text-anchor": "end", class: row === chosen ? "chosen" : "" }, text);
        const other = svg("text", { x: right, y: y(row) + 4, style: `opacity:${strength}` },
          chosen !== null && value(chosen, row) >= 0.01 ? `${text} ${percent(value(chosen, row), 0)}` : text);
        for (const element of [one, other]) {
          element.addEventListener("click", () => choose(row));
          element.addEventListener("pointerenter", () => hover(row));
          element.addEventListener("pointerleave", () => hover(null));
        }
        chart.append(one, other);
      });
      lines.replaceChildren(chart);
      if (chosen !== null) lines.scrollTop = Math.max(0, y(chosen) - lines.clientHeight / 2);
    }
    drawLines();
    return (linesOnly) => {
      if (!linesOnly) drawMap();
      drawLines();
    };
  }

  // ---------------------------------------------------------------- Layer by layer

  function drawForming() {
    if (document.getElementById("forming").hidden) return;
    const host = body("forming");
    const stages = data.stages;
    const final = data.answers[0];
    const rows = stages.map((stage) => {
      const best = softmaxPair(stage.logits, stage.span);
      const same = final && stage.span.start === final.start && stage.span.end === final.end;
      return el("tr", { class: same ? "winner" : null }, el("td", {}, stage.name),
        el("td", { class: "text", dir: "auto" }, visible(stage.span.text) + (same ? " ✓" : "")), el("td", { class: "n" }, percent(best)),
        el("td", { class: "wide" }, stage.answer ? el("span", { class: "meter" }, el("i", { style: `width:${100 * stage.answer.both}%` })) : ""),
        el("td", { class: "n" }, stage.answer ? percent(stage.answer.both) : final?.text ? "in another window" : ""));
    });
    append(host, [el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The best span after each layer" },
      el("table", {}, el("thead", {}, el("tr", {}, ["after", "the best span would be", "its probability", "", "that of the answer"]
        .map((name, index) => el("th", { scope: "col", class: index === 3 ? "wide" : index > 1 ? "n" : null }, name)))),
      el("tbody", {}, rows)))]);
    for (const [part, title, rampName] of [["start", "Where it would start", "--ramp"], ["end", "Where it would end", "--warm"]]) {
      const map = el("div");
      append(host, [el("h3", {}, title), map]);
      const probabilities = stages.map((stage) => softmax(stage.logits[part]));
      onDraw(heatmap(map, {
        rows: stages.length, columns: rowCount, rowHeight: 24, rowNames: stages.map((stage) => stage.name), smallest: 3, largest: 46,
        ramp: rampName, label: `Probability of ${part} for each token after each layer`,
        columnNames: data.tokens.map((_, row) => tokenText(row)),
        value: (r, c) => Math.sqrt(probabilities[r][c]), token: (_, c) => c,
        describe: (r, c) => `${stages[r].name}: ${describe(c)}\n${part} ${fixed(stages[r].logits[part][c])}, ${percent(probabilities[r][c], 2)}`,
      }));
    }
  }
  function softmaxPair(logits, span) {
    if (span.first_row === undefined || span.first_row === null) return 0;
    return softmax(logits.start)[span.first_row] * softmax(logits.end)[span.last_row];
  }

  function drawNorms() {
    if (document.getElementById("norms").hidden) return;
    const host = body("norms");
    const layers = data.norms.filter((layer) => layer.output.length);
    const chart = el("div");
    host.append(chart);
    const draw = () => {
      const series = [
        { name: "residual stream, coming in", color: "--accent", key: "input" },
        { name: "attention’s update", color: "--start", key: "attention_update" },
        { name: "feed-forward network’s update", color: "--end", key: "feed_forward_update" },
        { name: "stream before the last norm", color: "--third", key: "feed_forward_sum" },
      ];
      const lines = series.map((line) => ({ ...line, values: layers.map((layer) => mean(layer[line.key])) }));
      if (chosen !== null) {
        lines.push(...series.slice(0, 3).map((line) => ({ ...line, dashed: true, name: `${line.name}, ${tokenText(chosen)} alone`,
          values: layers.map((layer) => layer[line.key][chosen]) })));
      }
      lineChart(chart, { names: layers.map((layer) => `layer ${layer.layer}`), series: lines, format: (x) => fixed(x, 1),
        label: "Mean length of the residual stream and of the updates, by layer" });
    };
    onDraw(draw);
    chooseListeners.push(draw);
    append(host, [table("The numbers", ["layer", "coming in", "attention adds", "sum", "after its norm", "feed-forward adds", "sum", "going out",
      "cosine in to out"], layers.map((layer) => [String(layer.layer), ...["input", "attention_update", "attention_sum", "attention_norm",
      "feed_forward_update", "feed_forward_sum", "output", "cosine"].map((key) => mean(layer[key]))])),
    el("h3", {}, "How far each layer turns each token"),
    el("p", { class: "note" }, "One less the cosine of the angle between a token’s vector before and after the layer.")]);
    const map = el("div");
    host.append(map);
    const largest = Math.max(...layers.flatMap((layer) => layer.cosine.map((cosine) => 1 - cosine)), 1e-9);
    onDraw(heatmap(map, {
      rows: layers.length, columns: rowCount, rowHeight: 24, rowNames: layers.map((layer) => `layer ${layer.layer}`), smallest: 3, largest: 46,
      label: "How far each layer turns each token", columnNames: data.tokens.map((_, row) => tokenText(row)),
      value: (r, c) => (1 - layers[r].cosine[c]) / largest, token: (_, c) => c,
      describe: (r, c) => `layer ${layers[r].layer}: ${describe(c)}\nlength ${fixed(layers[r].input[c])} in, ${
        fixed(layers[r].output[c])} out; attention adds ${fixed(layers[r].attention_update[c])}, feed-forward ${
        fixed(layers[r].feed_forward_update[c])}\ncosine ${fixed(layers[r].cosine[c], 3)}`,
    }));
  }

  function drawPrecision() {
    const host = body("precision");
    const { values, products, tokens, float32, int8 } = data.precision;
    const difference = (a, b) => Math.max(...a.map((x, row) => Math.abs(x - b[row])));
    const top = (logits) => logits.indexOf(Math.max(...logits));
    const same = top(float32.start) === top(int8.start) && top(float32.end) === top(int8.end);
    append(host, [el("p", {}, `Logits differ by at most ${fixed(difference(float32.start, int8.start), 3)} (start) and ${
      fixed(difference(float32.end, int8.end), 3)} (end); ${same ? "both like the same start and the same end best."
      : "they do not like the same start and end best."}`),
    data.precision.are_weights_rounded
      ? el("p", { class: "note" }, "This file holds integer weights: their rounding is in both passes, and none of what is shown here.") : null,
    el("h3", {}, "Error gathered along the way")]);
    const curve = el("div");
    host.append(curve);
    onDraw(() => lineChart(curve, {
      names: values.map((value) => value.name),
      ticks: values.map((value, index) => [index, value.layer]).filter(([index, layer]) =>
        layer !== undefined && (index === 0 || values[index - 1].layer !== layer)).map(([index, layer]) => [index, `layer ${layer}`]),
      series: [{ name: "error, relative to the values", color: "--third", values: values.map((v) => v.error) }],
      label: "Relative error of int8 after each operation", format: (x) => percent(x, 2), height: 220,
    }));
    append(host, [el("h3", {}, "What each product adds by itself")]);
    const bars = el("div");
    host.append(bars);
    onDraw(() => {
      const width = Math.max(300, Math.min(1100, host.clientWidth));
      const height = 190;
      const largest = Math.max(...products.map((product) => product.both), 1e-9);
      const slot = (width - 54) / products.length;
      const y = (error) => 10 + (1 - error / largest) * (height - 44);
      const chart = svg("svg", { width, height, role: "img", "aria-label": "Error that each product adds, from weights and from inputs" });
      for (const part of [0, 0.5, 1]) {
        chart.append(svg("line", { class: "axis", x1: 50, x2: width, y1: y(part * largest), y2: y(part * largest) }),
          svg("text", { x: 44, y: y(part * largest) + 4, "text-anchor": "end" }, percent(part * largest, 2)));
      }
      products.forEach((product, index) => {
        const x = 52 + index * slot;
        const bar = (error, offset, color, part) => svg("rect", { x: x + offset * slot, y: y(error), width: Math.max(1.5, part * slot),
          height: Math.max(0.5, y(0) - y(error)), style: `fill:var(${color})` });
        const group = svg("g", {}, bar(product.both, 0.06, "--line", 0.82), bar(product.weights, 0.12, "--accent", 0.32),
          bar(product.inputs, 0.5, "--end", 0.32));
        group.addEventListener("pointermove", (event) => showTip(`layer ${product.layer}, ${product.name}\nweights ${
          percent(product.weights, 2)}, inputs ${percent(product.inputs, 2)}, both ${percent(product.both, 2)}`, event.clientX, event.clientY));
        group.addEventListener("pointerleave", hideTip);
        chart.append(group);
        if (index === 0 || products[index - 1].layer !== product.layer) {
          chart.append(svg("text", { x, y: height - 16 }, slot * 4 > 52 ? `layer ${product.layer}` : product.layer));
        }
      });
      bars.replaceChildren(el("div", { class: "scroll" }, chart),
        legend(["var(--accent)", "rounding the weights"], ["var(--end)", "rounding the inputs"], ["var(--line)", "both"]));
    });
    append(host, [table("The numbers", ["layer", "product", "weights", "inputs", "both"], products.map((product) => [String(product.layer),
      product.name, percent(product.weights, 3), percent(product.inputs, 3), percent(product.both, 3)])),
    el("h3", {}, "Error of each token’s hidden state")]);
    const map = el("div");
    host.append(map);
    const names = tokens.map((_, index) => (index === 0 ? "embeddings" : `layer ${index - 1}`));
    const largest = Math.max(...tokens.flat(), 1e-9);
    onDraw(heatmap(map, {
      rows: tokens.length, columns: rowCount, rowHeight: 24, rowNames: names, smallest: 3, largest: 46, ramp: "--warm",
      label: "Error of each token's hidden state after each layer", columnNames: data.tokens.map((_, row) => tokenText(row)),
      value: (r, c) => tokens[r][c] / largest, token: (_, c) => c,
      describe: (r, c) => `${names[r]}: ${describe(c)}\nerror ${percent(tokens[r][c], 2)}`,
    }));
  }

  // ---------------------------------------------------------------- Time and memory

  const kinds = [
    ["embeddings", "embeddings", "--soft"], ["query_key_value", "queries, keys, values", "--accent"], ["attention", "attention", "--third"],
    ["attention_output", "attention’s output", "--start"], ["feed_forward", "feed-forward network", "--end"], ["head", "head", "--soft"],
  ];
  const kindOf = (operation) => kinds.find(([name]) => name === operation.name.split(".").pop()) ?? kinds[0];

  function drawTimeline() {
    const host = body("timeline");
    const { operations, threads, duration, float32_peak: float32Peak, int8_peak: int8Peak } = data.timeline;
    const peaks = [["float32", float32Peak], ["int8", int8Peak]].filter(([, peak]) => peak)
      .map(([name, peak]) => `${name}: ${fixed(peak.gigaoperations, 0)} GOP/s (${peak.instructions})`);
    append(host, [el("p", { class: "note" }, `${fixed(duration / 1000)} ms for ${rowCount} tokens on ${data.model.threads} threads. ${
      peaks.length ? `Peak, measured just then: ${peaks.join("; ")}.` : "The peak is not measured for this processor’s instructions."}`)]);
    const chartHost = el("div");
    host.append(chartHost);
    onDraw(() => {
      const width = Math.max(300, chartHost.clientWidth || 560);
      const left = 92;
      const x = (time) => left + (time / duration) * (width - left - 6);
      const lanes = [...new Set(threads.map((work) => work.thread))].sort((a, b) => a - b);
      const speedHeight = 70;
      const height = 44 + lanes.length * 26 + speedHeight + 50;
      const chart = svg("svg", { width, height, role: "img",
        "aria-label": `${operations.length} operations in ${fixed(duration / 1000)} milliseconds` });
      const block = (time, length, y, h, kind, tipText) => {
        const rect = svg("rect", { x: x(time), y, width: Math.max(0.8, x(time + length) - x(time) - 0.5), height: h, rx: 1.5,
          style: `fill:var(${kind[2]})` });
        rect.addEventListener("pointermove", (event) => showTip(tipText, event.clientX, event.clientY));
        rect.addEventListener("pointerleave", hideTip);
        chart.append(rect);
      };
      chart.append(svg("text", { x: 0, y: 24 }, "operations"));
      for (const operation of operations) {
        block(operation.start, operation.duration, 8, 24, kindOf(operation), `${operation.name}\n${fixed(operation.duration, 0)} µs`
          + (operation.gigaoperations ? `, ${fixed(operation.gigaoperations, 0)} GOP/s` : "")
          + (operation.share_of_peak ? `, ${percent(operation.share_of_peak, 0)} of the peak` : "")
          + `\n${operation.kernels.join(", ")}\n${operation.inputs.map((shape) => `[${shape.join(", ")}]`).join(" ")} → [${
            operation.output.join(", ")}]`);
      }
      lanes.forEach((lane, index) => {
        const y = 44 + index * 26;
        chart.append(svg("text", { x: 0, y: y + 14 }, `thread ${lane}`));
        for (const work of threads.filter((work) => work.thread === lane)) {
          const operation = operations.findLast((operation) => operation.start <= work.start) ?? operations[0];
          block(work.start, work.duration, y, 18, kindOf(operation), `thread ${lane}: ${operation.name}\n${fixed(work.duration, 0)} µs, ${
            work.tasks} tasks`);
        }
      });
      const base = 44 + lanes.length * 26 + speedHeight + 8;
      const isShare = operations.some((operation) => operation.share_of_peak);
      const fastest = Math.max(...operations.map((operation) => operation.gigaoperations ?? 0), 1);
      const part = (operation) => (isShare ? operation.share_of_peak ?? 0 : (operation.gigaoperations ?? 0) / fastest);
      chart.append(svg("text", { x: 0, y: base - speedHeight + 12 }, isShare ? "of the peak" : "GOP/s"),
        svg("line", { class: "axis", x1: left, x2: width - 6, y1: base, y2: base }),
        svg("line", { class: "axis", x1: left, x2: width - 6, y1: base - speedHeight, y2: base - speedHeight }),
        svg("text", { x: left - 6, y: base - speedHeight + 26, "text-anchor": "end" }, isShare ? "100 %" : fixed(fastest, 0)));
      for (const operation of operations) {
        const h = clamp(part(operation), 0, 1.05) * speedHeight;
        block(operation.start, operation.duration, base - h, Math.max(h, 0.5), kindOf(operation), `${operation.name}\n${
          operation.share_of_peak ? `${percent(operation.share_of_peak, 1)} of the peak, ` : ""}${
          operation.gigaoperations ? `${fixed(operation.gigaoperations, 1)} GOP/s` : "no products"}`);
      }
      const steps = width < 560 ? 2 : 4;
      for (let step = 0; step <= steps; step++) {
        const time = (step / steps) * duration;
        chart.append(svg("text", { x: x(time), y: base + 20, "text-anchor": step === steps ? "end" : step ? "middle" : "start" },
          `${fixed(time / 1000)} ms`));
      }
      chartHost.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Timeline" }, chart),
        legend(...kinds.map(([, name, color]) => [`var(${color})`, name])));
    });
    const total = sum(operations.map((operation) => operation.duration));
    const rows = kinds.map(([kind, name]) => {
      const own = operations.filter((operation) => kindOf(operation)[0] === kind);
      const time = sum(own.map((operation) => operation.duration));
      const arithmetic = sum(own.map((operation) => operation.arithmetic));
      const ideal = own.every((operation) => operation.share_of_peak)
        ? sum(own.map((operation) => operation.duration * operation.share_of_peak)) / time : null;
      return [name, `${fixed(time / 1000, 3)}`, percent(time / total), arithmetic ? fixed(arithmetic / time / 1000, 1) : "",
        ideal === null || !arithmetic ? "" : percent(ideal)];
    });
    append(host, [el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {},
      ["operation, all layers", "ms", "of the time", "GOP/s", "of the peak"].map((name, index) =>
        el("th", { scope: "col", class: index ? "n" : null }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((value, index) => el("td", { class: index ? "n" : null }, value))))))),
    table("Every operation", ["operation", "µs", "GOP/s", "of the peak", "result", "kernels"], operations.map((operation) => [operation.name,
      fixed(operation.duration, 1), operation.gigaoperations ? fixed(operation.gigaoperations, 1) : "",
      operation.share_of_peak ? percent(operation.share_of_peak) : "", `[${operation.output.join(", ")}]`, operation.kernels.join(", ")]))]);
  }

  function drawMemory() {
    const host = body("memory");
    const regions = data.memory;
    if (regions.length === 0) {
      const why = data.model.is_rounded
        ? "This model’s file rounds values between operations. Its pass runs one operation after the other, each with memory of its own " +
          "that comes and goes with it: there is no one piece to draw a map of."
        : `The ${data.model.backend} backend tells nothing of its memory.`;
      host.append(el("p", { class: "note" }, why));
      return;
    }
    const total = Math.max(...regions.map((region) => region.offset + region.byte_count), 1);
    const chartHost = el("div");
    host.append(chartHost);
    const colors = ["--accent", "--start", "--third", "--end", "--soft", "--start", "--third"];
    onDraw(() => {
      const width = clamp(chartHost.clientWidth, 280, 1100);
      const row = 30;
      const x = (offset) => (offset / total) * (width - 4) + 2;
      const chart = svg("svg", { width, height: regions.length * row + 26, role: "img", "aria-label": `Memory map of ${bytes(total)}` });
      regions.forEach((region, index) => {
        const y = index * row + 2;
        const [begin, end] = [x(region.offset), x(region.offset + region.byte_count)];
        const name = `${region.name}, ${bytes(region.byte_count)}`;
        const rect = svg("rect", { x: begin, y, width: Math.max(1, end - begin), height: row - 8, rx: 3,
          style: `fill:var(${colors[index % colors.length]});opacity:.85` });
        rect.addEventListener("pointermove", (event) => showTip(`${name}\nfrom byte ${region.offset}`, event.clientX, event.clientY));
        rect.addEventListener("pointerleave", hideTip);
        // Inside where it fits, else beside; a text's width is guessed.
        const room = 6.7 * name.length;
        const isLate = end + 6 + room > width && begin > room;
        const isInside = end - begin > room + 12 || (end + 6 + room > width && !isLate);
        // Where it fits nowhere, the size is left to the table.
        const inside = end - begin > room + 12 ? name : region.name;
        chart.append(svg("line", { class: "axis", x1: 0, x2: width, y1: y + row - 5, y2: y + row - 5 }), rect,
          isInside ? svg("text", { x: begin + 6, y: y + 15, style: "fill:var(--card)" }, inside)
            : svg("text", { x: isLate ? begin - 6 : end + 6, y: y + 15, "text-anchor": isLate ? "end" : "start", class: "strong" }, name));
      });
      chart.append(svg("text", { x: 2, y: regions.length * row + 18 }, "0"),
        svg("text", { x: width - 2, y: regions.length * row + 18, "text-anchor": "end" }, bytes(total)));
      chartHost.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Memory map" }, chart));
    });
    host.append(table("The numbers", ["part", "from byte", "bytes"],
      regions.map((region) => [region.name, String(region.offset), String(region.byte_count)])));
  }

  function drawAblation() {
    const study = data.ablation;
    if (!study) return;
    document.getElementById("ablation").hidden = false;
    const host = body("ablation");
    const line = (name, spans) => el("tr", {}, el("td", {}, name), el("td", { class: "text", dir: "auto" }, visible(spans[0]?.text ?? "")),
      el("td", { class: "n" }, percent(spans[0]?.score ?? 0)), el("td", { class: "n" }, fixed(spans[0]?.start_logit, 3)),
      el("td", { class: "n" }, fixed(spans[0]?.end_logit, 3)));
    const change = (name, change) => `${name} of ${visible(change.token)} (token ${change.row}): ${fixed(change.whole, 3)} to ${
      fixed(change.ablated, 3)}`;
    append(host, [el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ["", "answer", "score", "start logit", "end logit"]
      .map((name, index) => el("th", { scope: "col", class: index > 1 ? "n" : null }, name)))),
    el("tbody", {}, line("whole model", study.whole), line(`without ${study.without.join(", ")}`, study.ablated)))),
    el("p", { class: "note" }, `The logits that change most: ${change("start", study.largest_changes.start)}; ${
      change("end", study.largest_changes.end)}.`)]);
    if (study.window !== data.window) return;
    const changes = (part) => study.whole_logits[part].map((logit, row) => Math.abs(logit - study.ablated_logits[part][row]));
    const bars = el("div");
    host.append(bars);
    onDraw(() => lineChart(bars, {
      names: data.tokens.map((_, row) => tokenText(row)), height: 200, format: (x) => fixed(x, 2),
      label: "How much each token's logits change", series: [
        { name: "start logit changes by", color: "--start", values: changes("start") },
        { name: "end logit changes by", color: "--end", values: changes("end") },
      ],
    }));
  }

  // Not every model has everything: one without a head for questions has no answer to form.
  document.getElementById("forming").hidden = data.stages.length === 0;
  document.getElementById("norms").hidden = !data.norms.some((layer) => layer.output.length);
  drawAblation();
  for (const draw of [drawTop, drawAnswer, drawTokens, drawLogits, drawWindows, drawAttention, drawForming, drawNorms, drawPrecision,
    drawTimeline, drawMemory]) draw();
  root.dataset.drawn = "true";
})();
