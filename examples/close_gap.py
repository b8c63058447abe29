import modalgap as mg

pair = mg.load("demo/short.safetensors")
closing = mg.close.fit(pair, "center")
closed = closing.apply(pair)
print(mg.measure(closed, only=["l2m", "rmg", "matched_cosine"]))

closing.save("center.safetensors", overwrite=True)
again = mg.close.load("center.safetensors")
queries = again.text(pair.text.unit(0, 10))  # new rows of one modality
print(queries.shape)
