"""A map in other hands: a torch module, an ONNX file, a FAISS index, plain numbers.

Every export takes rows as they are stored, unit or not, and gives the vectors of the map.
"""

from modalgap.close.exports.faiss_views import faiss_views
from modalgap.close.exports.json_numbers import to_json
from modalgap.close.exports.onnx_model import to_onnx
from modalgap.close.exports.torch_module import RoleModule, to_torch

__all__ = ["RoleModule", "faiss_views", "to_json", "to_onnx", "to_torch"]
