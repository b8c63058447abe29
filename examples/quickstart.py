import modalgap as mg

pair = mg.load("demo/short.safetensors")
result = mg.measure(pair)
for name in ("l2m", "rmg", "matched_cosine", "cone_image", "itr"):
    print(f"{name:16}{result[name]}")

mg.report(pair, "report.html", result=result, overwrite=True)
