#include "plan/serving/stack.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace moeline {
namespace {

// vLLM's documentation: max_num_batched_tokens 8192 on datacentre GPUs, pages of 16. SGLang: chunked_prefill_size 8192,
// prompts before decoding. TensorRT-LLM: max_num_tokens 8192, pages of 32 to 64, no eviction by default.
constexpr StackConduct kTrtllm{.token_budget = 8192, .mixes = true, .page = 32, .whole_request = true,
                               .host = 300 * microsecond, .host_sequence = 1 * microsecond, .launch = 4 * microsecond,
                               .request = 8 * millisecond};
constexpr StackConduct kVllm{.token_budget = 8192, .mixes = true, .page = 16, .whole_request = false,
                             .host = 500 * microsecond, .host_sequence = 4 * microsecond, .launch = 5 * microsecond,
                             .request = 10 * millisecond};
constexpr StackConduct kSglang{.token_budget = 8192, .mixes = false, .page = 64, .whole_request = false,
                               .host = 300 * microsecond, .host_sequence = 2 * microsecond, .launch = 5 * microsecond,
                               .request = 10 * millisecond};

bool has_path(const Gpu& gpu, DType type) { return gpu.dense_peak.of(type).has_value(); }

bool block_scaled(const Gpu& gpu) { return gpu.architecture.starts_with("sm_10") || gpu.architecture == "gfx950"; }

// What tensor cores take for weights kept as `weights` when both operands are quantised alike; bf16 where they cannot.
DType multiplied_on(const Gpu& gpu, DType weights) {
  if (!has_path(gpu, weights)) return DType::bf16;
  if (weights == DType::mxfp8 && !block_scaled(gpu)) return DType::fp8_block;
  return weights;
}

// Activations beside expert weights: MXFP4 ones meet MXFP8 on Blackwell, MXFP4 on CDNA 4, bf16 before both.
DType beside(const Gpu& gpu, DType weights) {
  if (weights != DType::mxfp4) return multiplied_on(gpu, weights);
  if (gpu.architecture.starts_with("sm_10")) return DType::mxfp8;
  return multiplied_on(gpu, weights);
}

}  // namespace

StackConduct stack_conduct(const ServeWorkload& serve) {
  StackConduct conduct = serve.stack == Stack::trtllm ? kTrtllm : serve.stack == Stack::vllm ? kVllm : kSglang;
  if (serve.token_budget > 0) conduct.token_budget = static_cast<double>(serve.token_budget);
  if (serve.block > 0) conduct.page = static_cast<double>(serve.block);
  if (serve.host_overhead) {
    conduct.host = *serve.host_overhead;
    conduct.host_sequence = {};
  }
  return conduct;
}

ServedFormats served_formats(const Recipe& recipe, const ServeWorkload& serve, const ModelSpec& model, const Gpu& gpu,
                             std::vector<std::string>& notes) {
  ServedFormats f;
  f.linear = multiplied_on(gpu, recipe.linear);
  f.head = multiplied_on(gpu, recipe.head);
  f.expert_weight = recipe.expert;
  f.expert = beside(gpu, recipe.expert);
  if (f.linear != recipe.linear) {
    notes.push_back(fmt::format("{} has no {} tensor path: linear layers multiply in {}", gpu.name, name(recipe.linear), name(f.linear)));
  }
  if (f.expert != recipe.expert) {
    notes.push_back(fmt::format("expert weights in {} meet activations in {}", name(recipe.expert), name(f.expert)));
  }
  f.latent = f.linear;
  const bool latent = std::holds_alternative<LatentAttention>(model.kinds.front().attention);
  if (latent && bits(f.linear) < 8) {
    f.latent = DType::bf16;
    notes.push_back("4-bit checkpoints of latent attention keep its input projections in bf16");
  }
  const bool narrow = is_quantised(recipe.linear) || is_quantised(recipe.expert);
  const bool by_default = has_path(gpu, DType::fp8) && (serve.stack == Stack::trtllm ? narrow : bits(recipe.linear) < 8);
  f.cache = serve.kv_cache.value_or(by_default ? DType::fp8 : DType::bf16);
  f.attention = f.cache == DType::fp8 && has_path(gpu, DType::fp8) ? DType::fp8 : DType::bf16;
  if (!serve.kv_cache) notes.push_back(fmt::format("kv_cache: {} (the stack's choice for this checkpoint)", name(f.cache)));
  return f;
}

ExpertTransport decode_transport(const ServeWorkload& serve, const ServeLayout& layout, const Cluster& cluster) {
  if (serve.transport) return *serve.transport;
  if (layout.dp == 1) return ExpertTransport::allreduce;
  const std::int64_t near = cluster.fabric[0].span.value;
  if (layout.width() > near) return ExpertTransport::deepep;
  return near > 8 ? ExpertTransport::nvlink : ExpertTransport::allgather;
}

}  // namespace moeline
