import modalgap as mg

pair = mg.load("demo/short.safetensors")
calibration = mg.evaluate.calibrate(pair, prior=0.01)  # one of 100 candidates matches
print(calibration.probability([0.1, 0.3, 0.5]))
print(calibration.threshold(precision=0.9))
