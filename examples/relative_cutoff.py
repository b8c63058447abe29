import modalgap as mg

pair = mg.load("demo/short.safetensors")
calibration = mg.evaluate.calibrate(pair)
cut = calibration.relative("best", values=[0.8, 0.9, 0.95, 1.0], queries="text")
for fraction, precision, recall in zip(cut.values, cut.precision, cut.recall, strict=True):
    print(f"within {fraction:.2f} of the best: precision {precision:.2f}, recall {recall:.2f}")
