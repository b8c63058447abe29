import modalgap as mg

pair = mg.load("demo/short.safetensors")
result = mg.measure(pair)
print(result)
print(result["l2m"].value, result["l2m"].interval)
print(result["per_dimension_gap"].details["dimensions"][:10])
print(result.skipped)

some = mg.measure(pair, only=["logit_entropy_image", "infonce"], temperature=0.02)
print(some.to_json())
