"""Makes golden.json: cosines and sines of rotary embeddings far out, by Hugging Face transformers and in double precision.

Run with Python that has torch and transformers: python make.py > golden.json
"""

import json
import math

import torch
import transformers
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3RotaryEmbedding

DIMENSION = 64
PAIRS = [0, 1, 2, 5, 9, 10, 12, 15, 18, 20, 22, 25, 31]
POSITIONS = [1, 4095, 131071, 163839, 262143, 1048575]


def yarn(factor, fast, slow, mscale):
    return {
        "factor": factor, "original_max_position_embeddings": 4096, "beta_fast": fast, "beta_slow": slow,
        "mscale": mscale, "mscale_all_dim": mscale,
    }  # fmt: skip


SHAPES = {
    "deepseek-v3": (1e4, yarn(40, 32, 1, 1.0)),
    "deepseek-v2": (1e4, yarn(40, 32, 1, 0.707)),
    "kimi-k2": (5e4, yarn(32, 1.0, 1.0, 1.0)),
    "kimi-k2-thinking": (5e4, yarn(64, 32.0, 1.0, 1.0)),
    "moonlight-16b": (5e4, None),
    "joyai-flash": (3.2e7, None),
    "glm-4.7-flash": (1e6, None),
    "glm-5.2": (8e6, None),
}


def frequencies(theta, scaling):
    """The same as transformers' formula (YaRN, arXiv 2309.00071, 3.2), in double precision."""
    plain = [theta ** (-2 * i / DIMENSION) for i in range(DIMENSION // 2)]
    if scaling is None:
        return plain

    def pair(rotations):
        length = scaling["original_max_position_embeddings"]
        return DIMENSION * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair(scaling["beta_fast"])), 0)
    high = min(math.ceil(pair(scaling["beta_slow"])), DIMENSION - 1)
    if low == high:
        high += 0.001
    result = []
    for i, frequency in enumerate(plain):
        share = min(max((i - low) / (high - low), 0), 1)
        result.append(frequency * (1 - share) + frequency / scaling["factor"] * share)
    return result


def record(theta, scaling):
    parameters = {"rope_theta": theta, "rope_type": "yarn" if scaling else "default", **(scaling or {})}
    configuration = DeepseekV3Config(
        rope_parameters=parameters, max_position_embeddings=1 << 20, qk_rope_head_dim=DIMENSION, qk_nope_head_dim=128
    )
    rotary = DeepseekV3RotaryEmbedding(configuration)
    cosines, sines = rotary(torch.zeros(1, 1, 1), torch.tensor([POSITIONS]))
    exact = frequencies(theta, scaling)
    ratio = max(abs(a / b - 1) for a, b in zip(rotary.inv_freq.tolist(), exact))
    assert ratio < 3e-7, ratio
    assert rotary.attention_scaling == 1
    return {
        "frequencies": [exact[i] for i in PAIRS],
        "transformers": {
            "cosines": [[cosines[0, j, i].item() for i in PAIRS] for j in range(len(POSITIONS))],
            "sines": [[sines[0, j, i].item() for i in PAIRS] for j in range(len(POSITIONS))],
        },
        "exact": {
            "cosines": [[math.cos(p * exact[i]) for i in PAIRS] for p in POSITIONS],
            "sines": [[math.sin(p * exact[i]) for i in PAIRS] for p in POSITIONS],
        },
    }


torch.set_num_threads(1)
print(
    json.dumps(
        {
            "versions": {"transformers": transformers.__version__, "torch": torch.__version__},
            "pairs": PAIRS,
            "positions": POSITIONS,
            "shapes": {name: record(*shape) for name, shape in SHAPES.items()},
        }
    )
)
