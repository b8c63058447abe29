"""Write an interactive page of the gap in the demo's embeddings."""

import modalgap as mg

pair = mg.load("demo/short.safetensors")
mg.explore(pair, "gap.html", title="Short captions")
