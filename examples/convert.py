import modalgap as mg

pair = mg.load("demo/free_points.safetensors")
again = mg.load(mg.save(pair, "points.npz"))
assert again.fingerprint == pair.fingerprint
