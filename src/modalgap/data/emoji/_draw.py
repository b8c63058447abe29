"""The child process of ``svg``: drawings on stdin become PNG on stdout.

Short drawings can take hours, such as long dashed lines, and a crash of the library would end the
command. Here the operating system limits memory, files, and the CPU time of each drawing. A request
is the pixels per side and the number of bytes of a drawing, and these bytes; an answer is whether
it was drawn and a number of bytes, and the PNG or the reason.
"""

import contextlib
import importlib
import signal
import struct
import sys
from typing import Any

REQUEST, ANSWER = struct.Struct(">II"), struct.Struct(">?I")
SECONDS = 2.0  # of CPU time; the usual pictures need some milliseconds
MEMORY = 1 << 30  # bytes


def limit() -> None:
    """Limit this process, if the system supports it; Windows does not."""
    try:
        import resource
    except ImportError:
        return
    for name, most in {"AS": MEMORY, "NOFILE": 3, "CORE": 0, "FSIZE": 0, "NPROC": 0}.items():
        with contextlib.suppress(ValueError, OSError):  # the limit is lower already, or unknown
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def start_clock() -> None:
    """End this process, also while the library draws, after ``SECONDS`` of CPU time from now."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends processes by default


def draw(library: Any, svg: str, size: int) -> tuple[bool, bytes]:
    """The PNG, or why there is none."""
    try:
        png = library.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True)
        return True, bytes(png)
    except ValueError as error:
        return False, " ".join(str(error).split())[:120].encode(errors="replace")
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of a library in Rust; it is no Exception
            raise
        return False, b"resvg-py fails"


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C; it ends when its input does
    library = importlib.import_module("resvg_py")
    limit()
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while len(head := read.read(REQUEST.size)) == REQUEST.size:
        size, length = REQUEST.unpack(head)
        svg = read.read(length).decode()
        start_clock()
        drawn, data = draw(library, svg, size)
        write.write(ANSWER.pack(drawn, len(data)) + data)
        write.flush()


if __name__ == "__main__":
    main()
