"""A real Ray cluster of two nodes with one CPU each, for the tests of work."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from calls import CALLS, drawing

from modalgap.work import Ray

HERE = Path(__file__).resolve().parents[1]


def add_node(cluster: Any, **more: Any) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=100_000_000, include_dashboard=False, **more)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes; the head accepts clients at ``cluster.client``."""
    import warnings

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        paths = [str(HERE), str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        from ray.cluster_utils import Cluster

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = Cluster()
        try:
            add_node(made, ray_client_server_port=port)
            add_node(made, num_gpus=1)  # that it has one is only said
            made.client = f"ray://127.0.0.1:{port}"
            patch.setenv("RAY_ADDRESS", made.address)
            yield made
        finally:
            made.shutdown()


@pytest.fixture(scope="module")
def ray(cluster: Any) -> Iterator[Ray]:
    """An executor that most tests share, with two workers that have started."""
    with Ray() as made:
        list(made.run(drawing, CALLS))
        assert made._crew is not None
        while any(each.hello is not None for each in made._crew._workers.values()):
            list(made.run(drawing, CALLS))
        yield made
