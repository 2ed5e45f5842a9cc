"""Hugging Face transformers as the reference, in FP32: the main model, and an MTP module as a model of one layer."""
import json
import os
import tempfile

import torch
import transformers

import storage


def load(kind, config, tensors):
    """The class `kind`ForCausalLM with eager attention and experts, its weights read by its own loader from published names.

    transformers gives the norms of the two latents ε = 1e-6 whatever the configuration says; the engines that serve these
    models use rms_norm_eps, and so does this reference."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = {key: value for key, value in config.items() if key != "quantization_config"} | dict(torch_dtype="float32")
    with tempfile.TemporaryDirectory(prefix="fp32-") as folder:
        storage.save({name: t.contiguous().clone() for name, t in tensors.items()}, os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(config, file)
        model, info = getattr(transformers, kind + "ForCausalLM").from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
            output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"] or info["unexpected_keys"]:
        raise SystemExit(f"{kind} did not accept the tensors: {info}")
    set_epsilon(model, config["rms_norm_eps"])
    return model.eval()


def set_epsilon(model, epsilon):
    """ε of the norms of the two latents."""
    for name, module in model.named_modules():
        if name.endswith(("q_a_layernorm", "kv_a_layernorm")):
            module.variance_epsilon = epsilon


def main_model(family, kind, changes, tensors):
    """The main model; an MTP module's tensors are left out."""
    layers = tuple(f"model.layers.{family.layer_count() + j}." for j in range(family.modules()))
    own = {name: t for name, t in tensors.items() if not (layers and name.startswith(layers))}
    return load(kind, family.text_config() | dict(num_nextn_predict_layers=0) | changes, own)


class Module:
    """The first MTP module: its block, shared_head.norm and head are a model of one layer on given inputs."""

    def __init__(self, family, kind, changes, tensors):
        p = f"model.layers.{family.layer_count()}."
        own = {name.removeprefix(p): t for name, t in tensors.items() if name.startswith(p)}
        self.weights = {name: own.pop(name + ".weight") for name in ("enorm", "hnorm", "eh_proj")}
        self.epsilon = family.config["rms_norm_eps"]
        self.table = own.pop("embed_tokens.weight", tensors["model.embed_tokens.weight"])
        head = own.pop("shared_head.head.weight", tensors["lm_head.weight"])
        norm = own.pop("shared_head.norm.weight")
        renamed = {"model.layers.0." + name: t for name, t in own.items()} | {
            "model.embed_tokens.weight": self.table, "model.norm.weight": norm, "lm_head.weight": head}
        config = family.text_config() | dict(num_nextn_predict_layers=0) | changes | dict(num_hidden_layers=1)
        config["first_k_dense_replace"] = int(family.dense_module)
        if "mlp_layer_types" in config:
            config["mlp_layer_types"] = ["dense" if family.dense_module else "sparse"]
        self.model = load(kind, config, renamed)

    def norm(self, x, name):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weights[name]

    def join(self, tokens, states):
        """The block's input: eh_proj of [enorm(embedding); hnorm(state)]."""
        pair = [self.norm(self.table[tokens], "enorm"), self.norm(states, "hnorm")]
        return torch.cat(pair, -1) @ self.weights["eh_proj"].t()

    def run(self, x):
        """x [B, T, H], causal → (state after shared_head.norm, logits)."""
        out = self.model(inputs_embeds=x, output_hidden_states=True, use_cache=False)
        return out.hidden_states[-1], out.logits


@torch.no_grad()
def greedy(model, ids, count):
    """The ids [1, T] with `count` greedy tokens behind them; every step reads the whole text, no cache is involved."""
    for _ in range(count):
        ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], 1)
    return ids


@torch.no_grad()
def chains(module, watched, text, states, depth):
    """Recursive drafts 1…depth from every row: (tokens by depth, logits by depth).

    A chain from row t reads the true rows 0…t; each further draft adds one row behind them: the draft before it and the
    state after shared_head.norm that made it. All chains run together, padded at the end where no row can see."""
    following, rows = text[0, 1:], text.shape[1] - 1
    true = module.join(following, states[0, :rows])
    state, logits = module.run(true[None])
    state, tokens, outputs = state[0], [logits[0].argmax(-1)], [logits[0]]
    batch = torch.zeros(rows, rows + depth, true.shape[1])
    for t in range(rows):
        batch[t, :t + 1] = true[:t + 1]
    starts = torch.arange(rows)
    for d in range(1, depth):
        batch[starts, starts + d] = module.join(tokens[-1], state)
        watched.rows = torch.zeros(batch.shape[:2], dtype=torch.bool)
        watched.rows[starts, starts + d] = True
        state, logits = (x[starts, starts + d] for x in module.run(batch))
        watched.rows = None
        tokens.append(logits.argmax(-1))
        outputs.append(logits)
    return tokens, outputs


def versions():
    return f"transformers {transformers.__version__}, torch {torch.__version__}, FP32 on a CPU"
