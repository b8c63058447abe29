"""Write an interactive page of the gap in the demo's embeddings."""

import modalgap as mg

pair = mg.load("demo/short.safetensors")
mg.explore(pair, "explore.html", title="Short captions", overwrite=True)
