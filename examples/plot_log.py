import json
from pathlib import Path

import matplotlib.pyplot as plt

import modalgap as mg

run = mg.train("mad_k2", "runs/k2", settings=["steps=20", "data.limit=400", "batch=64"])
lines = [json.loads(line) for line in Path("runs/k2/log.jsonl").read_text().splitlines()]
loss = [(line["step"], line["loss"]) for line in lines if "loss" in line]
gap = [(line["step"], line["held_out"]["rmg"]) for line in lines if "held_out" in line]
figure, (left, right) = plt.subplots(1, 2)
left.plot(*zip(*loss, strict=True))
right.plot(*zip(*gap, strict=True))
figure.savefig("log.png")
