"""The table of the relatives: config.json as its publisher writes it, how the files are stored, who the reference is.

Sizes are scaled down; what the tests are about is kept: spellings, head proportions, ε, rope, routers, types, file names.
"""
from dataclasses import dataclass, field

COMMON = dict(
    attention_bias=False, attention_dropout=0.0, hidden_act="silu", initializer_range=0.02, tie_word_embeddings=False,
    torch_dtype="bfloat16", transformers_version="4.57.1", use_cache=True)
V3 = dict(
    COMMON, architectures=["DeepseekV3ForCausalLM"], bos_token_id=0, eos_token_id=1, moe_layer_freq=1, norm_topk_prob=True,
    scoring_func="sigmoid", topk_method="noaux_tc", rms_norm_eps=1e-6, rope_scaling=None)
FP8 = dict(activation_scheme="dynamic", fmt="e4m3", quant_method="fp8", weight_block_size=[128, 128])


@dataclass(frozen=True)
class Family:
    """One checkpoint. `reference`: {class of transformers: changes to config.json for it}, the first one makes the results."""
    name: str
    config: dict
    reference: dict
    storage: str = "bf16"                        # bf16, fp8 or int4: a writer in storage.py
    dense_module: bool = False                   # whether the MTP module's block has a dense MLP
    own_copies: bool = False                     # whether it has an embedding and a head of its own, unlike the main ones
    module_file: str = ""                        # file of the module's tensors, which the index does not list
    text_prefix: str = ""                        # written before every name of the text model
    gains: dict = field(default_factory=dict)    # end of a name → factor of its random values
    lengths: tuple = (16, 40, 80)                  # prompt tokens
    new_tokens: int = 32
    index_margin: float = 0.0                    # least distance of a chosen and a refused key's score

    def layer_count(self):
        return self.config["num_hidden_layers"]

    def modules(self):
        return self.config.get("num_nextn_predict_layers", 0)

    def dense_layers(self):
        kinds = self.config.get("mlp_layer_types")
        return kinds.count("dense") if kinds else self.config["first_k_dense_replace"]

    def is_dense(self, layer):
        return self.dense_module if layer >= self.layer_count() else layer < self.dense_layers()

    def has_indexer(self, layer):
        """Whether the files hold an indexer for the layer; a module has one of its own."""
        c = self.config
        if "index_topk" not in c:
            return False
        if layer >= self.layer_count() or "index_topk_freq" not in c:
            return True
        return max(layer - c["index_skip_topk_offset"] + 1, 0) % c["index_topk_freq"] == 0

    def text_config(self):
        """The text model's keys, wherever config.json has them."""
        return self.config


# 192/64/256 as 24/8/32; no scoring_func, no first_k_dense_replace, no rope_theta at the top.
GLM_FLASH = dict(
    COMMON, architectures=["Glm4MoeLiteForCausalLM"], model_type="glm4_moe_lite", vocab_size=304, hidden_size=32,
    num_hidden_layers=3, mlp_layer_types=["dense", "sparse", "sparse"], intermediate_size=48, moe_intermediate_size=10,
    n_routed_experts=8, num_experts_per_tok=3, n_group=1, topk_group=1, n_shared_experts=1, norm_topk_prob=True,
    routed_scaling_factor=1.8, topk_method="noaux_tc", num_attention_heads=2, num_key_value_heads=2, q_lora_rank=16,
    kv_lora_rank=20, qk_nope_head_dim=24, qk_rope_head_dim=8, head_dim=8, v_head_dim=32, rms_norm_eps=1e-5,
    rope_parameters=dict(rope_theta=1000000.0, rope_type="default", partial_rotary_factor=1.0), partial_rotary_factor=1.0,
    rope_scaling=None, max_position_embeddings=2048, num_nextn_predict_layers=1, pad_token_id=296,
    eos_token_id=[296, 299, 301])
AS_V3 = dict(model_type="deepseek_v3", first_k_dense_replace=1, scoring_func="sigmoid")

JOYAI = dict(
    V3, model_type="joyai_llm_flash", vocab_size=320, hidden_size=32, num_hidden_layers=2, first_k_dense_replace=1,
    intermediate_size=72, moe_intermediate_size=10, n_routed_experts=12, num_experts_per_tok=4, n_group=1, topk_group=1,
    n_shared_experts=1, routed_scaling_factor=2.5, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=24,
    kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, rope_theta=32000000, max_position_embeddings=2048,
    num_nextn_predict_layers=1)

# True head widths, so that the heads of kv_b_proj lie 320 rows apart and straddle the FP8 blocks.
GIGACHAT = dict(
    V3, model_type="deepseek_v3", vocab_size=300, hidden_size=32, num_hidden_layers=2, first_k_dense_replace=1,
    intermediate_size=136, moe_intermediate_size=12, n_routed_experts=6, num_experts_per_tok=2, n_group=1, topk_group=1,
    n_shared_experts=1, routed_scaling_factor=1.5, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=None,
    kv_lora_rank=28, qk_nope_head_dim=128, qk_rope_head_dim=8, v_head_dim=192, rope_theta=100000, bos_token_id=1,
    eos_token_id=2, max_position_embeddings=2048, num_nextn_predict_layers=1, quantization_config=FP8)

# The same with GLM's heads: 448 rows apart. Third-party FP8 files of GLM-4.7-Flash are of this kind.
GLM_FP8 = dict(
    GLM_FLASH, vocab_size=300, hidden_size=24, num_hidden_layers=2, mlp_layer_types=["dense", "sparse"], num_attention_heads=2,
    num_key_value_heads=2, q_lora_rank=24, kv_lora_rank=20, qk_nope_head_dim=192, qk_rope_head_dim=8, head_dim=8,
    v_head_dim=256, pad_token_id=290, eos_token_id=[290, 292, 294], quantization_config=FP8)

MOONLIGHT = dict(
    V3, model_type="deepseek_v3", vocab_size=320, hidden_size=32, num_hidden_layers=2, first_k_dense_replace=1,
    intermediate_size=72, moe_intermediate_size=10, n_routed_experts=16, num_experts_per_tok=6, n_group=1, topk_group=1,
    n_shared_experts=2, routed_scaling_factor=2.446, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=None,
    kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, rms_norm_eps=1e-5, rope_theta=50000.0,
    max_position_embeddings=2048, num_nextn_predict_layers=0, bos_token_id=318, eos_token_id=319)

# Both turns of YaRN are 1: the ramp goes from ⌊1.7⌋ to ⌈1.7⌉; with the published 32 turns it would begin at 0. 40 experts.
KIMI = dict(
    V3, model_type="kimi_k2", vocab_size=320, hidden_size=32, num_hidden_layers=2, first_k_dense_replace=1,
    intermediate_size=72, moe_intermediate_size=6, n_routed_experts=40, num_experts_per_tok=5, n_group=1, topk_group=1,
    n_shared_experts=1, routed_scaling_factor=2.827, num_attention_heads=2, num_key_value_heads=2, q_lora_rank=24,
    kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16, rms_norm_eps=1e-5, rope_theta=50000.0,
    rope_scaling=dict(type="yarn", factor=32.0, original_max_position_embeddings=64, beta_fast=1.0, beta_slow=1.0, mscale=1.0,
                      mscale_all_dim=1.0),
    max_position_embeddings=2048, num_nextn_predict_layers=0, bos_token_id=318, eos_token_id=319)

V2_YARN = dict(type="yarn", factor=8, original_max_position_embeddings=32, beta_fast=32, beta_slow=1, mscale=0.707,
               mscale_all_dim=0.707)
V2 = dict(
    COMMON, architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", vocab_size=304, hidden_size=32,
    num_hidden_layers=2, first_k_dense_replace=1, intermediate_size=64, moe_intermediate_size=10, moe_layer_freq=1,
    n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2, n_shared_experts=2, norm_topk_prob=False,
    routed_scaling_factor=4.0, scoring_func="softmax", topk_method="group_limited_greedy", num_attention_heads=2,
    num_key_value_heads=2, q_lora_rank=24, kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16,
    rms_norm_eps=1e-6, rope_theta=10000, rope_scaling=V2_YARN, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1)
V2_LITE = dict(
    V2, q_lora_rank=None, n_group=1, topk_group=1, topk_method="greedy", routed_scaling_factor=1.0, n_routed_experts=12,
    num_experts_per_tok=3)

# The indexer's rope is half-split, MLA's interleaved.
V32 = dict(
    V3, architectures=["DeepseekV32ForCausalLM"], model_type="deepseek_v32", vocab_size=304, hidden_size=32,
    num_hidden_layers=2, first_k_dense_replace=1, intermediate_size=64, moe_intermediate_size=10, n_routed_experts=8,
    num_experts_per_tok=3, n_group=4, topk_group=2, n_shared_experts=1, routed_scaling_factor=2.5, num_attention_heads=2,
    num_key_value_heads=2, q_lora_rank=16, kv_lora_rank=20, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16,
    index_head_dim=16, index_n_heads=16, index_topk=8, rope_theta=10000,
    rope_scaling=dict(type="yarn", factor=8, original_max_position_embeddings=32, beta_fast=32, beta_slow=1, mscale=1.0,
                      mscale_all_dim=1.0),
    max_position_embeddings=2048, num_nextn_predict_layers=1)

GLM_5 = dict(
    COMMON, architectures=["GlmMoeDsaForCausalLM"], model_type="glm_moe_dsa", vocab_size=304, hidden_size=32,
    num_hidden_layers=2, first_k_dense_replace=1, intermediate_size=64, moe_intermediate_size=10, n_routed_experts=8,
    num_experts_per_tok=2, n_group=1, topk_group=1, n_shared_experts=1, norm_topk_prob=True, moe_layer_freq=1,
    routed_scaling_factor=2.5, scoring_func="sigmoid", topk_method="noaux_tc", num_attention_heads=2, num_key_value_heads=2,
    q_lora_rank=16, kv_lora_rank=20, qk_nope_head_dim=24, qk_rope_head_dim=8, head_dim=8, v_head_dim=24, rms_norm_eps=1e-5,
    rope_parameters=dict(rope_theta=1000000, rope_type="default"), index_head_dim=16, index_n_heads=16, index_topk=8,
    indexer_rope_interleave=True, max_position_embeddings=2048, num_nextn_predict_layers=1, pad_token_id=296,
    eos_token_id=[296, 299, 301])

# Layers 0, 1, 2 and 6 have an indexer; 3, 4 and 5 read the list of layer 2. head_dim is the nope width here.
GLM_52 = dict(
    GLM_5, vocab_size=300, hidden_size=24, num_hidden_layers=7, first_k_dense_replace=3, intermediate_size=32,
    moe_intermediate_size=10, n_routed_experts=6, num_experts_per_tok=2, q_lora_rank=12, kv_lora_rank=16, qk_nope_head_dim=12,
    head_dim=12, v_head_dim=16, rope_parameters=dict(rope_theta=8000000, rope_type="default"), index_topk_freq=4,
    index_skip_topk_offset=3, index_topk_pattern=None, index_share_for_mtp_iteration=True, num_nextn_predict_layers=0,
    pad_token_id=290, eos_token_id=[290, 292, 294])

INT4_GROUP = dict(
    input_activations=None, output_activations=None, targets=["Linear"],
    weights=dict(actorder=None, block_structure=None, dynamic=False, group_size=32, num_bits=4, observer="minmax",
                 observer_kwargs={}, strategy="group", symmetric=True, type="int"))
INT4 = dict(
    config_groups=dict(group_0=INT4_GROUP), format="pack-quantized", kv_cache_scheme=None, quant_method="compressed-tensors",
    quantization_status="compressed",
    ignore=["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"])
KIMI_INT4 = dict(
    KIMI, hidden_size=64, num_hidden_layers=2, n_routed_experts=6, num_experts_per_tok=3, moe_intermediate_size=32, vocab_size=300,
    intermediate_size=64, bos_token_id=290, eos_token_id=291, quantization_config=INT4,
    rope_scaling=dict(KIMI["rope_scaling"], factor=64.0, original_max_position_embeddings=16, beta_fast=32.0))

AS_DEEPSEEK_V3 = dict(model_type="deepseek_v3")
STRONG_INDEX = {"indexer.weights_proj.weight": 3.0}
SMALL_LATENTS = {"q_a_proj.weight": 0.02, "kv_a_proj_with_mqa.weight": 0.02}

FAMILIES = {family.name: family for family in (
    Family("glm-4.7-flash", GLM_FLASH, {"Glm4MoeLite": {}, "DeepseekV3": AS_V3}, own_copies=True, gains=SMALL_LATENTS),
    Family("kimi-k2-int4", KIMI_INT4, {"DeepseekV3": AS_DEEPSEEK_V3}, storage="int4"),
    Family("joyai-flash", JOYAI, {"DeepseekV3": AS_DEEPSEEK_V3}, dense_module=True, module_file="mtp-1-of-1.safetensors"),
    Family("gigachat3", GIGACHAT, {"DeepseekV3": {}}, storage="fp8"),
    Family("glm-fp8", GLM_FP8, {"Glm4MoeLite": {}, "DeepseekV3": AS_V3}, storage="fp8"),
    Family("moonlight", MOONLIGHT, {"DeepseekV3": {}}),
    Family("kimi-k2", KIMI, {"DeepseekV3": AS_DEEPSEEK_V3}),
    Family("deepseek-v2", V2, {"DeepseekV2": {}}),
    Family("deepseek-v2-lite", V2_LITE, {"DeepseekV2": {}}),
    Family("deepseek-v32", V32, {"DeepseekV32": {}}, gains=STRONG_INDEX, lengths=(16, 40, 60), new_tokens=24, index_margin=1e-4),
    Family("glm-5", GLM_5, {"GlmMoeDsa": {}}, gains=STRONG_INDEX, lengths=(16, 40, 60), new_tokens=24, index_margin=1e-4),
    Family("glm-5.2", GLM_52, {"GlmMoeDsa": {}}, gains=STRONG_INDEX, lengths=(16, 40, 60), new_tokens=24, index_margin=1e-4),
)}
