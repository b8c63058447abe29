import csv
from pathlib import Path

from encode_functions import encoder
from PIL import Image

import modalgap as mg

Path("tiles").mkdir(exist_ok=True)
with Path("tiles/tiles.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["file_name", "caption", "colour"])
    for i in range(12):
        colour = ("red", "green", "blue")[i % 3]
        Image.new("RGB", (32, 32), colour).resize((20 + i, 24)).save(f"tiles/{i}.png")
        table.writerow([f"{i}.png", f"tile {i} is {colour}", colour])

source = mg.data.read("tiles/tiles.csv", factors="auto")  # all columns with few values
print(source.factors["colour"][:3], source.notes, source.unused)
pair = mg.encode(source, encoder)
assert isinstance(pair, mg.Pair)
print(mg.search(pair.image, pair.image, "self_removed", factor="colour"))
