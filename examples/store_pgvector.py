"""PostgreSQL with pgvector: closing as one UPDATE; exact, half-precision and binary search."""

import sys

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

import modalgap as mg
from modalgap.embeddings import pick_images

# both modalities are closed at once; the same expression closes a query
CLOSE = """UPDATE items SET v = l2_normalize(
    l2_normalize(v) + CASE role WHEN 'image' THEN %(image)s ELSE %(text)s END::vector)"""
INDEXES = """
    CREATE INDEX halves ON items USING hnsw ((v::halfvec({d})) halfvec_cosine_ops);
    CREATE INDEX bits ON items USING hnsw ((binary_quantize(v)::bit({d})) bit_hamming_ops);
    SET LOCAL hnsw.ef_search = 100;  -- at least the largest LIMIT
    SET LOCAL enable_seqscan = off  -- use the indexes although the rows are few"""
SEARCH = {
    "exact": "SELECT id FROM items ORDER BY v <=> %(q)s LIMIT 10",
    "halfvec": "SELECT id FROM items ORDER BY v::halfvec({d}) <=> %(q)s::halfvec({d}) LIMIT 10",
    "bits, rescored": """SELECT id FROM (
            SELECT id, v FROM items
            ORDER BY binary_quantize(v)::bit({d}) <~> binary_quantize(%(q)s) LIMIT 50) AS near
        ORDER BY v <=> %(q)s LIMIT 10""",
    "standardised": """SELECT id FROM (
            (SELECT id, (1 - (v <=> %(q)s) - %(image_mean)s) / %(image_sd)s AS score FROM items
                WHERE role = 'image' ORDER BY v <=> %(q)s LIMIT 10)
            UNION ALL
            (SELECT id, (1 - (v <=> %(q)s) - %(text_mean)s) / %(text_sd)s FROM items
                WHERE role = 'text' ORDER BY v <=> %(q)s LIMIT 10)) AS both_roles
        ORDER BY score DESC LIMIT 10""",
}


def recall(pair: mg.Pair, server: str) -> dict[str, dict[str, float]]:
    """Fraction of queries whose match is among the first ten rows of a mixed table."""
    sample, stored = (pick_images(pair, np.arange(start, pair.image.n, 2)) for start in (0, 1))
    map_ = mg.close.fit(sample, "center")  # the sample is not stored
    scaler = mg.close.ScoreScaler.fit(sample)
    images, texts = stored.image.unit().numpy(), stored.text.unit().numpy()

    with psycopg.connect(server) as db:
        db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(db)
        d = pair.dim
        db.execute(f"CREATE TEMP TABLE items (id int PRIMARY KEY, role text, v vector({d}))")
        with db.cursor().copy("COPY items FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "vector"])
            for i in range(len(images)):  # each item is stored once
                copy.write_row((i, "text", texts[i]) if i % 2 else (i, "image", images[i]))
        shares = {"before": hits(db, images, texts, scaler)}
        db.execute(CLOSE, {role: step.offset for role, (step,) in map_.roles.items()})
        shares["after"] = hits(db, map_.image(images), map_.text(texts))
        db.rollback()
    return shares


def hits(
    db: psycopg.Connection,
    images: NDArray[np.float32],
    texts: NDArray[np.float32],
    scaler: mg.close.ScoreScaler | None = None,
) -> dict[str, float]:
    """Each item is the query in the modality in which it is not stored."""
    d = images.shape[1]
    db.execute(INDEXES.format(d=d))
    shares = {}
    for name, search in SEARCH.items():
        if name == "standardised" and scaler is None:
            continue
        hit = []
        for i in range(len(images)):
            role, vector = ("image", images[i]) if i % 2 else ("text", texts[i])
            query: dict[str, object] = {"q": vector}
            if scaler is not None:
                for form in ("image", "text"):
                    query[f"{form}_mean"], query[f"{form}_sd"] = scaler.scale(role, form)
            hit.append((i,) in db.execute(search.format(d=d), query).fetchall())
        shares[name] = float(np.mean(hit))
    db.execute("DROP INDEX halves, bits")
    return shares


if __name__ == "__main__":
    path = sys.argv[1] if sys.argv[1:] else "demo/short.safetensors"
    server = sys.argv[2] if sys.argv[2:] else "dbname=test"
    try:
        print(recall(mg.load(path), server))
    except psycopg.OperationalError as error:
        sys.exit(f"{server}: {' '.join(str(error).split())}")
