"""Compares ForetokenTemplate with jinja2, set up as Hugging Face transformers sets it up. See `run`.

Same text, or both fail, or ours refuses by name what it does not support; the texts of messages must be marked as input, and
nothing else. Templates are rendered unchanged, and mutated."""

import argparse
import collections
import datetime
import functools
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

from conversations import contexts

NOW = datetime.datetime.fromtimestamp(1_750_000_000)


class Generation(jinja2.ext.Extension):
    """transformers' `generation` block, which here writes its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_write"), [], [], body).set_lineno(line)

    def _write(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return env


def published(folder):
    """Templates in the package's descriptions of models, by model."""
    for path in sorted(pathlib.Path(folder).rglob("*.json")):
        try:
            found = json.loads(path.read_text())
        except ValueError:
            continue
        for model in found if isinstance(found, list) else [found]:
            if isinstance(model, dict) and isinstance(model.get("chat_template"), str) and model["chat_template"].strip():
                yield f"published {model.get('model_name')}", model["chat_template"]


def shapes(folder):
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        yield f"shape {path.stem}", path.read_text()


TOKEN = re.compile(r"\{[{%#][-+]?|[-+]?[}%#]\}|'[^'\n]*'|\"[^\"\n]*\"|\w+|\s+|.", re.S)
EXTRAS = ["-", "+", "not ", "|trim", "[0]", "[-1]", "[1:]", "is defined", "'x'", "0", "none", "\n", "  ", "{%- if true %}",
          "{% endif %}", "~", "and ", "loop.last", "|tojson", "|length", "(", ")", "{# c #}", "{{ messages }}", "|upper"]


def mutated(source, rng):
    """The source with a few pieces deleted, doubled, swapped or added."""
    tokens = TOKEN.findall(source)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(tokens))
        what = rng.randrange(5)
        if what == 0:
            del tokens[at]
        elif what == 1:
            tokens.insert(at, tokens[at])
        elif what == 2:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif what == 3:
            tokens.insert(at, rng.choice(EXTRAS))
        else:
            tokens[at] = rng.choice(tokens)
        if not tokens:
            tokens = ["x"]
    return "".join(tokens)


@functools.lru_cache(maxsize=4)
def compiled(env, source):
    return env.from_string(source)


def expected(env, source, variables):
    try:
        return compiled(env, source).render(**variables), None
    except RecursionError:
        return None, "recursion"
    except Exception as error:  # Whatever Python throws, the template cannot be rendered.
        return None, f"{type(error).__name__}: {error}"


def jobs(options, rng):
    sources = list(itertools.chain(published(options.packages), shapes(options.shapes)))
    cases = list(contexts())
    for name, source in sources:
        for case, variables in cases:
            yield name, case, source, variables, False
    for _ in range(options.mutations):
        name, source = rng.choice(sources)
        case, variables = rng.choice(cases)
        yield name, case, mutated(source, rng), variables, True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("probe")
    parser.add_argument("shapes")
    parser.add_argument("packages")
    parser.add_argument("--mutations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    env = environment()
    counts = collections.Counter()
    refusals = collections.Counter()
    failures = []
    work = list(jobs(options, rng))
    lines = "".join(json.dumps({"template": w[2], "variables": w[3]}, ensure_ascii=True) + "\n" for w in work)
    answers = subprocess.run([options.probe], input=lines, capture_output=True, text=True)
    found = answers.stdout.split("\n")[:-1]
    if answers.returncode or len(found) != len(work):
        print(f"the probe ended with {answers.returncode} after {len(found)} of {len(work)} templates")
        print("FAILED:", *work[len(found)][:2], work[len(found)][2][:2000], sep="\n")
        print(f"{len(found)} passed, 1 failed")
        sys.exit(1)
    for (name, case, source, variables, is_mutated), line in zip(work, found):
        text, error = expected(env, source, variables)
        ours = json.loads(line)
        group = "mutated" if is_mutated else "unchanged"
        if "kind" in ours and ours["kind"] in ("unsupported", "limit"):
            refusals[group, re.sub(r"^line \d+: ", "", ours["error"])] += 1
            counts[group, "refused"] += 1
        elif text is not None and ours.get("text") == text:
            counts[group, "same text"] += 1
        elif text is None and "error" in ours:
            counts[group, "both fail"] += 1
        else:
            counts[group, "DIFFERENT"] += 1
            failures.append((name, case, source if is_mutated else "", text, error, ours))
    for name, case, source, text, error, ours in failures[:20]:
        print(f"DIFFERENT: {name}: {case}")
        if source:
            print("  template:", json.dumps(source)[:3000])
        print("  jinja2:  ", json.dumps(text)[:1200] if text is not None else error)
        print("  ours:    ", json.dumps(ours)[:1200])
    for (group, what), count in sorted(counts.items()):
        print(f"{group}: {what}: {count}")
    for (group, reason), count in refusals.most_common(12):
        print(f"  refused ({group}), {count} times: {reason}")
    names = sorted({w[0] for w in work})
    print(f"{len(names)} templates: {', '.join(names)}")
    print(f"{len(work) - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
