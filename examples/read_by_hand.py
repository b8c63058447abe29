import itertools
import json
from pathlib import Path

import numpy as np

content = Path("demo/short.safetensors").read_bytes()
length = int.from_bytes(content[:8], "little")
header = json.loads(content[8 : 8 + length])
about = header.pop("__metadata__")
assert about["format"] == "modalgap"
assert about["version"].split(".")[0] == "3"

kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}
tensors = {}
for key, entry in header.items():
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    flat = np.frombuffer(content[begin:end], kinds[entry["dtype"]])
    tensors[key] = flat.reshape(entry["shape"])

for modality in json.loads(about["modalities"]):
    print(modality, tensors[modality].shape)
    print({key: value for key, value in about.items() if key.startswith(f"{modality}.")})
    if f"names.{modality}.bytes" in tensors:
        text = tensors[f"names.{modality}.bytes"].tobytes()
        ends = tensors[f"names.{modality}.offsets"].tolist()
        print([text[a:b].decode() for a, b in itertools.pairwise(ends)][:3])
