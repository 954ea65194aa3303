// What is asked of the model: a training step, one layer, or to be served (spec/serving).
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
#include "spec/long_run.hpp"
#include "spec/lora.hpp"
#include "spec/reader.hpp"
#include "spec/serving.hpp"
#include "spec/wafer_options.hpp"

namespace moeline {

// Parts whose activations are dropped after forward and computed again in backward. `per_op` is PyTorch's selective
// checkpointing op by op: attention and every second product are kept, all else runs again; of dense layers.
enum class Recompute { core_attn, layernorm, moe_act, mla_up_proj, mlp, moe, shared_experts, per_op };
// How full recomputation is spread: the input of every n-th layer kept, or the first n layers of a chunk recomputed.
enum class RecomputeMethod { uniform, block };
enum class Overlap { dp_reduce, param_gather, tp, ep_1f1b, two_batch, shared_expert, delayed_wgrad, pp };
enum class Optimizer { adam, adam_bf16_states, muon };
enum class Transport { nccl, deepep, hybridep, allreduce };
// What runs softmax(Q K^T) V: the vendor's fused kernel (cuDNN, FlashAttention 3), FlashAttention 2 (PyTorch's own), or its
// products, softmax and dropout one by one, with the scores in memory.
enum class AttentionKernel { fused, flash2, unfused };
// What some software runs beside the kernels that fused software runs: a product for each of q, k, v and of gate, up; biases and
// their gradients in passes of their own; the loss in fp32, as a framework's log-softmax or op by op over a vocabulary that is cut;
// PyTorch FSDP2's copies between flat buffers and tensors; gradients of a scaled loss scaled back and searched for overflow (fp16).
enum class ExtraPass { projections, biases, log_softmax, vocabulary_loss, fsdp_copies, loss_scaling };

struct TrainWorkload {
  std::int64_t sequence = 4096, micro_batch = 1;
  std::int64_t global_batch = 0;          // 0: sixteen micro-batches on every data-parallel rank
  bool full_recompute = false;
  EnumSet<Recompute> recompute{};
  bool recompute_given = false;           // false: as little as fits
  RecomputeMethod recompute_method = RecomputeMethod::uniform;
  std::int64_t recompute_layers = 0;      // n of the method; 0: every layer by itself
  Optimizer optimizer = Optimizer::adam;
  DType master = DType::fp32, moment = DType::fp32;  // how the optimiser keeps weights and moments
  double offload_optimizer = 0;           // share of its states that lie in the host's memory
  std::int64_t offload_layers = 0;        // layers of a device whose activations wait in the host's memory
  DType gradient = DType::fp32;           // of the accumulation buffer and of the reduction
  std::string pipeline_layout{};          // Megatron's string form; empty: split evenly by time
  std::int64_t mtp_layers = -1;           // -1: as the model's config says
  EnumSet<Overlap> overlap{};
  bool overlap_given = false;             // false: defaults of the hardware apply
  Transport transport = Transport::nccl;
  bool transport_given = false;
  bool cuda_graph = true;                 // false: the host issues every kernel
  AttentionKernel attention = AttentionKernel::fused;
  bool fused_passes = true;               // false: norms, activations and loss run as the framework's single ops
  EnumSet<ExtraPass> extra_passes{};
  bool sequence_parallel = true;          // false: norms and residuals see all tokens on every tensor-parallel rank
  bool mla_down_proj_fusion = false;      // latents of queries and of keys and values from one product
  bool moe_permute_fusion_into_hybridep = false;  // rows are sorted by expert on their way
  std::optional<LongRun> run{};           // how long the training is, and what interrupts it
  std::optional<Lora> lora{};             // adapters are trained, all else is frozen
  WaferOptions wafer{};  // of a wafer only, which in turn cuts its micro-batches itself
  bool wafer_given = false;

  bool operator==(const TrainWorkload&) const = default;
};

// How the loss runs over the logits: fused, as a framework's log-softmax, or op by op over a vocabulary that is cut.
enum class Loss { fused, log_softmax, vocabulary };
Loss loss_of(const TrainWorkload& train);

struct LayerWorkload {
  std::int64_t tokens = 4096;             // per device
  std::int64_t sequence = 4096;           // length attention sees
  Transport transport = Transport::nccl;
  bool transport_given = false;
  ExpertsCode code{};                     // Hugging Face backends to compare
  WaferOptions wafer{};
  bool wafer_given = false;
};

using Workload = std::variant<TrainWorkload, LayerWorkload, ServeWorkload>;

Workload read_workload(ObjectReader reader);

std::string_view name(Recompute what);
std::string_view name(RecomputeMethod what);
std::string_view name(Overlap what);
std::string_view name(Optimizer what);
std::string_view name(Transport what);
std::string_view name(AttentionKernel what);
std::string_view name(ExtraPass what);

}  // namespace moeline
