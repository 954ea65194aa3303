#include "spec/workload.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <span>

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
    Named{"act", Recompute::moe_act},
};
constexpr std::array kOverlap{
    Named{"dp_reduce", Overlap::dp_reduce}, Named{"param_gather", Overlap::param_gather},
    Named{"tp", Overlap::tp},               Named{"ep_1f1b", Overlap::ep_1f1b},
    Named{"two_batch", Overlap::two_batch}, Named{"shared_expert", Overlap::shared_expert},
    Named{"delayed_wgrad", Overlap::delayed_wgrad}, Named{"pp", Overlap::pp},
};
constexpr std::array kOptimizer{Named{"adam", Optimizer::adam}, Named{"adam_bf16_states", Optimizer::adam_bf16_states}};
constexpr std::array kTransport{Named{"nccl", Transport::nccl}, Named{"deepep", Transport::deepep},
                                Named{"hybridep", Transport::hybridep}, Named{"allreduce", Transport::allreduce}};

template <class E>
std::string_view name_in(std::span<const Named<E>> table, E value) {
  for (const Named<E>& row : table) {
    if (row.value == value) return row.name;
  }
  return "";
}

template <class E>
E value_of(const ObjectReader& reader, std::string_view key, const std::string& text, std::span<const Named<E>> table) {
  std::vector<std::string> names;
  for (const Named<E>& row : table) {
    if (row.name == text) return row.value;
    names.emplace_back(row.name);
  }
  reader.fail(key, fmt::format("unknown value \"{}\"{}", text, did_you_mean(text, names)));
}

void read_recompute(ObjectReader& reader, TrainWorkload& train) {
  reader.skip("recompute");
  if (!reader.has("recompute")) return;
  if (reader.any("recompute").is_string()) {
    const std::string mode = reader.one_of("recompute", {"none", "selective", "full"});
    train.full_recompute = mode == "full";
    if (mode == "selective") train.recompute = {Recompute::core_attn};
    return;
  }
  for (const std::string& part : reader.strings("recompute")) {
    train.recompute.insert(value_of<Recompute>(reader, "recompute", part, kRecompute));
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
  for (const char* key : {"optimizer", "gradient_dtype", "overlap"}) reader.skip(key);
  if (reader.has("optimizer")) {
    train.optimizer = value_of<Optimizer>(reader, "optimizer", reader.string("optimizer"), kOptimizer);
  }
  if (reader.has("gradient_dtype")) {
    train.gradient = reader.one_of("gradient_dtype", {"fp32", "bf16"}) == "fp32" ? DType::fp32 : DType::bf16;
  }
  if (reader.has("overlap")) {
    train.overlap_given = true;
    for (const std::string& part : reader.strings("overlap")) {
      train.overlap.insert(value_of<Overlap>(reader, "overlap", part, kOverlap));
    }
    for (const Overlap later : {Overlap::two_batch, Overlap::delayed_wgrad}) {
      if (train.overlap.contains(later)) reader.fail("overlap", fmt::format("\"{}\" is not modelled yet", name(later)));
    }
  }
  read_transport(reader, train);
  train.pipeline_layout = reader.string_or("pipeline_layout", "");
  train.mtp_layers = reader.integer_or("mtp_layers", {0, 64}, -1);
  train.cuda_graph = reader.boolean_or("cuda_graph", true);
  reader.skip("lora");
  if (reader.has("lora")) train.lora = read_lora(reader.object("lora"));
  read_wafer(reader, train);
  return train;
}

}  // namespace

Workload read_workload(ObjectReader reader) {
  const std::string kind = reader.one_of("kind", {"train", "layer", "serve"});
  Workload workload;
  if (kind == "train") {
    workload = read_train(reader);
  } else if (kind == "layer") {
    LayerWorkload layer;
    layer.tokens = reader.integer_or("tokens", {1, 1 << 26}, 4096);
    layer.sequence = reader.integer_or("sequence", {1, 1 << 26}, std::min<std::int64_t>(layer.tokens, 4096));
    read_transport(reader, layer);
    layer.code = read_experts_code(reader);
    read_wafer(reader, layer);
    workload = layer;
  } else {
    reader.fail("kind", "\"serve\" is not modelled yet; train and layer are");
  }
  reader.finish();
  return workload;
}

std::string_view name(Recompute what) { return name_in<Recompute>(kRecompute, what); }
std::string_view name(Overlap what) { return name_in<Overlap>(kOverlap, what); }
std::string_view name(Optimizer what) { return name_in<Optimizer>(kOptimizer, what); }
std::string_view name(Transport what) { return name_in<Transport>(kTransport, what); }

}  // namespace moeline
