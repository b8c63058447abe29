"""``--set NAME=VALUE``: values of the types that the options of a method have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from modalgap.cli.build import SPELT_OUT
from modalgap.errors import OptionError, quoted

if TYPE_CHECKING:
    from modalgap.method import Method


def settings(
    given: list[str] | None, methods: Iterable[Method], *, seed: int | None = None
) -> dict[str, Any]:
    """Options of methods by name.

    Args:
        given: NAME=VALUE, or NAME.KEY=VALUE for an option that is a mapping. If a name is given
            twice, the last value counts.
        methods: that may have the options.
        seed: the value of ``--seed``; None if it is not given.

    Raises:
        OptionError: not NAME=VALUE, an unknown name, or a value of another type.
    """
    from modalgap.arguments import hints, mapped, parsed

    known = list(methods)
    found: dict[str, Any] = {} if seed is None else {"seed": seed}
    if len(known) == 1 and seed is not None and "seed" not in known[0].options:
        raise OptionError(f"option 'seed': {known[0].name} has no random numbers")
    for each in given or ():
        name, equals, text = (part.strip() for part in each.partition("="))
        if not equals or not name:
            raise OptionError(f"--set must be NAME=VALUE; got {quoted(each)}")
        if name in SPELT_OUT:
            raise OptionError(f"--set {name}: must be given as --{name}")
        option, _, key = name.partition(".")
        owners = [method for method in known if option in method.options]
        if not owners:
            what = f"option of {known[0].name}" if len(known) == 1 else "option"
            names = {name for method in known for name in method.options}
            raise OptionError.unknown(what, name, names.difference(SPELT_OUT))
        annotation = hints(owners[0].body).get(option, Any)
        inner = mapped(annotation)
        if (inner is not None) != bool(key):
            form = f"{option}.KEY=VALUE" if inner is not None else f"{option}=VALUE"
            raise OptionError(f"--set {option}: must be given as {form}; got {quoted(each)}")
        if inner is None:
            found[name] = parsed(name, text, annotation)
        else:
            found.setdefault(option, {})[key] = parsed(name, text, inner)
    return found
