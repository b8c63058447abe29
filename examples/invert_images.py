import modalgap as mg

pair = mg.load("demo/short.safetensors")  # digits and their captions
model = "open_clip:demo/runs/short/model"
inversion = mg.invert(pair, "oti", model)  # text features of the images
print(inversion)

for name, queries in (("native", pair.image), ("inverted", inversion.features)):
    result = mg.search(queries, pair, "self_removed", factor="object")
    print(f"mAP of images among images, {name}: {result['map']}")
