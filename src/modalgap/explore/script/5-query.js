// Search by text, where the server has a model.

function query(page, source, say, scene, choose) {
  const $ = (id) => document.getElementById(id);
  let latest = 0;
  $("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = $("query-text").value.trim();
    if (!text) return;
    const shown = scene(), mine = ++latest;
    say("Searching …");
    try {
      const { lists } = await source.ask(`answers?text=${encodeURIComponent(text)}`);
      if (mine !== latest) return;
      $("answers").replaceChildren(...lists.map((each) => {
        const box = element("section", null);
        const shares = shown.sides.map((side, place) =>
          `${each.items.filter((item) => item[0] === place).length} ${side.plural}`).join(", ");
        box.append(element("h3", each.title), element("p", `${each.about} ${shares}.`, { class: "note" }),
          list(each.items.map(([side, row, score]) => entry(shown, side, row, fixed(score, 3), choose))));
        return box;
      }));
      say("");
    } catch (error) {
      if (mine === latest) say(error.message || SILENT);
    }
  });
}
