// Colours of the marks, and the legend that says in words what they mean.

const KINDS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7f00"];
const RANKS = [[1, 1, "rank 1: the match is the nearest item"], [2, 5, "rank 2 to 5"],
  [6, 10, "rank 6 to 10"], [11, 100, "rank 11 to 100"], [101, Infinity, "rank above 100"]];
const HUBS = [[0, 0, "never a neighbour"], [1, 5, "neighbour of 1 to 5 queries"],
  [6, 10, "of 6 to 10"], [11, 20, "of 11 to 20"], [21, Infinity, "of more than 20: a hub"]];

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function sideColour(place) {
  return css(["image", "text", "matched", "ramp1", "unmatched", "ink", "ramp5"][place % 7]);
}

// The colours on offer: value of the menu to its title.
function colourings(scene) {
  const found = [["modality", "Modality"]];
  if (Object.keys(scene.matches).length && scene.sides.length === 2) {
    found.push(["rank", "Rank of the match"], ["cosine", "Cosine to the match"]);
  }
  found.push(["hub", "Hubs: often a neighbour"]);
  found.push(["typical", "Outliers: far from the mean"]);
  const names = new Set(scene.sides.flatMap((side) => Object.keys(side.factors)));
  for (const name of names) found.push([`factor ${name}`, `Factor: ${name}`]);
  return found;
}

// For each modality the colour of each row, and the legend: [colour, text].
function coloured(scene, frame, which) {
  const muted = css("unmatched");
  if (which.startsWith("factor ")) return byFactor(scene, which.slice(7), muted);
  if (which === "rank") {
    return binned(scene, (side) => frame.ranks[`${side},${1 - side}`], RANKS, muted, "no match");
  }
  if (which === "hub") return binned(scene, (side) => frame.hubs[side], HUBS, muted, "");
  if (which === "cosine" || which === "typical") {
    const values = (side) =>
      which === "cosine" ? frame.matched[`${side},${1 - side}`] : frame.typical[side];
    const all = scene.sides.flatMap((_, side) => values(side)).filter((each) => each !== null);
    return binned(scene, values, fifths(all, scene.cosine), muted, "no match");
  }
  return {
    fill: scene.sides.map((side, place) => Array(side.n).fill(sideColour(place))),
    legend: [],
  };
}

function fifths(values, unit) {
  const least = values.reduce((a, b) => Math.min(a, b), Infinity);  // too many for arguments
  const low = values.length ? least : 0;
  const width = Math.max(1, (values.reduce((a, b) => Math.max(a, b), low) - low) / 5);
  return [4, 3, 2, 1, 0].map((step) => {
    const [from, to] = [Math.round(low + step * width), Math.round(low + (step + 1) * width)];
    return [from, step === 4 ? Infinity : to - 1, `${fixed(from * unit, 2)} to ${fixed(to * unit, 2)}`];
  });
}

function binned(scene, values, bins, muted, none) {
  const ramp = [0, 2, 4, 6, 7].map((step) => css(`ramp${step}`));
  const used = new Set();
  const fill = scene.sides.map((_, side) => (values(side) || []).map((value) => {
    const place = value === null || (none && bins === RANKS && value === 0)
      ? -1 : bins.findIndex(([low, high]) => value >= low && value <= high);
    used.add(place);
    return place < 0 ? muted : ramp[place];
  }));
  const legend = bins.map(([, , text], place) => [ramp[place], text]).filter((_, place) => used.has(place));
  if (used.has(-1) && none) legend.push([muted, none]);
  return { fill, legend };
}

// A factor can have the name of something that every object has, such as "constructor".
function factorOf(side, name) {
  return Object.hasOwn(side.factors, name) ? side.factors[name] : null;
}

function byFactor(scene, name, muted) {
  const counts = new Map();
  for (const side of scene.sides) {
    const factor = factorOf(side, name);
    if (factor) {
      for (const code of factor.codes) {
        const value = factor.values[code];
        counts.set(value, (counts.get(value) || 0) + 1);
      }
    }
  }
  const ordered = [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  const shown = new Map(ordered.slice(0, KINDS.length).map((value, place) => [value, KINDS[place]]));
  const fill = scene.sides.map((side) => {
    const factor = factorOf(side, name);
    if (!factor) return Array(side.n).fill(muted);
    return factor.codes.map((code) => shown.get(factor.values[code]) || muted);
  });
  const legend = [...shown].map(([value, colour]) => [colour, value]);
  if (ordered.length > shown.size) legend.push([muted, `${ordered.length - shown.size} other values`]);
  if (scene.sides.some((side) => !factorOf(side, name))) legend.push([muted, "without this factor"]);
  return { fill, legend };
}
