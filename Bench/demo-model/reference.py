"""Hugging Face transformers as the reference, in FP32 on weights dequantised by checkpoint.py."""
import json
import os
import shutil
import tempfile

import torch
from safetensors.torch import save_file

from checkpoint import raw_config, read_tensors


def load(folder):
    """`folder` as DeepseekV3ForCausalLM with eager attention and eager experts. The FP8 loader of transformers is avoided:
    without a GPU it infers block sizes, which is wrong for ragged tensors."""
    import transformers
    from transformers import DeepseekV3ForCausalLM

    transformers.logging.set_verbosity_error()
    config = raw_config(folder)
    config.pop("quantization_config", None)
    config["torch_dtype"] = "float32"
    # The class ignores, and its MtpModel later loads, the layers this pattern names; it ships with the number 61.
    layers = [str(config["num_hidden_layers"] + j) for j in range(config["num_nextn_predict_layers"] or 0)]
    DeepseekV3ForCausalLM._keys_to_ignore_on_load_unexpected = [rf"model\.layers\.({'|'.join(layers)})\..*"]
    copy = tempfile.mkdtemp(prefix="fp32-")
    tensors = {name: t.contiguous() for name, t in read_tensors(folder).items()}
    save_file(tensors, os.path.join(copy, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(copy, "config.json"), "w") as file:
        json.dump(config, file)
    hf, info = DeepseekV3ForCausalLM.from_pretrained(
        copy, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager", output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"transformers did not accept {folder}: {info}")
    hf.folder_copy = copy  # MtpModel reads it again
    return hf.eval()


def discard(hf):
    shutil.rmtree(hf.folder_copy)


@torch.no_grad()
def mtp_states(hf, ids, own_embedding=None):
    """States after shared_head.norm of every MTP module, each chained to the one before: [1, N − 1 − j, H] for module j.
    own_embedding: {module: its own table}; transformers itself always uses the main model's."""
    from transformers.modeling_layers import MtpModel

    h, out = hf.model(ids).last_hidden_state, []
    for j, layer in enumerate(MtpModel.from_pretrained(hf).eval().layers):
        n, table = ids.shape[1] - 1 - j, (own_embedding or {}).get(j, hf.model.embed_tokens.weight)
        embedded, positions = table[ids[:, 1 + j:]], torch.arange(n)[None]
        mask = torch.full((1, 1, n, n), torch.finfo(torch.float32).min).triu(1)
        h = layer(embedded, h[:, :n], hf.model.rotary_emb(embedded, positions), mask, positions, None)
        out.append(h)
    return out


@torch.no_grad()
def greedy(hf, ids, count):
    """`count` greedy tokens after ids [1, T], EOS not stopping, and the logits [T + count, V] of the whole text."""
    text = hf.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count, min_new_tokens=count,
                       eos_token_id=None, pad_token_id=1, temperature=None, top_p=None)
    logits = hf(text).logits[0]
    T = ids.shape[1]
    if not torch.equal(logits[T - 1:-1].argmax(-1), text[0, T:]):
        raise SystemExit("a cached and an uncached run of transformers disagree about the greedy text")
    return text[0, T:].tolist(), logits


def versions():
    import transformers
    return f"transformers {transformers.__version__}, torch {torch.__version__}, FP32 on a CPU"
