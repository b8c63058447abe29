import numpy as np

from modalgap.measure import cone, l2m, rmg

random = np.random.default_rng(0)
images = random.normal(size=(1000, 64)) + 1
texts = random.normal(size=(1000, 64)) - 1

print(float(rmg(images, texts)))
print(l2m(images, texts).interval)
print(float(cone(images)))
