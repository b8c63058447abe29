import modalgap as mg
from modalgap.work import on

if __name__ == "__main__":  # the processes import this file
    pair = mg.load("demo/short.safetensors")
    here = mg.measure(pair, only=["l2m", "rmg"])
    with on("processes:2"):
        there = mg.measure(pair, only=["l2m", "rmg"])
    print(there.to_json() == here.to_json())
