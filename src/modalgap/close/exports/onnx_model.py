"""A map as an ONNX file: one file per role, with one input and one output.

The graph uses only basic operators (MatMul, Add, LpNormalization …) that every runtime supports.
Requires ``pip install 'modalgap[export]'``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.atomic import check_target, replacing
from modalgap.close.affine import AffineMap
from modalgap.errors import NotApplicable, OptionError, OutputError
from modalgap.extras import import_extra

OPSET = 17


@checked
def to_onnx(map_: AffineMap, path: str | Path, role: str, *, overwrite: bool = False) -> Path:
    """Write one role of a map: input ``rows`` (n, d) float32, output ``closed`` (n, e) float32.

    Args:
        map_: the map.
        path: ends in .onnx.
        role: "image", "text", or another role of the map.
        overwrite: whether a file of that name may be replaced.

    Raises:
        NotApplicable: the onnx library is not installed.
        OutputError: the file exists, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise OutputError(f"{path}: must end in .onnx; found {path.suffix or 'nothing'}")
    check_target(path, overwrite=overwrite)
    if not isinstance(role, str) or role not in map_.roles:
        raise OptionError.unknown("role of this map", str(role), map_.roles)
    onnx = import_extra("onnx", "export", "an ONNX file", NotApplicable)
    helper, numbers = onnx.helper, onnx.numpy_helper
    nodes: list[Any] = []
    constants: list[Any] = []

    def add(kind: str, before: str, constant: Any = None, **attributes: Any) -> str:
        after = f"v{len(nodes)}"
        inputs = [before]
        if constant is not None:
            constants.append(numbers.from_array(constant, f"c{len(constants)}"))
            inputs.append(constants[-1].name)
        nodes.append(helper.make_node(kind, inputs, [after], **attributes))
        return after

    # divide by the largest entry first, or squares of very large or small entries leave float32
    nodes.append(helper.make_node("Abs", ["rows"], ["sizes"]))
    nodes.append(helper.make_node("ReduceMax", ["sizes"], ["largest"], axes=[-1], keepdims=1))
    nodes.append(helper.make_node("Div", ["rows", "largest"], ["scaled"]))
    at = add("LpNormalization", "scaled", axis=-1, p=2)
    for matrix, offset, unit in map_.ready[role]:
        if matrix is not None and matrix.ndim == 1:
            at = add("Mul", at, matrix.numpy())
        elif matrix is not None:
            at = add("MatMul", at, matrix.T.contiguous().numpy())
        if offset is not None:
            at = add("Add", at, offset.numpy())
        if unit:
            at = add("LpNormalization", at, axis=-1, p=2)
    nodes.append(helper.make_node("Identity", [at], ["closed"]))
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        f"{map_.method} {role}",
        [helper.make_tensor_value_info("rows", kind, ["n", map_.dims[role]])],
        [helper.make_tensor_value_info("closed", kind, ["n", map_.width(role)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8  # the version of this opset, so that older runtimes accept it
    onnx.checker.check_model(model)
    with replacing(path, overwrite=overwrite) as file:
        file.write(model.SerializeToString())
    return path
