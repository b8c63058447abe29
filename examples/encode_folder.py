import modalgap as mg

pair = mg.encode("photos", "open_clip:ViT-B-32/random", "photos.safetensors", overwrite=True)
print(pair)
print(mg.measure(pair, only=["l2m", "rmg", "cone"]))
