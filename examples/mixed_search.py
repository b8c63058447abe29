"""Standardised scores for one search over images and texts, from embeddings to a merged list."""

import numpy as np

import modalgap as mg

pair = mg.load("demo/short.safetensors")
scaler = mg.close.ScoreScaler.fit(pair)  # once, on a sample
scaler.save("scales.json", overwrite=True)

query = pair.text.unit()[:1].numpy()  # one text
lists = {side.modality: (query @ side.unit().numpy().T)[0] for side in pair.sides}  # per modality
scored = [
    (float(score), form, row)
    for form, scores in lists.items()
    for row, score in enumerate(scaler(scores, "text", form))
]
for score, form, row in sorted(scored, reverse=True)[:5]:
    print(f"{score:6.2f}  {form} {row}")

wider = scaler.augmented("text")  # or one index for text queries: one more column
stored = np.concatenate([wider(side.unit(), side.modality) for side in pair.sides])
print(wider(query, "query") @ stored.T)
