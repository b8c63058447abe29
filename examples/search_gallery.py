import modalgap as mg

pair = mg.load("demo/short.safetensors")
images = pair.image
result = mg.search(images, images, "self_removed", factor="object")
print(result["map"], result["r1"])

prompts = mg.Embeddings(images.unit()[:3], names=["a", "b", "c"])
queries = mg.Embeddings(images.unit()[:6], factors={"class": ["a", "b", "c"] * 2})
print(mg.search(queries, prompts, "zero_shot")["top1"])
