"""Where the work runs: in this process, in several processes, or on a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from modalgap.errors import OptionError, quoted
from modalgap.extras import require
from modalgap.work.executors import CURRENT, Executor, InProcess, Processes
from modalgap.work.pool import processors
from modalgap.work.ray import Ray

RULE = "here, processes:N, ray, ray://HOST[:PORT]"
MOST = 1024  # processes
_CLIENT = re.compile(r"ray://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(:[0-9]{1,5})?")


def executor() -> Executor:
    """The executor of the current ``on`` block. Outside a block, and in a worker: ``InProcess``."""
    return CURRENT.get()


@contextmanager
def on(where: str | Executor) -> Iterator[Executor]:
    """Set where verbs run: a context manager.

    Processes and the connection to Ray are started at their first use, used by all verbs in the
    block, and closed when it ends.

        >>> import modalgap as mg
        >>> from modalgap.work import on
        >>> with on("processes:4"):  # doctest: +SKIP
        ...     mg.measure(pair)

    Args:
        where: "here": in this process. "processes:N": in N processes of this machine, 1 to 1024.
            "ray": on the cluster of the environment variable RAY_ADDRESS, or, if it is not set, on
            a Ray that is started on this machine. "ray://HOST[:PORT]": on a cluster through Ray
            Client, at port 10001 by default. An executor is used as it is.

    Raises:
        OptionError: ``where`` is none of these.
        InputError: ray is not installed.
    """
    chosen = _chosen(where)
    block: AbstractContextManager[object] = (
        chosen if isinstance(chosen, AbstractContextManager) else nullcontext()
    )
    with block:
        token = CURRENT.set(chosen)
        try:
            yield chosen
        finally:
            CURRENT.reset(token)
    if isinstance(chosen, Processes | Ray):
        chosen.account.tell()


def _chosen(where: str | Executor) -> Executor:
    if not isinstance(where, str):
        if all(hasattr(where, name) for name in ("run", "count", "local")):
            return where
        raise _wrong(where)
    kind, _, rest = where.partition(":")
    if where == "here":
        return InProcess()
    if kind == "processes" and rest.isascii() and rest.isdigit() and 1 <= int(rest[:9]) <= MOST:
        count = int(rest)
        return Processes(
            count=count,
            option="processes",
            threads=max(1, processors() // count),
            fresh=True,
        )
    if where == "ray" or _CLIENT.fullmatch(where):
        require("ray", f"on={where!r}", "ray")
        return Ray(None if where == "ray" else where)
    raise _wrong(where)


def _wrong(found: object) -> OptionError:
    return OptionError(
        f"on must be {RULE} (N from 1 to {MOST}), or an executor; got {quoted(found)}"
    )
