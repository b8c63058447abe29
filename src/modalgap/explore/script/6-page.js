// The page: controls, and what happens when they change.

const SILENT = "The server does not answer. Is it still running?";

(async function () {
  const page = JSON.parse(document.getElementById("page").textContent);
  const $ = (id) => document.getElementById(id);
  const source = store(page);
  const state = { scene: 0, item: null, picked: [] };
  let scene, raw, frame, drawn, latest = 0, opening = 0, turn = Promise.resolve();

  function options(select, values, chosen) {
    select.replaceChildren(...values.map(([value, text]) => element("option", text, { value })));
    if (values.some(([value]) => value === chosen)) select.value = chosen;
  }

  function choice() {
    return scene.choices.find((each) => each.closer === $("closer").value);
  }

  // The step that the controls say; strength 0 is the step without a closer.
  function step() {
    const found = choice();
    if (!found.strength) return [found.closer, null];
    const value = source.served ? Number($("strength").value)
      : found.strengths[Number($("strength").value)];
    return value === 0 ? ["none", null] : [found.closer, value];
  }

  function slider(strength) {
    const found = choice(), input = $("strength");
    $("strength-control").hidden = !found.strength;
    if (!found.strength) return;
    const last = found.strengths[found.strengths.length - 1];
    if (source.served) Object.assign(input, { min: 0, max: last, step: 0.01 });
    else Object.assign(input, { min: 0, max: found.strengths.length - 1, step: 1 });
    const whole = found.strengths.includes(1) ? found.strengths.indexOf(1) : found.strengths.length - 1;
    input.value = strength ?? (source.served ? 1 : whole);
  }

  async function change() {
    const mine = ++latest, [closer, strength] = step();
    document.body.classList.add("busy");
    const slow = setTimeout(() => mine === latest && say("Computing …"), 400);
    try {
      // One request at a time: of a fast slider, only the last strength waits for its turn.
      turn = turn.catch(() => null).then(() =>
        mine === latest ? source.frame(state.scene, scene, closer, strength) : null);
      const found = await turn;
      if (mine !== latest) return;
      frame = found;
      say("");
    } catch (error) {
      if (mine === latest) say(error.message || SILENT);
      return;
    } finally {
      clearTimeout(slow);
      if (mine === latest) document.body.classList.remove("busy");
    }
    redraw();
  }

  function redraw() {
    const found = choice();
    $("about").textContent = scene.choices.length > 1 ? found.about : "";
    $("call").textContent = frame.closer === "none" ? "" : frame.call;
    if (found.strength) {
      const amount = frame.strength ?? 0;
      $("strength-value").textContent = String(amount);
      $("strength").setAttribute("aria-valuetext", `${found.strength} = ${amount}`);
    }
    recolour();
    numbers();
    drawn.histogramOf(frame);
    kinds();
    show();
    document.body.dataset.step = `${frame.closer} ${frame.strength ?? ""}`.trim();
  }

  function recolour() {
    const found = coloured(scene, frame, $("colour").value);
    drawn.draw(scene, frame, $("map").value, found.fill, $("lines").checked);
    const shapes = scene.sides.map((side, place) => {
      const shown = element("li", null);
      const mark = element("i", null, { class: `shape ${MARKERS[place % 7]}`, "aria-hidden": "true" });
      mark.style.background = $("colour").value === "modality" ? sideColour(place) : css("muted");
      shown.append(mark, `${side.plural} (${place ? MARKERS[place % 7].replace("_", " ") : "circle"})`);
      return shown;
    });
    if (frame.density) {
      const rows = scene.sides.map((side) => `${side.total.toLocaleString("en")} ${side.plural}`);
      shapes.push(element("li", `shading: density of all ${rows.join(" and ")}`));
    }
    $("legend").replaceChildren(...shapes, ...found.legend.map(([colour, text]) => {
      const shown = element("li", null), mark = element("i", null, { class: "shape", "aria-hidden": "true" });
      mark.style.background = colour;
      shown.append(mark, text);
      return shown;
    }));
  }

  function digits(value) {
    return Math.abs(value) >= 100 ? fixed(value, 0) : Math.abs(value) >= 10 ? fixed(value, 1) : fixed(value, 3);
  }

  // Three or more modalities: for each measure, a matrix of each two of them.
  function matrices() {
    const names = scene.sides.map((side) => side.modality), found = new Map();
    for (const key of frame.keys) {
      if (!found.has(key.title)) found.set(key.title, { key, cells: new Map() });
      found.get(key.title).cells.set(key.name.split(".").slice(1).join("."), key);
    }
    meanings([...found.values()].map((each) => each.key));
    return [...found].map(([title, { cells }]) => {
      const table = element("table", null, { class: "values" }), head = element("tr", null);
      head.append(element("th", ""), ...names.slice(1).map((name) => element("th", name, { scope: "col" })));
      table.append(element("caption", title), head);
      for (const a of names.slice(0, -1)) {
        const row = element("tr", null);
        row.append(element("th", a, { scope: "row" }), ...names.slice(1).map((b) => {
          const key = cells.get(`${a}.${b}`), cell = element("td", key ? digits(key.value) : "");
          if (key?.interval) cell.append(element("small", key.interval.map(digits).join(" … ")));
          return cell;
        }));
        table.append(row);
      }
      const box = element("div", null, { class: "wide matrix", tabindex: "0", role: "group", "aria-label": title });
      box.append(table);
      return box;
    });
  }

  function numbers() {
    if (scene.sides.length > 2) {
      $("numbers").replaceChildren(...matrices());
      return;
    }
    const before = new Map(raw.keys.map((each) => [each.title, each]));
    $("numbers").replaceChildren(...frame.keys.map((key) => {
      const tile = element("div", null, { class: "tile" });
      const number = element("p", digits(key.value), { class: "number", "data-name": key.name, "data-value": key.value });
      const interval = key.interval ? `${digits(key.interval[0])} … ${digits(key.interval[1])}` : "no interval";
      const old = before.get(key.title);
      const was = old && frame !== raw ? `before: ${digits(old.value)}` : " ";
      tile.append(element("p", key.title, { class: "name" }), number,
        element("p", interval, { class: "interval" }), element("p", was, { class: "was" }),
        element("p", key.better && `${key.better} is better`, { class: "asks" }));
      return tile;
    }));
    $("numbers").style.setProperty("--many", frame.keys.length);
    meanings(frame.keys);
  }

  function meanings(keys) {
    $("meanings").replaceChildren(...keys.flatMap((key) => {
      const better = key.better ? ` ${key.better[0].toUpperCase()}${key.better.slice(1)} is better.` : "";
      return [element("dt", key.title), element("dd", key.about + better)];
    }));
  }

  function kinds() {
    if ($("cosines")) $("cosines").hidden = !frame.cosines;
    if (!frame.cosines) return;
    $("kinds").replaceChildren(...Object.keys(frame.cosines.kinds).map((kind, number) => {
      const shown = element("li", null), mark = element("i", null, { class: "dash", "aria-hidden": "true" });
      mark.style.backgroundImage = dashes(kindColour(number), number);
      shown.append(mark, `${kind} pairs, mean ${fixed(frame.cosines.means[kind], 3)}`);
      return shown;
    }));
  }

  function show() {
    $("mixed-control").hidden = !state.item || scene.sides.length < 2;
    if (!state.item) {
      drawn.mark(scene, frame, $("map").value, null, []);
      return;
    }
    const links = card(scene, frame, raw, state.item, $("mixed").checked, choose);
    drawn.mark(scene, frame, $("map").value, state.item, links);
  }

  function choose(side, row) {
    state.item = [side, row];
    show();
  }

  function pick(items) {
    if (items.length === 1) {
      choose(...items[0]);
      return;
    }
    state.picked = items;
    $("picked").hidden = false;
    $("picked-head").textContent = `${items.length.toLocaleString("en")} selected items`;
    const counts = scene.sides.map((side, place) =>
      `${items.filter((each) => each[0] === place).length.toLocaleString("en")} ${side.plural}`);
    const more = items.length > 200 ? ` The first 200 are listed; the file has all.` : "";
    $("picked-note").textContent = `${counts.join(", ")}.${more}`;
    $("picked-list").replaceChildren(...items.slice(0, 200).map(([side, row]) => entry(scene, side, row, "", choose)));
  }

  function say(text) {
    $("status").textContent = text;
  }

  function found() {
    const items = searchNames(scene, $("search").value);
    $("found").replaceChildren(...items.map(([side, row]) => entry(scene, side, row, "", (s, r) => {
      choose(s, r);
      $("found").replaceChildren();
    })));
    if ($("search").value.trim() && !items.length) $("found").replaceChildren(element("li", "No item has this name.", { class: "note" }));
  }

  // All of a view changes at once, so that a click meanwhile finds items of one view.
  async function open(number) {
    const mine = ++opening;
    let next, first;
    try {
      next = await source.scene(number);
      first = await source.frame(number, next, "none", null);
    } catch (error) {
      if (mine === opening) say(error.message || SILENT);
      return;
    }
    if (mine !== opening) return;
    const kept = $("closer").value || "shift", start = raw ? null : 0;  // first: nothing has moved
    [scene, raw, frame] = [next, first, first];
    state.scene = number;
    state.item = null;
    state.picked = [];
    drawn.clear();
    $("picked").hidden = true;
    if (page.query) $("query").hidden = number !== 0;  // it searches the items of the first view
    found();
    options($("closer"), scene.choices.map((each) => [each.closer, each.title]), kept);
    options($("map"), scene.maps.map((each) => [each.name, each.title]), $("map").value);
    options($("colour"), colourings(scene), $("colour").value);
    $("lines-control").hidden = !scene.lines.length;
    $("closer-control").hidden = scene.choices.length < 2;
    $("card").replaceChildren(element("p", page.hint, { class: "note" }));
    slider(start);
    drawn.limits(scene, $("map").value);
    await change();
  }

  function tip(event) {
    const hit = drawn.nearest(event.x, event.y, $("map").value, scene), box = $("tip");
    box.hidden = !hit;
    if (!hit) return;
    const [side, row] = hit, shown = picture(scene, side, row);
    box.replaceChildren(...(shown ? [shown] : []), element("span", nameOf(scene, side, row)));
    const facts = scene.sides.map((other, b) => {
      const rank = frame.ranks[`${side},${b}`]?.[row];
      return rank ? `rank of its match among ${other.plural}: ${rank}` : "";
    }).filter(Boolean);
    if (facts.length) box.append(element("small", facts.join("; ")));
    const area = $("map-plot").getBoundingClientRect();
    const left = Math.min(event.sx + 14, area.width - box.offsetWidth - 4);
    Object.assign(box.style, { left: `${Math.max(0, left)}px`, top: `${event.sy + 16}px` });
  }

  drawn = await plots(page);
  drawn.theme();
  options($("scene"), page.scenes.map((name, place) => [String(place), name]), "0");
  $("scene-control").hidden = page.scenes.length < 2;
  await open(0);

  $("scene").addEventListener("change", () => open(Number($("scene").value)));
  $("closer").addEventListener("change", () => { slider(null); change(); });
  $("strength").addEventListener("input", change);
  $("map").addEventListener("change", () => { drawn.limits(scene, $("map").value); redraw(); });
  for (const id of ["colour", "lines"]) $(id).addEventListener("change", () => { recolour(); show(); });
  $("mixed").addEventListener("change", show);
  $("search").addEventListener("input", found);
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") $("found").querySelector("button")?.click();
  });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("picked-csv").addEventListener("click", () => save(csv(scene, state.picked), "items.csv", "text/csv"));
  $("picked-clear").addEventListener("click", () => { $("picked").hidden = true; drawn.clear(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawn.theme(); redraw(); });
  drawn.chosen(pick);
  drawn.on("mousemove", tip);
  drawn.on("mouseleave", () => { $("tip").hidden = true; });
  if (page.query) query(page, source, say, () => scene, choose);
  document.body.classList.add("ready");
})().catch((error) => {
  document.getElementById("status").textContent = `The page cannot be shown: ${error.message}`;
  throw error;
});
