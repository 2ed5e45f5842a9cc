"""The command line."""
import argparse
import os
from pathlib import Path

GROW = "2gb"


def physical_cores() -> int:
    """Cores this process may use; threads of one core count once."""
    cores = set()
    for processor in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(processor))
    return len(cores)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser("Bench/peers/run", description="Compares Foretoken with llama.cpp and ik_llama.cpp: the same "
                                "weights at 8 bits, the same threads and instruction set, runs in turns, medians.")
    p.add_argument("--model", type=Path, metavar="DIR", help="checkpoint folder; left out, the embedded model, enlarged")
    p.add_argument("--grow", default=GROW, metavar="SIZE", help="how large: see foretoken help convert (default: %(default)s)")
    p.add_argument("--threads", type=positive, default=physical_cores(), metavar="N", help="for all (default: %(default)s)")
    p.add_argument("--rounds", type=positive, default=3, metavar="N", help="runs of each contender (default: %(default)s)")
    p.add_argument("--isa", metavar="NAME", help="Foretoken's instruction set (default: avx2 where the others were compiled for "
                   "that at most, or else the best)")
    p.add_argument("--no-servers", action="store_true", help="leave the servers out")
    p.add_argument("--prepare", action="store_true", help="install, write the models, compare their outputs, time nothing")
    p.add_argument("--json", type=Path, metavar="FILE", help="also write all figures as one JSON object")
    p.add_argument("--foretoken", type=Path, metavar="FILE", help="the program to measure (default: built from this repository)")
    p.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return p


if __name__ == "__main__":
    parser().parse_args()
