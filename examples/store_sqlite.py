"""sqlite-vec: closing as one UPDATE, and search of bits and 8-bit numbers before and after."""

import sys

import apsw
import numpy as np
import sqlite_vec
from numpy.typing import NDArray

import modalgap as mg
from modalgap.embeddings import pick_images

# both modalities are closed at once; the same expression closes a query
CLOSE = """UPDATE items SET v = vec_normalize(vec_add(
    vec_normalize(v), CASE role WHEN 'image' THEN :image ELSE :text END))"""
QUANTISE = """INSERT INTO codes(id, bits, bytes)
    SELECT id, vec_quantize_binary(v), vec_quantize_int8(v, 'unit') FROM items"""
SEARCH = {
    "float32": "SELECT id FROM items WHERE v MATCH :q AND k = 10",
    "int8": "SELECT id FROM codes WHERE bytes MATCH vec_quantize_int8(:q, 'unit') AND k = 10",
    "bits, rescored": """SELECT id FROM items WHERE id IN (
            SELECT id FROM codes WHERE bits MATCH vec_quantize_binary(:q) AND k = 50)
        ORDER BY vec_distance_cosine(v, :q) LIMIT 10""",
}


def recall(pair: mg.Pair) -> dict[str, dict[str, float]]:
    """Fraction of queries whose match is among the first ten rows of a mixed table."""
    sample, stored = (pick_images(pair, np.arange(start, pair.image.n, 2)) for start in (0, 1))
    map_ = mg.close.fit(sample, "center")  # the sample is not stored
    offsets = {role: blob(step.offset) for role, (step,) in map_.roles.items()}
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()

    db = apsw.Connection(":memory:")  # Python's own sqlite3 often cannot load extensions
    db.enable_load_extension(True)
    db.load_extension(sqlite_vec.loadable_path())
    d = pair.dim
    db.execute(
        f"CREATE VIRTUAL TABLE items USING vec0("
        f"id INTEGER PRIMARY KEY, role TEXT, v FLOAT[{d}] distance_metric=cosine);"
        f"CREATE VIRTUAL TABLE codes USING vec0("
        f"id INTEGER PRIMARY KEY, bits BIT[{d}], bytes INT8[{d}] distance_metric=cosine)"
    )
    with db:
        for i in range(len(images)):  # each item is stored once
            role, row = ("text", texts[i]) if i % 2 else ("image", images[i])
            db.execute("INSERT INTO items VALUES (?, ?, ?)", (i, role, blob(row)))
        db.execute(QUANTISE)

    shares = {"before": hits(db, images, texts)}
    with db:
        db.execute(CLOSE, offsets)
        db.execute("DELETE FROM codes")
        db.execute(QUANTISE)
    shares["after"] = hits(db, map_.image(images), map_.text(texts))
    db.close()
    return shares


def hits(
    db: apsw.Connection, images: NDArray[np.float32], texts: NDArray[np.float32]
) -> dict[str, float]:
    """Each item is the query in the modality in which it is not stored."""
    shares = {}
    for name, search in SEARCH.items():
        hit = []
        for i in range(len(images)):
            query = {"q": blob(images[i] if i % 2 else texts[i])}
            hit.append((i,) in db.execute(search, query).fetchall())
        shares[name] = float(np.mean(hit))
    return shares


def blob(vector: NDArray[np.floating] | None) -> bytes:
    """A vector as sqlite-vec stores it."""
    return np.asarray(vector, np.float32).tobytes()


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    print(recall(mg.load(path)))
