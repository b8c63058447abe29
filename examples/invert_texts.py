import modalgap as mg
from modalgap.data.mad import Captions, build, digits, source

# OVI optimises patches, so the image tower must be a vision transformer
settings = ["model.architecture=mad_vit", "steps=40", "data.limit=400", "batch=64"]
run = mg.train("mad_k1", "runs/vit", settings=settings)
held_out = source(build(digits(limit=400)), Captions(attributes=1), images=1)
pair = mg.encode(held_out, run.spec)
inversion = mg.invert(pair, "ovi", run.spec, wanted=0.9)  # image features of the captions
print(inversion)
print(f"{float((inversion.cosines >= 0.9).float().mean()):.0%} reached a cosine of .9")
