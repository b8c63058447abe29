// Items: their names and pictures, the card of one item, the list of several, and their export.

function element(tag, text, attributes = {}) {
  const found = document.createElement(tag);
  if (text !== null) found.textContent = text;
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  return found;
}

function rowOf(scene, side, row) {
  return scene.sides[side].rows ? scene.sides[side].rows[row] : row;
}

function nameOf(scene, side, row) {
  const names = scene.sides[side].names;
  return names ? names[row] : `${scene.sides[side].modality} ${rowOf(scene, side, row)}`;
}

function picture(scene, side, row, scale = 1) {
  const sheet = scene.sides[side].sheet;
  if (!sheet || sheet.cells[row] < 0) return null;
  if (!sheet.url) {
    const bytes = Uint8Array.from(atob(sheet.data), (c) => c.charCodeAt(0));
    sheet.url = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
  }
  const size = sheet.size * scale, cell = sheet.cells[row];
  const found = element("span", null, { class: "thumb", role: "img", "aria-label": nameOf(scene, side, row) });
  Object.assign(found.style, {
    width: `${size}px`, height: `${size}px`,
    backgroundImage: `url(${sheet.url})`,
    backgroundSize: `${size * sheet.columns}px auto`,
    backgroundPosition: `-${(cell % sheet.columns) * size}px -${Math.floor(cell / sheet.columns) * size}px`,
  });
  return found;
}

// The neighbours of an item in one modality: [row, cosine in thousandths].
function neighbours(frame, a, b, row) {
  const found = frame.near[`${a},${b}`];
  let cosine = 0;
  return found.items.map((column, place) => {
    cosine = place ? cosine - found.falls[place][row] : found.falls[0][row];
    return [column[row], cosine];
  });
}

function matchesOf(scene, a, b, row) {
  const found = scene.matches[`${a},${b}`];
  return found ? found.items.slice(found.starts[row], found.starts[row + 1]) : [];
}

// One list of all modalities: [modality, row, cosine].
function mixedList(scene, frame, a, row) {
  const lists = scene.sides.map((_, b) => neighbours(frame, a, b, row)), next = lists.map(() => 0);
  return frame.mixed[a][row].map((b) => [b, ...lists[b][next[b]++]]);
}

function entry(scene, side, row, text, choose, match = false) {
  const found = element("li", null);
  const button = element("button", null, { type: "button", class: match ? "item match" : "item" });
  const mark = element("i", null, { class: "mark", "aria-hidden": "true" });
  mark.style.background = sideColour(side);
  const shown = picture(scene, side, row);
  button.append(mark, ...(shown ? [shown] : []), element("span", nameOf(scene, side, row), { class: "name" }));
  if (match) button.append(element("span", "match", { class: "tag" }));
  if (text) button.append(element("span", text, { class: "number" }));
  button.addEventListener("click", () => choose(side, row));
  found.append(button);
  return found;
}

// The card: the item, its matches with their ranks before and after, its neighbours.
function card(scene, frame, raw, item, mixed, choose) {
  const [side, row] = item, own = scene.sides[side], box = document.getElementById("card");
  const links = [];
  const shown = picture(scene, side, row, 2);
  const matched = scene.sides.some((_, b) => matchesOf(scene, side, b, row).length);
  const title = element("h2", nameOf(scene, side, row));
  const parts = [element("p", `${own.modality}, row ${rowOf(scene, side, row)}. On the map: ${matched ? "a solid line to its match, " : ""}dotted lines to its nearest items.`, { class: "note" }), title];
  if (shown) parts.push(shown);
  const facts = Object.entries(own.factors).map(([name, f]) => `${name}: ${f.values[f.codes[row]]}`);
  if (facts.length) parts.push(element("p", facts.join(", "), { class: "note" }));
  scene.sides.forEach((other, b) => {
    const rank = frame.ranks[`${side},${b}`]?.[row];
    if (!rank) return;
    const before = raw.ranks[`${side},${b}`][row];
    const change = frame === raw ? "" : ` (before closing: ${before})`;
    const many = matchesOf(scene, side, b, row);
    parts.push(element("h3", many.length > 1 ? `Matches among ${other.plural}` : `Match among ${other.plural}`));
    parts.push(element("p", `Rank ${rank} of ${other.n.toLocaleString("en")}${change}`, { class: "rank" }));
    parts.push(list(many.slice(0, 5).map((each) => entry(scene, b, each, "", choose, true))));
    links.push(...many.slice(0, 5).map((each) => [b, each, "match"]));
  });
  const digits = (cosine) => fixed(cosine * scene.cosine, 3);
  if (mixed && scene.sides.length > 1) {
    const found = mixedList(scene, frame, side, row);
    parts.push(element("h3", "Nearest in one list of all modalities"));
    const shares = scene.sides.map((each, b) =>
      `${found.filter((one) => one[0] === b).length} ${each.plural}`).join(", ");
    parts.push(element("p", `Of the first ${found.length}: ${shares}`, { class: "note" }));
    parts.push(list(found.map(([b, other, cosine]) =>
      entry(scene, b, other, digits(cosine), choose, matchesOf(scene, side, b, row).includes(other)))));
    links.push(...found.map(([b, other]) => [b, other, "near"]));
  } else {
    scene.sides.forEach((other, b) => {
      const found = neighbours(frame, side, b, row);
      parts.push(element("h3", `Nearest ${other.plural}`));
      parts.push(list(found.map(([near, cosine]) => entry(scene, b, near, digits(cosine), choose,
        matchesOf(scene, side, b, row).includes(near)))));
      links.push(...found.map(([near]) => [b, near, "near"]));
    });
  }
  box.replaceChildren(...parts);
  return links;
}

function list(entries) {
  const found = element("ol", null, { class: "items" });
  found.append(...entries);
  return found;
}

// Items whose name contains the text, at most `most`.
function searchNames(scene, text, most = 12) {
  const wanted = text.trim().toLowerCase(), found = [];
  if (!wanted) return found;
  for (let side = 0; side < scene.sides.length; side++) {
    for (let row = 0; row < scene.sides[side].n && found.length < most; row++) {
      if (nameOf(scene, side, row).toLowerCase().includes(wanted)) found.push([side, row]);
    }
  }
  return found;
}

const CELL = /^[=+\-@\t\r]/;  // spreadsheets take such cells for formulas

function csv(scene, items) {
  const quote = (text) => `"${(CELL.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const lines = items.map(([side, row]) =>
    [quote(scene.sides[side].modality), rowOf(scene, side, row), quote(nameOf(scene, side, row))].join(","));
  return ["modality,row,name", ...lines, ""].join("\n");
}

function save(text, name, type) {
  const link = element("a", null, { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}
