import modalgap as mg

pair = mg.load("demo/short.safetensors")
advice = mg.preflight(pair, "retrieval")
print(advice)

board = mg.compare(pair, ["center", "shift:alpha=0.5", "nnn", "retrieval"])
print(board)
print(board["center"].differences["retrieval.text_to_image_r1"])
