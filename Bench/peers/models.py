"""The checkpoint to measure, and the GGUF file made of it, kept in the cache folder."""
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import gguf_writer
from checkpoint import Checkpoint, CheckpointError

DEMO = Path(__file__).resolve().parents[2] / "Sources/CForetokenDemo/model"


@dataclass
class Pair:
    """One model in both engines' formats."""
    name: str
    folder: Path
    gguf: Path
    gguf_bytes_per_token: int
    mtp_modules: int


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


def prepare(program: Path, model: Path | None, size: str, cache: Path) -> Pair:
    store = cache / "models"
    store.mkdir(parents=True, exist_ok=True)
    folder = model or _grown(program, size, store)
    source = Checkpoint(folder)
    file = store / f"{folder.resolve().name}-{_fingerprint(folder, by_content=False)}-q8_0.gguf"
    try:
        plan = gguf_writer.write(source, file)
    except KeyError as error:
        raise CheckpointError(f"{folder}: config.json does not say {error}") from error
    name = folder.resolve().name if model else f"embedded model, {size}"
    return Pair(name, folder, file, plan.bytes_per_token(), source.config.get("num_nextn_predict_layers") or 0)
