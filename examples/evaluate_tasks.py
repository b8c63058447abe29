import modalgap as mg

pair = mg.load("demo/short.safetensors")
result = mg.evaluate(pair, ["retrieval", "clustering"])
print(result["retrieval.text_to_image_r1"])

evidence = mg.evaluate.retrieval(pair).scores["text_to_image_r1"]  # one entry per query
print(evidence.values.mean(), evidence.interval(seed=0))
