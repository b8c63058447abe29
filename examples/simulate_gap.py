import modalgap as mg
from modalgap.simulate import free_points

for temperature in (0.01, 0.1):
    pair = free_points(n=200, dim=32, temperature=temperature, seed=0)
    print(temperature, pair.image.provenance["loss"], mg.measure(pair, only="l2m"))
