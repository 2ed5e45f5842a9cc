"""Checkpoint folders: config.json, and safetensors read as FP32 whatever their stored type."""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 128
SUFFIX = "_scale_inv"


class CheckpointError(Exception):
    """The folder cannot be used; the text says why."""


def _fp8_values() -> np.ndarray:
    """The value of each of the 256 E4M3 codes (no infinities; 0x7F and 0xFF are NaN)."""
    codes = np.arange(256)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    size = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    size[codes & 127 == 127] = np.nan
    return np.where(codes < 128, size, -size).astype(np.float32)


FP8 = _fp8_values()
WIDTH = {"F8_E4M3": 1, "BF16": 2, "F16": 2, "F32": 4}


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's table of tensors, and where their data begins."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(100_000_000, file.stat().st_size - 8):
            raise CheckpointError(f"{file.name} is not a safetensors file: its header would take {length} bytes")
        try:
            table = json.loads(stream.read(length))
        except ValueError as error:
            raise CheckpointError(f"{file.name} is not a safetensors file: its header is not JSON") from error
    table.pop("__metadata__", None)
    return table, 8 + length


class Checkpoint:
    """All tensors of a folder by their official names, read from the files when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{folder}: config.json cannot be read ({error})") from error
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise CheckpointError(f"{folder}: there is no .safetensors file")
        self._places: dict[str, tuple[np.memmap, int, dict[str, Any]]] = {}
        for file in files:
            table, start = _header(file)
            data = np.memmap(file, np.uint8, "r")
            self._places.update({name: (data, start, entry) for name, entry in table.items()})

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def shape(self, name: str) -> list[int]:
        return list(self._place(name)[2]["shape"])

    def _place(self, name: str) -> tuple[np.memmap, int, dict[str, Any]]:
        if name not in self._places:
            raise CheckpointError(f"{self.folder}: the tensor {name} is missing")
        return self._places[name]

    def tensor(self, name: str) -> np.ndarray:
        """The tensor in FP32; FP8 weights multiplied by the scale of the block ⌊row/128⌋, ⌊column/128⌋."""
        data, start, entry = self._place(name)
        kind, shape = entry["dtype"], entry["shape"]
        begin, end = entry["data_offsets"]
        if kind not in WIDTH:
            raise CheckpointError(f"{name} has the type {kind}; readable are {', '.join(WIDTH)}")
        if end - begin != math.prod(shape) * WIDTH[kind] or start + end > len(data):
            raise CheckpointError(f"{name}: {end - begin} bytes do not fit the shape {shape} of {kind}, or the file is cut off")
        raw = data[start + begin : start + end]
        if kind == "F8_E4M3":
            return FP8[raw].reshape(shape) * self._scales(name, shape)
        if kind == "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        return raw.view("<f2" if kind == "F16" else "<f4").astype(np.float32).reshape(shape)

    def _scales(self, name: str, shape: list[int]) -> np.ndarray:
        scale = self.tensor(name + SUFFIX)
        wanted = tuple(-(-size // BLOCK) for size in shape)
        if scale.shape != wanted:
            raise CheckpointError(f"{name}{SUFFIX} has the shape {scale.shape} where {wanted} is due")
        return scale.repeat(BLOCK, 0)[: shape[0]].repeat(BLOCK, 1)[:, : shape[1]]
