#include "reports/memory_table.hpp"

#include <fmt/format.h>

#include "units_text.hpp"

namespace moeline {

std::vector<HeldTensor> held_tensors(const TrainEvaluation& train, const Scenario& s) {
  std::vector<HeldTensor> list;
  if (train.wafer) return list;
  Recipe recipe = s.recipe;
  std::vector<std::string> notes;
  legalise(recipe, s.cluster.device, notes);  // the answer exists, so it can be
  const TrainWorkload workload = answered(std::get<TrainWorkload>(s.workload), train);
  const MemoryContext context{s.model, train.parallelism, recipe, s.routing, workload};
  const KindCounts& layers = train.cut->stage_layers[static_cast<std::size_t>(train.memory_stage)];
  for (std::size_t kind = 0; kind < layers.size(); ++kind) {
    if (layers[kind] == 0) continue;
    const bool moe = std::holds_alternative<MoeFfn>(s.model.kinds[kind].ffn);
    for (const SavedTensor& tensor : saved_tensors(context, s.model.kinds[kind])) {
      list.push_back({moe ? "MoE layer" : "dense layer", tensor.name, tensor.bytes, static_cast<double>(layers[kind])});
    }
  }
  return list;
}

std::string memory_text(const TrainEvaluation& train, const Scenario& s) {
  std::string out = fmt::format("  {} of {} on stage {}\n", format(train.memory.total()), format(train.memory_available), train.memory_stage);
  for (const MemoryPart& part : train.memory.parts) {
    out += fmt::format("    {:<38}{:>12}{:>8.1f} %\n", part.name, format(part.bytes), 100 * (part.bytes / train.memory.total()));
  }
  if (train.stage_memory.size() > 1) {
    out += "  by stage\n";
    for (std::size_t stage = 0; stage < train.stage_memory.size(); ++stage) {
      out += fmt::format("    {:<38}{:>12}\n", fmt::format("stage {}", stage), format(train.stage_memory[stage]));
    }
  }
  std::string layer;
  for (const HeldTensor& held : held_tensors(train, s)) {
    if (held.layer != layer) out += fmt::format("  kept by one {} and micro-batch, x {} layers\n", held.layer, held.layers);
    layer = held.layer;
    out += fmt::format("    {:<38}{:>12}\n", held.tensor, format(held.each));
  }
  return out;
}

}  // namespace moeline
