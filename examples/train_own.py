import modalgap as mg

config = {
    "model": {"architecture": "small_vit"},  # or ViT-B-32, RN50, the path of a JSON file
    "data": {"source": "photos", "held_out": 0},  # any source that encode reads
    "losses": {"infonce": 1.0, "uniformity": 0.1},
    "optimiser": {"lr": 5e-4, "warmup": 0.1},
    "batch": 3,
    "steps": 4,
}
run = mg.train(config, "runs/own")
pair = mg.encode("photos", run.spec)
print(mg.measure(pair, ["l2m", "matched_cosine"]))
