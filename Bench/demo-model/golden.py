#!/usr/bin/env python3
"""Reference results for an exported folder, by Hugging Face transformers in FP32; see the README beside the demo's goldens.

    golden.py FOLDER --data DIR --out DIR [--limit PROMPTS]
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

import drafts
import reference
from checkpoint import read_model
from prompts import dialogue, held_out_prompts, tokenizer_of
from tokenise import EOS

TOLERANCE = 1e-3
NEW_TOKENS = 64
CONVENTIONS = dict(
    mtp_hidden="h_t: main hidden state after model.norm",
    mtp_input="eh_proj(cat(enorm(embed(token[t+1])), hnorm(h_t))), rope position t, own KV cache, position 0 not masked",
    draft="mtp_greedy_drafts[j][t]: argmax of MTP module j at row t of prompt + continuation; predicts token t+2+j",
    recursive="mtp_recursive_drafts[variant][d-1][t]: draft d started at t, predicts token t+1+d; fed back is the module's "
              "state after ('post') or before ('pre') shared_head.norm; draft d is at rope position t+d-1",
    eos="EOS does not stop greedy_ids; first_eos is its index")


def agree(what, ours, theirs):
    difference = float((ours - theirs).abs().max())
    if not difference < TOLERANCE:
        raise SystemExit(f"{what}: our torch model and transformers differ by {difference}")
    return difference


def choose_prompts(data, tokenizer):
    all_prompts = held_out_prompts(data, tokenizer, 4, 96, seed=11)
    lengths = {0: 96, 1: 80, 2: 64, 4: 48, 5: 96, 8: 72, 9: 33}
    chosen = [dict(all_prompts[i], ids=all_prompts[i]["ids"][:n]) for i, n in lengths.items()]
    return chosen + [dict(domain="chat", repo="", path="", mid_file=False, ids=dialogue(tokenizer))]


@torch.no_grad()
def layer_tensors(model, hf, ids):
    """Residual stream and routing of one prompt, checked against transformers layer by layer."""
    states, model.record = [], {}
    final = model.body(ids, states)
    if model.modules:
        model.mtp(0, final[:, :-1], ids[:, 1:])
    theirs = hf(ids, output_hidden_states=True).hidden_states
    for layer, (a, b) in enumerate(zip(states[:-1], theirs)):
        agree(f"input of layer {layer}", a, b)
    agree("final state", final, theirs[-1])
    hidden = torch.stack([x[0] for x in states])
    out = {"hidden": hidden, "hidden_norms": hidden.norm(dim=-1), "final_hidden": final[0]}
    for layer, chosen in model.record.items():
        out[f"layer{layer}.experts"] = torch.cat(chosen)[0].sort(-1)[0].to(torch.int32)
    model.record = None
    return out


@torch.no_grad()
def drafts_of(model, hf, text):
    """(greedy drafts of each module, recursive drafts of a single one, tensors, largest difference to transformers)"""
    state = h = model.body(text)
    greedy, tensors, worst = [], {}, 0.0
    for j, theirs in enumerate(reference.mtp_states(hf, text)):
        n = text.shape[1] - 1 - j
        _, state = model.mtp(j, state[:, :n], text[:, 1 + j:])
        logits = hf.lm_head(theirs)[0]
        worst = max(worst, agree(f"logits of MTP module {j}", model.head(state)[0], logits))
        top = logits.topk(4, -1)
        tensors |= {f"mtp{j}_top4_ids": top[1].to(torch.int32), f"mtp{j}_top4_values": top[0]}
        greedy.append(logits.argmax(-1).tolist())
    recursive = {f: [t[0].tolist() for t, _ in drafts.draft(model, text, h, 4, f)] for f in (drafts.POST, drafts.PRE)}
    return greedy, recursive if model.modules == 1 else None, tensors, worst


def entry(index, prompt, tokenizer, model, hf):
    """(JSON entry, tensors) of one prompt."""
    ids = torch.tensor([prompt["ids"]])
    T = ids.shape[1]
    new, logits = reference.greedy(hf, ids, NEW_TOKENS)
    text = torch.tensor([prompt["ids"] + new])
    with torch.no_grad():
        worst = agree("main logits", model.head(model.body(text))[0], logits)
    best = logits[T - 1:-1].topk(2, -1)[0]
    margins = best[:, 0] - best[:, 1]
    top = logits[:min(64, T)].topk(16, -1)
    tensors = {"top16_ids": top[1].to(torch.int32), "top16_values": top[0], "last_logits": logits[T - 1]}
    greedy, recursive, mtp, worst_mtp = drafts_of(model, hf, text)
    tensors |= mtp
    out = dict(
        index=index, domain=prompt["domain"], repo=prompt["repo"], path=prompt["path"], mid_file=prompt["mid_file"],
        prompt_ids=prompt["ids"], prompt_text=tokenizer.decode(prompt["ids"][1:], skip_special_tokens=False),
        greedy_ids=new, greedy_text=tokenizer.decode(new, skip_special_tokens=False),
        first_eos=new.index(EOS) if EOS in new else None, greedy_top1_minus_top2=[round(float(x), 5) for x in margins],
        min_greedy_margin=float(margins.min()), mtp_greedy_drafts=greedy, mtp_recursive_drafts=recursive)
    if index == 0:
        tensors |= layer_tensors(model, hf, ids)
        out["hidden_norms_last_token"] = [round(float(x), 5) for x in tensors["hidden_norms"][:, -1]]
    print(f"prompt {index}: largest difference main {worst:.1e}, MTP {worst_mtp:.1e}; "
          f"smallest greedy margin {out['min_greedy_margin']:.4f}", flush=True)
    return out, {f"p{index}.{name}": t.contiguous().clone() for name, t in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--limit", type=int, help="only the first prompts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, hf, tokenizer = read_model(options.folder), reference.load(options.folder), tokenizer_of(options.folder)
    entries, tensors = [], {}
    for index, prompt in enumerate(choose_prompts(options.data, tokenizer)[:options.limit]):
        out, more = entry(index, prompt, tokenizer, model, hf)
        entries.append(out)
        tensors |= more
    reference.discard(hf)
    os.makedirs(options.out, exist_ok=True)
    save_file(tensors, os.path.join(options.out, "golden.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(options.out, "golden.json"), "w") as file:
        json.dump(dict(model="foretoken-demo", reference=reference.versions(), conventions=CONVENTIONS, prompts=entries), file,
                  ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
