"""The figures as plain tables."""
from typing import Any

from contenders import DECODE, PROMPT
from figures import Spread, table

# A run in which others took more than this part of a core is called disturbed.
DISTURBED = 0.1


def agreement(found: dict[str, Any]) -> str:
    rows = [[name, f"{value:.3f}"] for name, value in found["perplexity"].items()]
    distance = [f"{name}'s by {d['mean']:.3f} nats on average, {d['largest']:.2f} at most"
                for name, d in found["logprob_distance"].items()]
    same = [f"{', '.join(map(str, counts))} ({name})" for name, counts in found["same_tokens"].items()]
    return "\n".join([
        table([f"the same {found['tokens']} tokens of held-out code", "perplexity"], rows), "",
        f"A token's log-probability differs from Foretoken's: {'; '.join(distance)}.",
        f"Of {found['continuation']} greedy tokens, those before the first that differs from Foretoken's on the stored weights: "
        f"{'; '.join(same)}.",
        *(["ik_llama.cpp is compared with Foretoken without groups of experts, since it ignores them."]
          if "Foretoken, without groups" in found["perplexity"] else []), ""])


def _spread(value: dict[str, Any]) -> str:
    return str(Spread(**value))


def _speed(found: dict[str, Any], measure: str, title: str) -> str:
    """One measure of all contenders, with ratios over each of the others."""
    entries = found["speeds"][measure]
    peers = [name for name in found["settings"] if name in entries]
    weighed, rows, notes = measure == DECODE, [], []
    for name, entry in entries.items():
        size = []
        if weighed:
            size = [f"{entry['bytes_per_token'] / 1e6:.0f}", f"{entry['bytes_per_second'] / 1e9:.1f}", f"{entry['roof_share']:.2f}"] \
                if "bytes_per_token" in entry else ["", "", ""]
        rows.append([name, _spread(entry["tokens_per_second"]), *size, *(_spread(entry["over"][peer]) for peer in peers)])
        if "over_off" in entry:
            drafted, accepted = (sum(column) for column in zip(*entry["drafts"]))
            notes.append(f"\n{name}: {_spread(entry['over_off'])} of the same without drafts; {accepted} of {drafted} drafts held.")
    header = [title, "tokens/s", *(["MB/token", "GB/s", "of roof"] if weighed else []), *(f"over {peer}" for peer in peers)]
    return table(header, rows) + "".join(notes)


def _widths(found: dict[str, Any]) -> str:
    widths = found["widths"]
    columns = list(next(iter(widths.values())))
    rows = [[name, *(_spread(v) if isinstance(v, dict) else f"{v:.2f}" if v else "" for v in map(entry.get, columns))]
            for name, entry in widths.items()]
    return table(["T(rows) / T(1)", *columns], rows)


def _identical(found: dict[str, Any]) -> str:
    counts = found["identical answers"].items()
    return ("Answers to several clients that are those to the same request alone: "
            + "; ".join(f"{same} of {compared} ({name})" for name, (same, compared) in counts) + ".") if counts else ""


def _others(found: dict[str, Any]) -> str:
    """All engines wait for their slowest thread, so that a neighbour on one core halves a run."""
    taken = sorted(value for runs in found["cores taken by others"].values() for value in runs)
    disturbed = sum(value > DISTURBED for value in taken)
    if not disturbed:
        return "No run was disturbed by other processes."
    return (f"Other processes disturbed {disturbed} of {len(taken)} runs, the worst by {taken[-1]:.2f} cores: "
            "run again on an idle machine.")


def _settings(found: dict[str, Any]) -> str:
    lines = [f"{name}: {text}" for name, text in found["versions"].items()]
    for name, settings in found["settings"].items():
        if "tokens drafted" in settings:
            lines.append(f"{name}: at most {settings['tokens drafted']} tokens drafted")
            continue
        flash = ", ".join(f"{kind} with flash attention {'on' if on else 'off'}" for kind, on in settings["flash attention"].items())
        repack = {True: ", weights repacked", False: ", weights as they are", None: ""}[settings["load"].get("repack")]
        lines.append(f"{name}: {flash}{repack}")
    return "\n".join(lines)


def speeds(found: dict[str, Any]) -> str:
    machine = found["machine"]
    roof = max(point["per_second"] for point in machine["roofs"]["read"])
    titles = {DECODE: "decoding, greedy, code", PROMPT: f"prompt of {found['prompt_tokens']} tokens"}
    return "\n\n".join([
        f"{machine['processor']}, {machine['threads']} threads, read roof {roof / 1e9:.1f} GB/s; {found['model']}; {found['date']}",
        _settings(found), f"Medians and quartiles of {found['rounds']} runs each, in turns; ratios run by run.",
        *(_speed(found, measure, titles.get(measure, measure)) for measure in found["speeds"]),
        *filter(None, [_identical(found), _widths(found), _others(found)])])
