import modalgap as mg

pair = mg.load("demo/short.safetensors")
again = mg.load(mg.save(pair, "points.npz", overwrite=True))
assert again.fingerprint == pair.fingerprint
