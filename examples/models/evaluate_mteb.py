"""Evaluate a model in MTEB: as it is, closed, and with standardised scores."""

import sys

import mteb
from mteb.mocks.mock_tasks import MockAny2AnyRetrievalI2TTask, MockAny2AnyRetrievalT2ITask

import modalgap as mg

photos, model, *names = sys.argv[1:]  # photos st:sentence-transformers/clip-ViT-B-32 Flickr30kT2I
mocks = [MockAny2AnyRetrievalI2TTask(), MockAny2AnyRetrievalT2ITask()]  # without a download
tasks = mteb.get_tasks(tasks=names) if names else mocks
pair = mg.encode(photos, model)
assert isinstance(pair, mg.Pair)  # of a source with one modality: Embeddings
closings: dict[str, mg.close.AffineMap | mg.close.ScoreScaler | None] = {
    "raw": None,
    "closed": mg.close.fit(pair, "center"),
    "standardised": mg.close.ScoreScaler.fit(pair),
}
for name, closing in closings.items():
    results = mteb.evaluate(mg.close.to_mteb(closing, model), tasks, cache=None)
    scores = {each.task_name: each.get_score() for each in results.task_results}
    print(name, scores)
