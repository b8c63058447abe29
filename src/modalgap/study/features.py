"""Public features that several studies compare with: CLIP ViT-B/16 on 500 pairs of COCO.

They are two files of the code of Liang et al. 2022; ``FETCH`` has the commands that get them.
"""

from __future__ import annotations

COCO, UNTRAINED = "clip_coco500", "clip_random_coco500"
FOLDER = "Modality-Gap/Figure_1_Modality_Gap"  # in the clone
FETCH = (
    "git clone https://github.com/Weixin-Liang/Modality-Gap",
    f"cp {FOLDER}/features_clip.npy {COCO}.npy",
    f"cp {FOLDER}/features_clip_random.npy {UNTRAINED}.npy",
)
NEEDS = f"pair={COCO}.npy, CLIP ViT-B/16 on 500 pairs of COCO; see the commands on its page"
