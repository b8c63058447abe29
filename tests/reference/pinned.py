"""Numbers of real embeddings, to the digits shown.

Provenance: clip_coco500.npy and clip_random_coco500.npy of shared/data, that is CLIP ViT-B/16,
trained and untrained, on 500 pairs of COCO val2017, from the repository of Liang et al. 2022 (MIT
licence). The numbers were computed apart from this library, by n × n evaluation in float64, and
stand in the project's notes on the field (sections 6 and 7). The landscape follows Liang et al.
2022, section 3.2: batches of 50 in order, shifts −5 … 5 in steps of 0.25.
"""

TRAINED = {
    "l2m": "0.8514",
    "l2i": "1.1745",
    "rmg": "0.5915",
    "cone_image": "0.531",
    "cone_text": "0.515",
    "matched_cosine": "0.310",
    "gram_volume": "0.9502",
    "energy_distance": "0.6520",
    "mmd": "0.2940",
}
UNTRAINED = {
    "l2m": "1.1361",
    "rmg": "0.7478",
    "cone_image": "0.681",
    "cone_text": "0.663",
}

# the dimensions of largest |μ_x − μ_y|, then the size of the next
DIMENSIONS = (442, 362)
DIFFERENCES = ("0.501", "0.496", "0.142")

# multiple of the median distance between an image and a text: MMD²
MMD = {0.5: "0.3929", 1.0: "0.2940", 2.0: "0.0976"}
# means and standard deviations of cosines within and across modalities
SCORES = {
    "image": {"within": ("0.53", "0.096"), "across": ("0.162", "0.0487")},
    "text": {"within": ("0.52", "0.110"), "across": ("0.162", "0.0487")},
}
ENERGY_CENTRED = "0.0097"

# 1/τ: (lowest loss, distance between the means there)
LANDSCAPE = {
    100.0: ("0.5660", "0.8514"),
    50.0: ("0.6646", "0.6315"),
    30.0: ("1.0138", "0.6315"),
    20.0: ("1.4940", "0.3831"),
    10.0: ("2.4227", "0.1149"),
    1.0: ("3.7374", "0.1149"),
}


def digits(value: float, like: str) -> str:
    """``value`` with as many decimals as ``like`` shows."""
    return f"{value:.{len(like.partition('.')[2])}f}"
