"use strict";
// Sorting, filtering, and the address under the pointer. The page is whole without it: what needs it stays hidden.
(() => {
  const make = (tag, text) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const compare = (x, y) => x.localeCompare(y, "en", { numeric: true });
  for (const one of document.querySelectorAll(".scripted")) one.hidden = false;

  // Tables.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const number = head.classList.contains("n");
        const before = head.getAttribute("aria-sort");
        const down = before ? before === "ascending" : number;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = [...table.tBodies[0].rows].map((row) => [row.cells[at].textContent.trim(), row]);
        keyed.sort(([x], [y]) => (number ? Number.parseFloat(x) - Number.parseFloat(y) : compare(x, y)));
        if (down) keyed.reverse();
        table.tBodies[0].append(...keyed.map(([, row]) => row));
      });
    });
  }
  for (const table of document.querySelectorAll("table.filterable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 8) continue;
    const label = make("label", "Filter ");
    const input = make("input");
    input.type = "search";
    label.className = "filter";
    label.append(input);
    table.before(label);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }

  // Targets.
  const list = document.getElementById("list");
  const targets = [...list.children];
  const text = (target, of) => target.firstElementChild.querySelector(of).textContent;
  const keys = {
    tier: (target) => "abcwuos".indexOf(target.dataset.tier),
    target: (target) => text(target, ".addr"),
    rating: (target) => -Number(target.dataset.rating),
    lists: (target) => -Number(target.dataset.lists),
    name: (target) => text(target, ".name") || "\uffff",
  };
  const sorters = [...document.querySelectorAll("[data-sort]")];
  for (const button of sorters) {
    button.addEventListener("click", () => {
      const up = button.dataset.dir !== "up";
      for (const other of sorters) delete other.dataset.dir;
      button.dataset.dir = up ? "up" : "down";
      const keyed = targets.map((target) => [keys[button.dataset.sort](target), target]);
      keyed.sort(([x], [y]) => (typeof x === "number" ? x - y : compare(x, y)));
      if (!up) keyed.reverse();
      list.append(...keyed.map(([, target]) => target));
    });
  }
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const chips = [...document.querySelectorAll("[data-show]")];
  let texts;
  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    const shown = new Set(chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.show));
    if (wanted) texts ??= targets.map((target) => target.textContent.toLowerCase());
    let number = 0;
    targets.forEach((target, at) => {
      const fits = shown.has(target.dataset.tier) && (!wanted || texts[at].includes(wanted));
      if (target.hidden === fits) target.hidden = !fits;
      if (fits) number += 1;
    });
    count.textContent = `${number} of ${targets.length} shown`;
  };
  if (find) {
    find.addEventListener("input", filter);
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.ariaPressed = chip.ariaPressed === "true" ? "false" : "true";
        filter();
      });
    }
    document.getElementById("open-all").addEventListener("click", (event) => {
      const shown = targets.filter((target) => !target.hidden);
      const open = shown.some((target) => !target.open);
      for (const target of shown) target.open = open;
      event.target.textContent = open ? "Close all shown" : "Open all shown";
    });
    filter();
  }
  const reveal = (id) => {
    const target = document.getElementById(id);
    if (!target || !target.classList.contains("t")) return false;
    target.hidden = false;
    target.open = true;
    target.scrollIntoView({ block: "center" });
    target.firstElementChild.focus({ preventScroll: true });
    return true;
  };
  addEventListener("hashchange", () => reveal(decodeURIComponent(location.hash.slice(1))));
  reveal(decodeURIComponent(location.hash.slice(1)));

  // On paper there is nothing to click: what is shown is opened, up to a number of pages that somebody may want.
  let opened = [];
  addEventListener("beforeprint", () => {
    const shown = targets.filter((target) => !target.hidden && !target.open);
    opened = shown.length <= 300 ? shown : [];
    for (const target of opened) target.open = true;
  });
  addEventListener("afterprint", () => {
    for (const target of opened) target.open = false;
  });

  // Heat maps.
  const words = {
    a: "listed, tier A", b: "listed, tier B", c: "listed, tier C",
    o: "clean", u: "unknown", s: "special use", x: "not in this run",
  };
  const readout = document.getElementById("readout");
  const tip = make("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const curve = (side, at) => {
    let [x, y] = [0, 0];
    for (let size = 1, rest = at; size < side; size *= 2, rest = Math.floor(rest / 4)) {
      const right = (rest >> 1) & 1;
      const down = (rest ^ right) & 1;
      if (down === 0) {
        if (right === 1) [x, y] = [size - 1 - x, size - 1 - y];
        [x, y] = [y, x];
      }
      x += size * right;
      y += size * down;
    }
    return y * side + x;
  };
  const prepare = (map) => {
    const side = Number(map.dataset.side);
    const cells = [];
    for (const [, letter, length] of map.dataset.cells.matchAll(/([a-z])(\d*)/g)) {
      for (let more = Number(length || 1); more > 0; more -= 1) cells.push(letter);
    }
    // From a place in the square to a number in the block, and back.
    const places = cells.map((_, at) => (map.dataset.order === "rows" ? at : curve(side, at)));
    const numbers = [];
    places.forEach((place, at) => { numbers[place] = at; });
    const base = map.dataset.base.split(".").reduce((value, part) => value * 256 + Number(part), 0);
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    cursor.setAttribute("class", "cursor");
    for (const name of ["width", "height"]) cursor.setAttribute(name, "1");
    cursor.setAttribute("stroke-width", side > 16 ? "1" : ".16");
    return { side, cells, places, numbers, base, cursor, at: undefined };
  };
  const known = new Map();
  const of = (map) => {
    if (!known.has(map)) known.set(map, prepare(map));
    return known.get(map);
  };
  const address = (number) => [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
  const told = (map, at) => {
    const { base, cells } = of(map);
    const target = document.getElementById(`t-${address(base + at)}`);
    const more = target ? [text(target, ".ids"), text(target, ".name")].filter((part) => part).join(" · ") : "";
    return `${address(base + at)}  ${words[cells[at]]}${more ? `  ${more}` : ""}`;
  };
  const go = (map, at) => {
    const { cells, places, side, cursor } = of(map);
    if (at < 0 || at >= cells.length) return;
    known.get(map).at = at;
    cursor.setAttribute("x", places[at] % side);
    cursor.setAttribute("y", Math.floor(places[at] / side));
    if (!cursor.parentNode) map.append(cursor);
    readout.textContent = told(map, at);
    map.setAttribute("aria-label", `${told(map, at)}, in the map of ${map.dataset.base}`);
  };
  const under = (map, event) => {
    const { side, numbers } = of(map);
    const box = map.getBoundingClientRect();
    const cell = (part, size) => Math.min(side - 1, Math.max(0, Math.floor((part / size) * side)));
    return numbers[cell(event.clientY - box.top, box.height) * side + cell(event.clientX - box.left, box.width)];
  };
  const open = (map, at) => {
    const { base } = of(map);
    const full = address(base + at);
    if (reveal(`t-${full}`)) return;
    const block = document.getElementById(`m-${full.replace(/\d+$/, "0")}-16`);
    if (!block || block === map) return;
    for (let above = block.parentElement; above; above = above.parentElement) {
      if (above.tagName === "DETAILS") above.open = true;
    }
    block.scrollIntoView({ block: "center" });
    block.focus({ preventScroll: true });
    go(block, Number(full.match(/\d+$/)[0]));
  };
  for (const map of document.querySelectorAll("svg.heat")) {
    map.setAttribute("tabindex", "0");
    map.setAttribute("role", "application");
    map.setAttribute("aria-roledescription", "heat map");
    map.setAttribute("aria-describedby", "keys");
    map.addEventListener("pointermove", (event) => {
      tip.textContent = told(map, under(map, event));
      tip.hidden = false;
      const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
      const top = event.clientY + 18 + tip.offsetHeight < innerHeight ? event.clientY + 18 : event.clientY - tip.offsetHeight - 10;
      tip.style.left = `${Math.max(4, left)}px`;
      tip.style.top = `${top}px`;
    });
    map.addEventListener("pointerleave", () => { tip.hidden = true; });
    map.addEventListener("click", (event) => {
      const at = under(map, event);
      go(map, at);
      open(map, at);
    });
    map.addEventListener("focus", () => go(map, of(map).at ?? 0));
    map.addEventListener("keydown", (event) => {
      const { side, cells, places, numbers, at = 0 } = of(map);
      const [x, y] = [places[at] % side, Math.floor(places[at] / side)];
      const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: [-x, 0], End: [side - 1 - x, 0] }[event.key];
      const listed = (letter) => letter < "d";
      if (step) {
        const [to, down] = [x + step[0], y + step[1]];
        if (to >= 0 && to < side && down >= 0 && down < side) go(map, numbers[down * side + to]);
      } else if (event.key === "n" || event.key === "N") {
        const next = cells.findIndex((letter, other) => other > at && listed(letter));
        if (next >= 0) go(map, next);
      } else if (event.key === "p" || event.key === "P") {
        go(map, cells.findLastIndex((letter, other) => other < at && listed(letter)));
      } else if (event.key === "Enter") {
        open(map, at);
      } else {
        return;
      }
      event.preventDefault();
    });
  }
})();
