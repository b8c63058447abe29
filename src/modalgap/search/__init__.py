"""Search: queries of one set of embeddings in a gallery of another set.

``modalgap.search(queries, gallery)`` gives retrieval metrics. A protocol says which queries are
used and which items are relevant; ``PROTOCOLS`` lists them.
"""

from modalgap._lazy import callable_package
from modalgap.search.base import Protocol
from modalgap.search.registry import PROTOCOLS
from modalgap.search.verb import query_side, search

__all__ = ["PROTOCOLS", "Protocol", "query_side", "search"]

callable_package(__name__, search)
