"""golden.json and golden.safetensors of a family."""
import json
import os

import torch

import margins
import oracle
import storage
import weights
from families import Family

ROUTER_MARGIN = {"sigmoid": 2e-5, "softmax": 4e-6}
GREEDY_MARGIN, DRAFT_MARGIN, AGREEMENT, DEPTH = 5e-3, 3e-4, 1e-4, 4


class Unclear(Exception):
    """A choice of this seed is a near tie."""


def smallest_gap(logits):
    best = logits.topk(2, -1)[0]
    return float((best[..., 0] - best[..., 1]).min())


def agree(what, ours, theirs):
    difference = float((ours - theirs).abs().max() / theirs.square().mean().sqrt())
    if not difference < AGREEMENT:
        raise SystemExit(f"{what} differ by {difference:.1e} of the root mean square")


@torch.no_grad()
def main_results(family, model, watch, ids, i):
    """(text, states after model.norm, entry of golden.json, tensors) of a prompt."""
    T = ids.shape[1]
    text = oracle.greedy(model, ids, family.new_tokens)
    norms = []

    def note(layer, args, out):
        norms.append((out[0] if isinstance(out, tuple) else out).norm(dim=-1))

    hooks = [layer.register_forward_hook(note) for layer in (model.model.embed_tokens, *model.model.layers)]
    watch.lists = {}
    out = model(text, output_hidden_states=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    logits, tensors = out.logits[0], {"hidden_norms": torch.stack([n.view(-1)[:T] for n in norms])}
    if not torch.equal(logits[T - 1:-1].argmax(-1), text[0, T:]):
        raise SystemExit("the greedy text is not that of one pass over all of it")
    if i == 0:
        tensors["logits"] = logits[:T]
    else:
        best = logits[:T].topk(16, -1)
        tensors |= {"top16_ids": best[1].to(torch.int32), "top16_values": best[0]}
    tensors |= {name: t[:T] for name, t in watch.lists.items()}
    watch.lists = None
    entry = dict(prompt_ids=ids[0].tolist(), greedy_ids=text[0, T:].tolist(), min_greedy_margin=smallest_gap(logits[T - 1:-1]))
    return text, out.hidden_states[-1], entry, tensors


def check(family, watch, entries):
    """Raises where a choice is unclear."""
    c = family.config
    kind = "sigmoid" if c["topk_method"] == "noaux_tc" else "softmax"
    for what, found, least in (
            ("router", watch.router, ROUTER_MARGIN[kind]), ("index", watch.index, family.index_margin),
            ("greedy token", min(e["min_greedy_margin"] for e in entries), GREEDY_MARGIN),
            ("draft", min(e.get("min_draft_margin", 1) for e in entries), DRAFT_MARGIN)):
        if found < least:
            raise Unclear(f"{what} {found:.1e}")


def check_epsilon(family, model, ids, logits):
    """The fixture must tell rms_norm_eps of the latents' norms from transformers' 1e-6."""
    oracle.set_epsilon(model, 1e-6)
    with torch.no_grad():
        difference = float((model(ids).logits[0] - logits).abs().max())
    oracle.set_epsilon(model, family.config["rms_norm_eps"])
    if difference < 1e-2:
        raise SystemExit(f"{family.name}: ε 1e-6 in place of 1e-5 changes logits by {difference:.1e} only")
    return difference


@torch.no_grad()
def results(family, folder, seed):
    """(content of golden.json, tensors), or Unclear."""
    tensors = storage.read(folder)
    (kind, changes), *others = family.reference.items()
    model = oracle.main_model(family, kind, changes, tensors)
    watch = margins.Watch(family, model)
    g, runs = torch.Generator().manual_seed(1000 + seed), []
    for i, length in enumerate(family.lengths):
        ids = torch.randint(2, family.config["vocab_size"], (1, length), generator=g)
        runs.append(main_results(family, model, watch, ids, i))
        check(family, watch, [run[2] for run in runs])
    entries, out = [run[2] for run in runs], {f"p{i}.{name}": t for i, run in enumerate(runs) for name, t in run[3].items()}
    for other, its_changes in others:
        twin = oracle.main_model(family, other, its_changes, tensors)
        for text, *_ in runs:
            agree(f"logits of {kind} and {other}", twin(text).logits[0], model(text).logits[0])
    content = dict(reference=oracle.versions(), classes=list(family.reference), seed=seed)
    if family.gains and family.config["rms_norm_eps"] != 1e-6 and not family.index_margin:
        content["epsilon_difference"] = check_epsilon(
            family, model, torch.tensor([entries[0]["prompt_ids"]]), out["p0.logits"])
    content |= dict(min_router_margin=watch.router, min_index_margin=watch.index if family.index_margin else None)
    if family.modules():
        add_drafts(family, kind, changes, tensors, runs, watch, content)
    else:
        for entry in entries:
            entry |= dict(mtp_greedy_drafts=[], mtp_recursive_drafts=None)
    return content | dict(prompts=entries), out


def add_drafts(family, kind, changes, tensors, runs, watch, content):
    """The MTP module's drafts, into the entries."""
    module = oracle.Module(family, kind, changes, tensors)
    watched = margins.Watch(family, module.model)
    for text, states, entry, _ in runs:
        tokens, logits = oracle.chains(module, watched, text, states, DEPTH)
        entry |= dict(mtp_greedy_drafts=[tokens[0].tolist()], mtp_recursive_drafts=dict(post=[t.tolist() for t in tokens]),
                      min_draft_margin=min(map(smallest_gap, logits)))
        watched.router, watched.index = min(watched.router, watch.router), min(watched.index, watch.index)
        check(family, watched, [entry])
    content |= dict(min_router_margin=watched.router, min_index_margin=watched.index if family.index_margin else None)


def check_method(root):
    """The module as a model of one layer, and its chains, must give the drafts of fp8-ragged, which transformers' own MtpModel
    and the torch model of Bench/demo-model made."""
    folder = os.path.join(root, "fp8-ragged")
    with open(os.path.join(folder, "config.json")) as file:
        family = Family("fp8-ragged", json.load(file), {"DeepseekV3": {}})
    with open(os.path.join(folder, "golden.json")) as file:
        prompt = json.load(file)["prompts"][0]
    tensors = storage.read(folder)
    model = oracle.main_model(family, "DeepseekV3", {}, tensors)
    module = oracle.Module(family, "DeepseekV3", {}, tensors)
    with torch.no_grad():
        text = oracle.greedy(model, torch.tensor([prompt["prompt_ids"]]), len(prompt["greedy_ids"]))
        states = model.model(text).last_hidden_state
        tokens, _ = oracle.chains(module, margins.Watch(family, module.model), text, states, DEPTH)
    drafts = [t.tolist() for t in tokens]
    if text[0, -len(prompt["greedy_ids"]):].tolist() != prompt["greedy_ids"] or drafts != prompt["mtp_recursive_drafts"]["post"]:
        raise SystemExit("the module by hand and fp8-ragged's drafts differ")


def make(family, root, seeds=400):
    """Writes the family's folder from the first seed that is clear."""
    folder = os.path.join(root, family.name)
    for seed in range(seeds):
        storage.write(folder, family, weights.random_weights(family, seed))
        try:
            content, tensors = results(family, folder, seed)
        except Unclear as reason:
            print(f"{family.name}, seed {seed}: {reason}", flush=True)
            continue
        storage.save({name: t.contiguous().clone() for name, t in tensors.items()}, os.path.join(folder, "golden.safetensors"))
        storage.write_golden(folder, content)
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
        print(f"{family.name}: seed {seed}, {size} bytes", flush=True)
        return
    raise SystemExit(f"{family.name}: no seed gave clear margins")
