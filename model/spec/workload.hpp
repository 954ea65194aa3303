// What is asked of the model: a training step, or one layer.
//
// TrainWorkload mirrors the switches of Megatron-Core; names of recompute and overlap follow it. LayerWorkload is one
// MoE layer on `tokens` per device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "spec/dtype.hpp"
#include "spec/enum_set.hpp"
#include "spec/experts_backend.hpp"
#include "spec/lora.hpp"
#include "spec/reader.hpp"
#include "spec/wafer_options.hpp"

namespace moeline {

// Parts whose activations are dropped after forward and computed again in backward.
enum class Recompute { core_attn, layernorm, moe_act, mla_up_proj, mlp, moe, shared_experts };
enum class Overlap { dp_reduce, param_gather, tp, ep_1f1b, two_batch, shared_expert, delayed_wgrad, pp };
enum class Optimizer { adam, adam_bf16_states };
enum class Transport { nccl, deepep, hybridep, allreduce };

struct TrainWorkload {
  std::int64_t sequence = 4096, micro_batch = 1;
  std::int64_t global_batch = 0;          // 0: sixteen micro-batches on every data-parallel rank
  bool full_recompute = false;
  EnumSet<Recompute> recompute{};
  Optimizer optimizer = Optimizer::adam;
  DType gradient = DType::fp32;           // of the accumulation buffer and of the reduction
  std::string pipeline_layout{};          // Megatron's string form; empty: split evenly by time
  std::int64_t mtp_layers = -1;           // -1: as the model's config says
  EnumSet<Overlap> overlap{};
  bool overlap_given = false;             // false: defaults of the hardware apply
  Transport transport = Transport::nccl;
  bool transport_given = false;
  bool cuda_graph = true;
  std::optional<Lora> lora{};             // adapters are trained, all else is frozen
  WaferOptions wafer{};  // of a wafer only, which in turn cuts its micro-batches itself
  bool wafer_given = false;

  bool operator==(const TrainWorkload&) const = default;
};

struct LayerWorkload {
  std::int64_t tokens = 4096;             // per device
  std::int64_t sequence = 4096;           // length attention sees
  Transport transport = Transport::nccl;
  bool transport_given = false;
  ExpertsCode code{};                     // Hugging Face backends to compare
  WaferOptions wafer{};
  bool wafer_given = false;
};

using Workload = std::variant<TrainWorkload, LayerWorkload>;

Workload read_workload(ObjectReader reader);

std::string_view name(Recompute what);
std::string_view name(Overlap what);
std::string_view name(Optimizer what);
std::string_view name(Transport what);

}  // namespace moeline
