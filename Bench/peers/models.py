"""The checkpoint to measure, and the GGUF file made of it, kept in the cache folder."""
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf_writer
from checkpoint import Checkpoint, CheckpointError

DEMO = Path(__file__).resolve().parents[2] / "Sources/CForetokenDemo/model"


@dataclass
class Pair:
    """One model in both engines' formats."""
    name: str
    folder: Path
    # The same weights under a config.json that routes by the best experts of all, not by groups of experts first.
    without_groups: Path
    gguf: Path
    gguf_bytes_per_token: int
    ik_overrides: dict[str, int]
    mtp_modules: int
    # The MTP module for llama.cpp; none where its graph does not fit the model.
    module: Path | None


def _fingerprint(folder: Path, by_content: bool) -> str:
    """Changes when the weights do. Large files are told by size and time."""
    digest = hashlib.sha256()
    for file in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        if not file.exists():
            raise CheckpointError(f"{folder}: {file.name} is missing")
        digest.update(file.name.encode())
        digest.update(file.read_bytes() if by_content else f"{file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:10]


def _grown(program: Path, size: str, store: Path) -> Path:
    """The embedded model, enlarged."""
    folder = store / f"{size.replace('=', '').replace(',', '-')}-{_fingerprint(DEMO, by_content=True)}"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        done = subprocess.run([str(program), "convert", "--grow", size, str(DEMO), str(unfinished)], text=True, capture_output=True)
        if done.returncode != 0:
            raise CheckpointError(f"the enlargement {size} failed: {done.stderr.strip()}")
        unfinished.rename(folder)
    return folder


def write_gguf(folder: Path, store: Path, is_module: bool = False) -> tuple[Path, gguf_writer.Plan]:
    """The checkpoint's GGUF file in `store`, or that of its MTP module, written unless it is there, and what is in it."""
    store.mkdir(parents=True, exist_ok=True)
    part = "module" if is_module else "served"
    file = store / f"{folder.resolve().name}-{_fingerprint(folder, by_content=False)}-{part}-q8_0.gguf"
    try:
        return file, gguf_writer.write(Checkpoint(folder), file, is_module)
    except KeyError as error:
        raise CheckpointError(f"{folder}: config.json does not say {error}") from error


def _without_groups(folder: Path, config: dict[str, Any], store: Path) -> Path:
    if config["n_group"] == 1:
        return folder
    twin = store / f"{folder.resolve().name}-{_fingerprint(folder, by_content=False)}-without-groups"
    twin.mkdir(exist_ok=True)
    for file in folder.resolve().iterdir():
        link = twin / file.name
        if file.name != "config.json" and not link.exists():
            link.symlink_to(file)
    (twin / "config.json").write_text(json.dumps(config | {"n_group": 1, "topk_group": 1}))
    return twin


def prepare(program: Path, model: Path | None, size: str, cache: Path) -> Pair:
    store = cache / "models"
    store.mkdir(parents=True, exist_ok=True)
    folder = model or _grown(program, size, store)
    file, plan = write_gguf(folder, store)
    name = folder.resolve().name if model else f"embedded model, {size}"
    config = plan.config
    modules = config.get("num_nextn_predict_layers") or 0
    # llama.cpp's graph of a module wants exactly these.
    module = write_gguf(folder, store, is_module=True)[0] if modules == 1 and config.get("q_lora_rank") else None
    return Pair(name, folder, _without_groups(folder, config, store), file, plan.bytes_per_token(),
                gguf_writer.ik_overrides(config), modules, module)
