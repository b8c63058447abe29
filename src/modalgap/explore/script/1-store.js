// Where scenes and frames come from: blocks of the page, or a server on this machine.

// A number with this many decimals; a negative one that rounds to zero has no sign.
function fixed(value, decimals) {
  return value.toFixed(decimals).replace(/^-(?=[0.]*$)/, "");
}

function store(page) {
  const kept = new Map();

  async function block(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  async function ask(path) {
    const answer = await fetch(path);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  function once(key, make) {
    if (!kept.has(key)) {
      const made = make();
      made.catch(() => kept.delete(key));
      kept.set(key, made);
      if (kept.size > 200) kept.delete(kept.keys().next().value);
    }
    return kept.get(key);
  }

  return {
    served: page.served,
    scene(number) {
      return once(`scene ${number}`, () =>
        page.served ? ask(`scene?scene=${number}`) : block(`scene-${number}`));
    },
    frame(number, scene, closer, strength) {
      return once(`frame ${number} ${closer} ${strength}`, () => {
        if (page.served) {
          const amount = strength === null ? "" : `&strength=${strength}`;
          return ask(`frame?scene=${number}&closer=${closer}${amount}`);
        }
        const place = scene.steps.findIndex(
          (each) => each.closer === closer && each.strength === strength);
        return block(`frame-${number}-${place}`);
      });
    },
    ask,
  };
}
