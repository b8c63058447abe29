import modalgap as mg

# texts become images through patches, so the image tower must be a vision transformer
settings = ["model.architecture=mad_vit", "steps=40", "data.limit=400", "batch=64"]
run = mg.train("mad_k1", "runs/vit", settings=settings)
pair = mg.encode(mg.data.read("photos", limit=6), run.spec)
found = mg.invert(pair, "ovi", run.spec, wanted=0.95)  # image features of the captions
print(found)
print(f"{float(found.steps.float().mean()):.0f} steps each")
