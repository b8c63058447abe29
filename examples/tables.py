"""Results and embeddings as tables of DuckDB, Polars and pandas."""

import duckdb
import polars

import modalgap as mg

pair = mg.load("demo/short.safetensors")
result = mg.measure(pair, ["l2m", "rmg", "cone"])
print(result.to_frame())  # pandas

images, texts = pair.image, pair.text
print(
    duckdb.sql("""
        select name, round(value, 3) as value, better from result where low is not null
        order by value
    """)
)
print(
    duckdb.sql("""
        select avg(array_cosine_similarity(i.vector, t.vector)) as matched_cosine
        from (from images select vector, row_number() over () as row) i
        join (from texts select vector, row_number() over () as row) t using (row)
    """)
)
frame = polars.DataFrame(images)  # its vectors are those in memory: nothing is copied
print(frame.select(polars.col("vector").arr.get(0).mean()))
again = mg.Embeddings(frame["vector"].to_numpy(), "image")
print(again.fingerprint == mg.Embeddings(images.rows.read(0, images.n), "image").fingerprint)
