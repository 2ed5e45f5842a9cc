"""The figures as plain tables."""
from typing import Any

from figures import Spread, table

# A run in which others took more than this part of a core is called disturbed.
DISTURBED = 0.1


def agreement(found: dict[str, Any]) -> str:
    rows = [[name, f"{value:.3f}"] for name, value in found["perplexity"].items()]
    distance = found["logprob_distance"]
    same = [f"{', '.join(map(str, counts))} ({name})" for name, counts in found["same_tokens"].items()]
    return "\n".join([
        table([f"the same {found['tokens']} tokens of held-out code", "perplexity"], rows), "",
        f"llama.cpp's log-probabilities of a token differ by {distance['mean']:.3f} nats on average, "
        f"{distance['largest']:.2f} at most.",
        f"Of {found['continuation']} greedy tokens, those before the first that differs from Foretoken's on the stored weights: "
        f"{'; '.join(same)}.", ""])


def _spread(value: dict[str, Any]) -> str:
    return str(Spread(**value))


def _decode(found: dict[str, Any]) -> str:
    rows, notes = [], []
    for name, entry in found["decode"].items():
        size = [f"{entry['bytes_per_token'] / 1e6:.0f}", f"{entry['bytes_per_second'] / 1e9:.1f}", f"{entry['roof_share']:.2f}"] \
            if "bytes_per_token" in entry else ["", "", ""]
        rows.append([name, _spread(entry["tokens_per_second"]), *size, _spread(entry["over_llama.cpp"])])
        if "over_off" in entry:
            drafted, accepted = (sum(column) for column in zip(*entry["drafts"]))
            notes.append(f"\n{name}: {_spread(entry['over_off'])} of the same without drafts; {accepted} of {drafted} drafts held.")
    return table(["decode, greedy, code", "tokens/s", "MB/token", "GB/s", "of roof", "over llama.cpp"], rows) + "".join(notes)


def _prompt(found: dict[str, Any]) -> str:
    rows = [[name, _spread(entry["tokens_per_second"]), _spread(entry["over_llama.cpp"])]
            for name, entry in found["prompt"].items()]
    return table([f"prompt of {found['prompt_tokens']} tokens", "tokens/s", "over llama.cpp"], rows)


def _widths(found: dict[str, Any]) -> str:
    widths = found["widths"]
    columns = list(widths["llama.cpp"])
    rows = [[name, *(_spread(v) if isinstance(v, dict) else f"{v:.2f}" if v else "" for v in map(entry.get, columns))]
            for name, entry in widths.items()]
    return table(["T(rows) / T(1)", *columns], rows)


def _others(found: dict[str, Any]) -> str:
    """Both engines wait for their slowest thread, so that a neighbour on one core halves a run."""
    if "cores taken by others" not in found:
        return "Whether other processes disturbed the runs was not recorded."
    taken = sorted(value for runs in found["cores taken by others"].values() for value in runs)
    disturbed = sum(value > DISTURBED for value in taken)
    if not disturbed:
        return "No run was disturbed by other processes."
    return (f"Other processes disturbed {disturbed} of {len(taken)} runs, the worst by {taken[-1]:.2f} cores: "
            "run again on an idle machine.")


def speeds(found: dict[str, Any]) -> str:
    machine, settings = found["machine"], found["settings of llama.cpp"]
    roof = max(point["per_second"] for point in machine["roofs"]["read"])
    chosen = ", ".join(f"{kind}: flash attention {'on' if on else 'off'}" for kind, on in settings["flash"].items())
    return "\n\n".join([
        f"{machine['processor']}, {machine['threads']} threads, read roof {roof / 1e9:.1f} GB/s; {found['model']}; {found['date']}",
        f"Medians and quartiles of {found['rounds']} runs each, in turns; ratios run by run. llama.cpp: {chosen}.",
        _decode(found), _prompt(found), _widths(found), _others(found)])
