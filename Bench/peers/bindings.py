"""The C interfaces of llama.cpp, which xllamacpp holds, and of ik_llama.cpp, which ik-llama-cpp-python holds.

Both packages are built for other uses; their shared libraries also export the plain C functions, which are bound here."""
import ctypes
import importlib.util
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

UBATCH = 512
LOG_ERROR = 4
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, c_char_p, c_void_p)


class LayoutError(Exception):
    """A library's structures are not those of the version that this file was written for."""


def _structure(name: str, **fields: Any) -> type[ctypes.Structure]:
    return type(name, (ctypes.Structure,), {"_fields_": list(fields.items())})


# include/llama.h of the version in requirements.txt.
Batch = _structure("Batch", n_tokens=c_int32, token=POINTER(c_int32), embd=POINTER(c_float), pos=POINTER(c_int32),
                   n_seq_id=POINTER(c_int32), seq_id=POINTER(POINTER(c_int32)), logits=POINTER(c_int8))
ModelSettings = _structure(
    "ModelSettings", devices=c_void_p, buffer_overrides=c_void_p, n_gpu_layers=c_int32, split_mode=c_int32, load_mode=c_int32,
    lazy_mode=c_int32, main_gpu=c_int32, tensor_split=c_void_p, progress=c_void_p, progress_data=c_void_p, overrides=c_void_p,
    vocab_only=c_bool, check_tensors=c_bool, use_extra_bufts=c_bool, no_host=c_bool, no_alloc=c_bool, load_mtp=c_bool)
ContextSettings = _structure(
    "ContextSettings", n_ctx=c_uint32, n_batch=c_uint32, n_ubatch=c_uint32, n_seq_max=c_uint32, n_rs_seq=c_uint32,
    n_outputs_max=c_uint32, n_outputs_max_per_seq=c_uint32, n_threads=c_int32, n_threads_batch=c_int32, ctx_type=c_int32,
    rope_scaling_type=c_int32, pooling_type=c_int32, attention_type=c_int32, flash_attn_type=c_int32, rope_freq_base=c_float,
    rope_freq_scale=c_float, yarn_ext_factor=c_float, yarn_attn_factor=c_float, yarn_beta_fast=c_float, yarn_beta_slow=c_float,
    yarn_orig_ctx=c_uint32, defrag_thold=c_float, eval_callback=c_void_p, eval_data=c_void_p, type_k=c_int32, type_v=c_int32,
    moe_cache_size=c_size_t, abort_callback=c_void_p, abort_data=c_void_p, embeddings=c_bool, offload_kqv=c_bool, no_perf=c_bool,
    op_offload=c_bool, swa_full=c_bool, kv_unified=c_bool, samplers=c_void_p, n_samplers=c_size_t, other=c_void_p)


class Library:
    """llama.cpp's interface, as its server uses it, on the processor alone."""
    name = "llama.cpp"
    Batch, Model, Context = Batch, ModelSettings, ContextSettings

    def __init__(self) -> None:
        self.c = self._open()
        signatures = {
            "backend_init": ([], None), "print_system_info": ([], c_char_p), "log_set": ([LOG, c_void_p], None),
            "model_default_params": ([], self.Model), "context_default_params": ([], self.Context),
            "model_load_from_file": ([c_char_p, self.Model], c_void_p), "init_from_model": ([c_void_p, self.Context], c_void_p),
            "free": ([c_void_p], None), "model_get_vocab": ([c_void_p], c_void_p), "vocab_n_tokens": ([c_void_p], c_int32),
            "batch_init": ([c_int32, c_int32, c_int32], self.Batch), "batch_free": ([self.Batch], None),
            "decode": ([c_void_p, self.Batch], c_int32), "synchronize": ([c_void_p], None),
            "get_logits_ith": ([c_void_p, c_int32], POINTER(c_float)), **self._cache_signatures()}
        for name, (arguments, result) in signatures.items():
            function = getattr(self.c, f"llama_{name}")
            function.argtypes, function.restype = arguments, result
        settings = self.c.llama_context_default_params()
        # As their own source sets them; a moved field would show something else.
        if (settings.n_batch, settings.n_ubatch, settings.type_k, settings.type_v, settings.offload_kqv) != (2048, 512, 1, 1, True):
            raise LayoutError(f"{self.name} has other structures than bindings.py expects; see requirements.txt")

    def _open(self) -> ctypes.CDLL:
        places = importlib.util.find_spec("xllamacpp").submodule_search_locations
        return ctypes.CDLL(str(next(Path(places[0]).glob("xllamacpp*.so"))))

    def _cache_signatures(self) -> dict[str, Any]:
        return {"get_memory": ([c_void_p], c_void_p), "memory_seq_rm": ([c_void_p, c_int32, c_int32, c_int32], c_bool)}

    def forget(self, context: int, text: int, position: int) -> None:
        """Drops what a text holds from a position on."""
        self.c.llama_memory_seq_rm(self.c.llama_get_memory(context), text, position, -1)

    def load(self, file: str, load: dict[str, Any]) -> int:
        """A model in anonymous memory; its weights are repacked where the engine has a packing for them."""
        settings = self.c.llama_model_default_params()
        settings.load_mode = 0
        return self.c.llama_model_load_from_file(file.encode(), settings)

    def context(self, model: int, threads: int, positions: int, texts: int, flash: bool) -> int:
        """A context for so many texts, which share `positions`; the cache is F16."""
        settings = self._sized(threads, positions, texts)
        settings.flash_attn_type = int(flash)
        settings.no_perf = True
        return self.c.llama_init_from_model(model, settings)

    def _sized(self, threads: int, positions: int, texts: int) -> Any:
        settings = self.c.llama_context_default_params()
        settings.n_ctx = settings.n_batch = positions
        settings.n_ubatch, settings.n_seq_max = UBATCH, texts
        settings.n_threads = settings.n_threads_batch = threads
        return settings


class IkLibrary(Library):
    """ik_llama.cpp: latent attention in its third form (-mla 3), fused expert networks (-fmoe); with "repack" its own
    interleaved weights (-rtr)."""
    name = "ik_llama.cpp"

    def __init__(self) -> None:
        from ik_llama_cpp import _ctypes_api as api
        self.api = api
        self.Batch, self.Model, self.Context = api.llama_batch, api.llama_model_params, api.llama_context_params
        super().__init__()

    def _open(self) -> ctypes.CDLL:
        return self.api._lib

    def _cache_signatures(self) -> dict[str, Any]:
        return {"kv_cache_seq_rm": ([c_void_p, c_int32, c_int32, c_int32], c_bool)}

    def forget(self, context: int, text: int, position: int) -> None:
        self.c.llama_kv_cache_seq_rm(context, text, position, -1)

    def load(self, file: str, load: dict[str, Any]) -> int:
        """`load["overrides"]` are whole numbers by their name in the file."""
        settings = self.c.llama_model_default_params()
        settings.use_mmap, settings.mla, settings.repack_tensors = False, 3, load["repack"]
        # The last one, without a name, ends the list.
        overrides = (self.api.llama_model_kv_override * (len(load["overrides"]) + 1))()
        for override, (key, value) in zip(overrides, load["overrides"].items()):
            override.tag, override.key, override.value.val_i64 = 0, key.encode(), value
        settings.kv_overrides = overrides
        return self.c.llama_model_load_from_file(file.encode(), settings)

    def context(self, model: int, threads: int, positions: int, texts: int, flash: bool) -> int:
        settings = self._sized(threads, positions, texts)
        settings.flash_attn, settings.mla_attn, settings.fused_moe_up_gate = flash, 3, True
        return self.c.llama_init_from_model(model, settings)


LIBRARIES = {library.name: library for library in (Library, IkLibrary)}
