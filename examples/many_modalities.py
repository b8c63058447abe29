import numpy as np

import modalgap as mg

# ten dimensions of content, as three encoders see them: with noise, each in a cone of its own
random = np.random.default_rng(0)
content = random.normal(size=(300, 10))

items = {"image": np.arange(300), "text": np.arange(280), "audio": np.arange(50, 300)}
sides = {
    name: content[ids] + 0.5 * random.normal(size=(len(ids), 10)) + random.normal(size=10)
    for name, ids in items.items()
}
mods = mg.Modalities(sides, items=items)
print(mods, mods.incomplete)  # rows whose item lacks a modality

result = mg.measure(mods, only=["rmg", "cone", "gram_volume"])
print(result)
print(result.matrix("rmg")["image"]["audio"])

answers = mg.evaluate(mods, only="answers")
for query, row in answers.matrix("answers.top1").items():
    print(query, {name: round(float(share), 2) for name, share in row.items()})

closed = mg.close.fit(mods, "center").apply(mods)
print(mg.measure(closed, only="rmg"))
print(mg.measure(closed.pair("text", "audio"), only="rmg"))

mg.save(closed, "three.safetensors", overwrite=True)
print(mg.load("three.safetensors"))
