#include "spec/workload.hpp"

#include <fmt/format.h>

#include <array>
#include <span>

#include "spec/json.hpp"

namespace moeline {
namespace {

template <class E>
struct Named {
  std::string_view name;
  E value;
};
template <class E>
Named(std::string_view, E) -> Named<E>;  // clang 14 deduces no aggregates by itself
constexpr std::array kRecompute{
    Named{"core_attn", Recompute::core_attn}, Named{"layernorm", Recompute::layernorm},
    Named{"moe_act", Recompute::moe_act},     Named{"mla_up_proj", Recompute::mla_up_proj},
    Named{"mlp", Recompute::mlp},             Named{"moe", Recompute::moe},
    Named{"shared_experts", Recompute::shared_experts}, Named{"norm", Recompute::layernorm},
    Named{"act", Recompute::moe_act},         Named{"per_op", Recompute::per_op},
};
constexpr std::array kOverlap{
    Named{"dp_reduce", Overlap::dp_reduce}, Named{"param_gather", Overlap::param_gather},
    Named{"tp", Overlap::tp},               Named{"ep_1f1b", Overlap::ep_1f1b},
    Named{"two_batch", Overlap::two_batch}, Named{"shared_expert", Overlap::shared_expert},
    Named{"delayed_wgrad", Overlap::delayed_wgrad}, Named{"pp", Overlap::pp},
};
enum class Kind { train, layer, serve };
constexpr std::array kKinds{Named{"train", Kind::train}, Named{"layer", Kind::layer}, Named{"serve", Kind::serve}};
enum class RecomputeMode { automatic, none, selective, full, per_op };
constexpr std::array kModes{Named{"auto", RecomputeMode::automatic}, Named{"none", RecomputeMode::none},
                            Named{"selective", RecomputeMode::selective}, Named{"full", RecomputeMode::full},
                            Named{"per_op", RecomputeMode::per_op}};
constexpr std::array kOptimizer{Named{"adam", Optimizer::adam}, Named{"adam_bf16_states", Optimizer::adam_bf16_states},
                              Named{"muon", Optimizer::muon}};
constexpr std::array kMethod{Named{"uniform", RecomputeMethod::uniform}, Named{"block", RecomputeMethod::block}};
constexpr std::array kMaster{Named{"fp32", DType::fp32}, Named{"bf16", DType::bf16}};
constexpr std::array kMoment{Named{"fp32", DType::fp32}, Named{"bf16", DType::bf16}, Named{"fp8", DType::fp8}};
constexpr std::array kTransport{Named{"nccl", Transport::nccl}, Named{"deepep", Transport::deepep},
                                Named{"hybridep", Transport::hybridep}, Named{"allreduce", Transport::allreduce}};
constexpr std::array kAttention{Named{"fused", AttentionKernel::fused}, Named{"flash2", AttentionKernel::flash2},
                                Named{"unfused", AttentionKernel::unfused}};
constexpr std::array kExtraPasses{Named{"projections", ExtraPass::projections}, Named{"biases", ExtraPass::biases},
                                  Named{"log_softmax", ExtraPass::log_softmax}, Named{"vocabulary_loss", ExtraPass::vocabulary_loss},
                                  Named{"fsdp_copies", ExtraPass::fsdp_copies}, Named{"loss_scaling", ExtraPass::loss_scaling}};

template <class E>
std::string_view name_in(std::span<const Named<E>> table, E value) {
  for (const Named<E>& row : table) {
    if (row.value == value) return row.name;
  }
  return "";
}

template <class E>
E value_of(const ObjectReader& reader, std::string_view key, const std::string& text, std::span<const Named<E>> table) {
  for (const Named<E>& row : table) {
    if (row.name == text) return row.value;
  }
  std::vector<std::string> names;
  for (const Named<E>& row : table) names.emplace_back(row.name);
  reader.fail(key, fmt::format("unknown value \"{}\"{}", text, did_you_mean(text, names)));
}

// The value named, or `usual` where the key is missing.
template <class E>
E named_or(ObjectReader& reader, std::string_view key, std::span<const Named<E>> table, E usual) {
  reader.skip(key);
  return reader.has(key) ? value_of<E>(reader, key, reader.string(key), table) : usual;
}

void read_recompute(ObjectReader& reader, TrainWorkload& train) {
  reader.skip_all({"recompute", "recompute_method", "recompute_layers"});
  if (reader.has("recompute") && reader.any("recompute").is_string()) {
    const auto mode = value_of<RecomputeMode>(reader, "recompute", reader.string("recompute"), kModes);
    train.recompute_given = mode != RecomputeMode::automatic;
    train.full_recompute = mode == RecomputeMode::full;
    if (mode == RecomputeMode::selective) train.recompute = {Recompute::core_attn};
    if (mode == RecomputeMode::per_op) train.recompute = {Recompute::per_op};
  } else if (reader.has("recompute")) {
    train.recompute_given = true;
    for (const std::string& part : reader.strings("recompute")) {
      train.recompute.insert(value_of<Recompute>(reader, "recompute", part, kRecompute));
    }
  }
  for (const char* key : {"recompute_method", "recompute_layers"}) {
    if (reader.has(key) && !train.full_recompute) reader.fail(key, "spreads full recomputation: set \"recompute\": \"full\"");
  }
  train.recompute_method = named_or<RecomputeMethod>(reader, "recompute_method", kMethod, RecomputeMethod::uniform);
  train.recompute_layers = reader.integer_or("recompute_layers", {1, 10000}, 0);
}

void read_optimizer(ObjectReader& reader, TrainWorkload& train) {
  train.optimizer = named_or<Optimizer>(reader, "optimizer", kOptimizer, Optimizer::adam);
  train.master = named_or<DType>(reader, "master_dtype", kMaster, DType::fp32);
  const bool short_moments = train.optimizer == Optimizer::adam_bf16_states;
  train.moment = named_or<DType>(reader, "moment_dtype", kMoment, short_moments ? DType::bf16 : DType::fp32);
  train.offload_optimizer = reader.number_or("offload_optimizer", 0, 1, 0);
}

void read_extra_passes(ObjectReader& reader, TrainWorkload& train) {
  reader.skip("extra_passes");
  if (!reader.has("extra_passes")) return;
  for (const std::string& pass : reader.strings("extra_passes")) {
    train.extra_passes.insert(value_of<ExtraPass>(reader, "extra_passes", pass, kExtraPasses));
  }
  if (train.extra_passes.contains(ExtraPass::log_softmax) && train.extra_passes.contains(ExtraPass::vocabulary_loss)) {
    reader.fail("extra_passes", "\"log_softmax\" and \"vocabulary_loss\" are two ways to run the loss: name one");
  }
}

template <class W>
void read_transport(ObjectReader& reader, W& workload) {
  reader.skip("transport");
  if (!reader.has("transport")) return;
  workload.transport_given = true;
  workload.transport = value_of<Transport>(reader, "transport", reader.string("transport"), kTransport);
}

template <class W>
void read_wafer(ObjectReader& reader, W& workload) {
  reader.skip("wafer");
  workload.wafer_given = reader.has("wafer");
  if (workload.wafer_given) workload.wafer = read_wafer_options(reader.object("wafer"));
}

TrainWorkload read_train(ObjectReader& reader) {
  TrainWorkload train;
  train.sequence = reader.integer_or("sequence", {1, 1 << 26}, 4096);
  train.micro_batch = reader.integer_or("micro_batch", {1, 1 << 20}, 1);
  train.global_batch = reader.integer_or("global_batch", {1, 1 << 28}, 0);
  read_recompute(reader, train);
  read_optimizer(reader, train);
  train.offload_layers = reader.integer_or("offload_layers", {1, 10000}, 0);
  for (const char* key : {"gradient_dtype", "overlap"}) reader.skip(key);
  if (reader.has("gradient_dtype")) {
    train.gradient = reader.one_of("gradient_dtype", {"fp32", "bf16"}) == "fp32" ? DType::fp32 : DType::bf16;
  }
  if (reader.has("overlap")) {
    train.overlap_given = true;
    for (const std::string& part : reader.strings("overlap")) {
      train.overlap.insert(value_of<Overlap>(reader, "overlap", part, kOverlap));
    }
    if (train.overlap.contains(Overlap::two_batch) && train.overlap.contains(Overlap::ep_1f1b)) {
      reader.fail("overlap", "\"two_batch\" and \"ep_1f1b\" hide the same exchanges: name one");
    }
  }
  read_transport(reader, train);
  train.pipeline_layout = reader.string_or("pipeline_layout", "");
  train.mtp_layers = reader.integer_or("mtp_layers", {0, 64}, -1);
  train.cuda_graph = reader.boolean_or("cuda_graph", true);
  train.attention = named_or<AttentionKernel>(reader, "attention", kAttention, AttentionKernel::fused);
  train.fused_passes = reader.boolean_or("fused_passes", true);
  read_extra_passes(reader, train);
  train.sequence_parallel = reader.boolean_or("sequence_parallel", true);
  reader.skip("run");
  if (reader.has("run")) train.run = read_long_run(reader.object("run"));
  reader.skip("lora");
  if (reader.has("lora")) train.lora = read_lora(reader.object("lora"));
  read_wafer(reader, train);
  return train;
}

}  // namespace

Loss loss_of(const TrainWorkload& train) {
  if (train.extra_passes.contains(ExtraPass::vocabulary_loss)) return Loss::vocabulary;
  return train.extra_passes.contains(ExtraPass::log_softmax) || !train.fused_passes ? Loss::log_softmax : Loss::fused;
}

Workload read_workload(ObjectReader reader) {
  const auto kind = value_of<Kind>(reader, "kind", reader.string("kind"), kKinds);
  Workload workload;
  if (kind == Kind::train) {
    workload = read_train(reader);
  } else if (kind == Kind::layer) {
    LayerWorkload layer;
    layer.tokens = reader.integer_or("tokens", {1, 1 << 26}, 4096);
    layer.sequence = reader.integer_or("sequence", {1, 1 << 26}, std::min<std::int64_t>(layer.tokens, 4096));
    read_transport(reader, layer);
    layer.code = read_experts_code(reader);
    read_wafer(reader, layer);
    workload = layer;
  } else {
    workload = read_serve(reader);
  }
  reader.finish();
  return workload;
}

std::string_view name(Recompute what) { return name_in<Recompute>(kRecompute, what); }
std::string_view name(RecomputeMethod what) { return name_in<RecomputeMethod>(kMethod, what); }
std::string_view name(Overlap what) { return name_in<Overlap>(kOverlap, what); }
std::string_view name(Optimizer what) { return name_in<Optimizer>(kOptimizer, what); }
std::string_view name(Transport what) { return name_in<Transport>(kTransport, what); }
std::string_view name(AttentionKernel what) { return name_in<AttentionKernel>(kAttention, what); }
std::string_view name(ExtraPass what) { return name_in<ExtraPass>(kExtraPasses, what); }

}  // namespace moeline
