import modalgap as mg

pair = mg.load("demo/short.safetensors")
page = mg.report(
    pair,
    "page.html",
    title="Free points",
    figures="figures",
    formats=("png", "pdf"),
    overwrite=True,
)
print(page)
