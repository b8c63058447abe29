// The two Bokeh plots: their data and their colours. No numbers are computed here.

const MARKERS = ["circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star"];
const HIDDEN = "#00000000";

async function plots(page) {
  const views = {};
  Bokeh.logger.set_level("warn");
  for (const name of Object.keys(page.plots)) {
    await Bokeh.embed.embed_item(page.plots[name], document.getElementById(`${name}-plot`));
  }
  for (const document of Bokeh.documents) {
    for (const root of document.roots()) views[root.name] = root;
  }
  const map = views.map, histogram = views.histogram;
  const named = (root, name) => root.select_one(name);
  const points = named(map, "points");
  let first = [0];  // of each modality, the place of its first row in the source

  function theme() {
    for (const root of Object.values(views)) {
      for (const axis of root.select({ type: "LinearAxis" })) {
        axis.setv({ axis_line_color: css("muted"), major_tick_line_color: css("muted"),
          minor_tick_line_color: null, major_label_text_color: css("muted"),
          axis_label_text_color: css("ink"), axis_label_text_font_style: "normal" });
      }
      for (const grid of root.select({ type: "Grid" })) grid.grid_line_color = css("grid");
    }
  }

  function draw(scene, frame, mapName, fill, lines) {
    const sides = frame.points[mapName], unit = scene.unit;
    first = [0];
    for (const side of scene.sides) first.push(first[first.length - 1] + side.n);
    const size = first[first.length - 1] > 1500 ? 5 : 7;
    const whole = (which) => sides.flatMap((side) => side[which].map((each) => each * unit));
    const count = first[first.length - 1], paper = css("paper");  // reading a style is slow
    points.data = {
      x: whole(0), y: whole(1), fill: fill.flat(), edge: Array(count).fill(paper),
      marker: scene.sides.flatMap((side, place) => Array(side.n).fill(MARKERS[place % 7])),
      size: Array(count).fill(size),
    };
    const at = place(frame, mapName, unit);
    const ends = lines ? scene.lines.map(([a, i, b, j]) => [at(a, i), at(b, j)]) : [];
    named(map, "lines").data = {
      x0: ends.map((e) => e[0][0]), y0: ends.map((e) => e[0][1]),
      x1: ends.map((e) => e[1][0]), y1: ends.map((e) => e[1][1]),
    };
    for (const drawn of map.select("lines-drawn")) drawn.glyph.line_color = { value: css("muted") };
    shade(scene, frame, mapName);
    const about = scene.maps.find((each) => each.name === mapName);
    map.select({ type: "LinearAxis" }).forEach((axis) => {
      axis.axis_label = about.labels[map.below.includes(axis) ? 0 : 1] || null;
    });
  }

  function shade(scene, frame, mapName) {
    scene.sides.forEach((_, side) => {
      const source = named(map, `density-${side}`), found = frame.density?.[mapName];
      if (!found) {
        source.data = { image: [], x: [], y: [], dw: [], dh: [] };
        return;
      }
      const [left, right, bottom, top] = scene.maps.find((each) => each.name === mapName).limits;
      const bins = frame.bins, flat = Float64Array.from(found[side]);
      const image = Bokeh.require("core/util/ndarray").ndarray(flat, { shape: [bins, bins] });
      source.data = { image: [image], x: [left], y: [bottom], dw: [right - left], dh: [top - bottom] };
      const mapper = named(map, `shades-${side}`), many = mapper.palette.length;
      mapper.palette = mapper.palette.map((_, step) =>
        step ? sideColour(side) + Math.round(200 * step / (many - 1)).toString(16).padStart(2, "0") : HIDDEN);
    });
  }

  function place(frame, mapName, unit) {
    return (side, row) => frame.points[mapName][side].map((axis) => axis[row] * unit);
  }

  function limits(scene, mapName) {
    const [left, right, bottom, top] = scene.maps.find((each) => each.name === mapName).limits;
    map.x_range.setv({ start: left, end: right, reset_start: left, reset_end: right });
    map.y_range.setv({ start: bottom, end: top, reset_start: bottom, reset_end: top });
  }

  // The chosen item in a ring, and dashed or solid lines to what the card lists.
  function mark(scene, frame, mapName, item, links) {
    const at = place(frame, mapName, scene.unit), from = item && at(...item);
    const ends = links.map(([side, row]) => at(side, row));
    named(map, "links").data = {
      x0: ends.map(() => from[0]), y0: ends.map(() => from[1]),
      x1: ends.map((end) => end[0]), y1: ends.map((end) => end[1]),
      colour: links.map(([, , kind]) => css(kind === "match" ? "matched" : "ink")),
      dash: links.map(([, , kind]) => (kind === "match" ? "solid" : "dotted")),
    };
    const rings = item ? [[from, 16, "ink"], ...links.filter((l) => l[2] === "match").map(
      ([side, row]) => [at(side, row), 14, "matched"])] : [];
    named(map, "rings").data = {
      x: rings.map((r) => r[0][0]), y: rings.map((r) => r[0][1]),
      size: rings.map((r) => r[1]), colour: rings.map((r) => css(r[2])),
    };
  }

  function histogramOf(frame) {
    if (!histogram || !frame.cosines) return;
    const { edges, kinds } = frame.cosines;
    let top = 0;
    Object.values(kinds).forEach((shares, number) => {
      const x = [edges[0]], y = [0];
      shares.forEach((share, bin) => {
        x.push(edges[bin], edges[bin + 1]);
        y.push(share, share);
        top = Math.max(top, share);
      });
      x.push(edges[edges.length - 1]);
      y.push(0);
      named(histogram, `kind-${number}`).data = { x, y };
      histogram.select_one(`line-${number}`).glyph.line_color = { value: kindColour(number) };
    });
    const low = Math.min(-0.2, edges[0]), high = 1;
    histogram.x_range.setv({ start: low, end: high, reset_start: low, reset_end: high });
    histogram.y_range.setv({ start: 0, end: top * 1.05, reset_start: 0, reset_end: top * 1.05 });
  }

  // Row of the source to [modality, row].
  function item(index) {
    const side = first.findIndex((start, number) => index >= start && index < first[number + 1]);
    return [side, index - first[side]];
  }

  function on(event, run) {
    map.on_event(event, run);
    map.document.event_manager.subscribed_models.add(map);
  }

  function chosen(run) {
    points.selected.connect(points.selected.properties.indices.change, () => {
      const indices = points.selected.indices;
      if (!indices.length) return;
      run(indices.map(item));
      if (indices.length === 1) points.selected.indices = [];  // the same mark can be clicked again
    });
  }

  function nearest(x, y, mapName, scene) {
    const frame = map.inner_width, tall = map.inner_height;
    const sx = frame / (map.x_range.end - map.x_range.start);
    const sy = tall / (map.y_range.end - map.y_range.start);
    let best = 100, found = null;  // squared pixels
    for (let i = 0; i < points.data.x.length; i++) {
      const far = ((points.data.x[i] - x) * sx) ** 2 + ((points.data.y[i] - y) * sy) ** 2;
      if (far < best) [best, found] = [far, item(i)];
    }
    return found;
  }

  return { theme, draw, limits, mark, histogramOf, on, chosen, nearest,
    clear: () => { points.selected.indices = []; } };
}

// The dash of a line, for legends: as the lines of the histograms.
function dashes(colour, number) {
  const parts = [[6], [3.5, 1.5], [1.5, 1.5], [4, 1.5, 1.5, 1.5]][number % 4];
  let at = 0;
  const stops = parts.map((length, place) => {
    const stop = `${place % 2 ? "transparent" : colour} ${at}px ${at + 2 * length}px`;
    at += 2 * length;
    return stop;
  });
  return `repeating-linear-gradient(90deg, ${stops.join(", ")})`;
}

function kindColour(number) {
  return css(["matched", "unmatched", "image", "text"][number % 4]);
}
