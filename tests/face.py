"""Writes src/modalgap/_face.pyi: what type checkers see of the packages that are verbs.

A type checker takes ``mg.measure`` for a module, which cannot be called, or for a function, which
has no ``rmg``. In the stub each verb is a class: its attributes are the names in ``__all__`` of the
package, and ``__new__`` has the signature of the verb. ``python tests/face.py`` writes the stub;
``test_face.py`` fails where it is out of date.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERBS = ("close", "encode", "evaluate", "explore", "invert", "measure", "report", "search",
         "simulate", "study", "train", "zoo")  # fmt: skip
STUB = Path(__file__).parents[1] / "src" / "modalgap" / "_face.pyi"
HEAD = '"""What type checkers see of the verbs. Written by tests/face.py: do not edit."""\n\n'


def stub() -> str:
    """The text of the stub."""
    imports: set[str] = set()
    classes = [_verb(name, imports) for name in VERBS]
    return HEAD + "\n".join(sorted(imports)) + "\n\n" + "\n".join(classes)


def _verb(name: str, imports: set[str]) -> str:
    package = importlib.import_module(f"modalgap.{name}")
    verb = getattr(package, name)
    imports.add(f"import modalgap.{name} as _{name}")
    summary = (package.__doc__ or "").partition("\n")[0]
    lines = [f"class {name}:", f'    """{summary}"""', ""]
    lines += _constructors(name, verb, imports)
    lines.append("")
    for each in package.__all__:
        member = getattr(package, each)
        if inspect.isclass(member):
            lines.append(f"    from modalgap.{name} import {each} as {each}")
        elif inspect.isfunction(member) and not hasattr(member, "takes_pair"):
            lines.append(f"    {each} = staticmethod(_{name}.{each})")
        else:
            lines.append(f"    {each} = _{name}.{each}")
    return "\n".join(lines) + "\n"


def _constructors(name: str, verb: Callable[..., Any], imports: set[str]) -> list[str]:
    """``__new__`` as the verb is called: with its own arguments, and with two arrays."""
    plain = inspect.unwrap(verb)
    signature = inspect.signature(plain)
    answer = _names(name, plain, str(signature.return_annotation), imports)
    first, *rest = signature.parameters.values()
    if not hasattr(verb, "takes_pair"):
        return [_new(name, plain, [first, *rest], answer, imports)]
    imports.add("from typing import overload as _overload")
    imports.add("from modalgap.embeddings.arrays import Rows as _Rows")
    form = "{}: _Rows"
    arrays = [form.format("image"), form.format("text"), "/"]
    return [
        "    @_overload",
        _new(name, plain, [first, *rest], answer, imports),
        "    @_overload",
        _new(name, plain, rest, answer, imports, arrays),
    ]


def _new(
    name: str,
    plain: Callable[..., Any],
    parameters: list[inspect.Parameter],
    answer: str,
    imports: set[str],
    before: list[str] | None = None,
) -> str:
    said = list(before or [])
    starred = False
    for each in parameters:
        typed = _names(name, plain, str(each.annotation), imports)
        default = "" if each.default is each.empty else " = ..."
        if each.kind is each.KEYWORD_ONLY and not starred:
            said.append("*")
            starred = True
        stars = {each.VAR_KEYWORD: "**", each.VAR_POSITIONAL: "*"}.get(each.kind, "")
        said.append(f"{stars}{each.name}: {typed}{default}")
        if each.kind is each.POSITIONAL_ONLY:
            said.append("/")
    inner = "".join(f"        {each},\n" for each in ["cls", *said])
    ignored = "# type: ignore[misc]"
    return f"    def __new__(  {ignored}\n{inner}    ) -> {answer}: ..."


def _names(name: str, plain: Callable[..., Any], annotation: str, imports: set[str]) -> str:
    """The annotation with every name imported under one of the stub's own."""
    module = sys.modules[plain.__module__]
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    here = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    parsed = ast.parse(annotation, mode="eval")
    for node in ast.walk(parsed):
        if not isinstance(node, ast.Name) or node.id in ("str", "int", "float", "bool", "None"):
            continue
        found = vars(module).get(node.id) or _typed_only(tree, node.id)
        # in Python 3.13, Path is in pathlib._local
        home = module.__name__ if node.id in here else found.__module__.partition("._")[0]
        alias = f"_{name}_{node.id}" if node.id in here else f"_{node.id}"
        imports.add(f"from {home} import {node.id} as {alias}")
        node.id = alias
    return ast.unparse(parsed)


def _typed_only(tree: ast.Module, name: str) -> Any:
    """What a module imports for type checkers alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {each.name for each in node.names}:
            return getattr(importlib.import_module(str(node.module)), name)
    raise LookupError(name)


if __name__ == "__main__":
    STUB.write_text(stub(), "utf-8")
