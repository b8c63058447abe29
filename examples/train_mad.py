import modalgap as mg
from modalgap.data import mad

run = mg.train("mad_k2", "runs/k2", settings=["steps=20", "data.limit=400", "batch=64"])
print(f"RMG {run.first['rmg']:.2f} at the start, {run.last['rmg']:.2f} at the end")

looks = mad.source(mad.build(mad.digits(limit=400)), mad.Captions(attributes=2), images=3)
pair = mg.encode(looks, run.spec)
print(mg.measure(pair, ["rmg", "moad"]))
