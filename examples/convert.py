import modalgap as mg

pair = mg.load("demo/short.safetensors")
again = mg.load(mg.save(pair, "points.npz"))
assert again.fingerprint == pair.fingerprint
