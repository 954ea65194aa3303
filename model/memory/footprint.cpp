#include "memory/footprint.hpp"

#include <algorithm>
#include <array>

#include "routing/chance.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

struct Shape {
  double tokens, shard, hidden, tp;
};

Shape shape(const MemoryContext& c) {
  const double tokens = real(c.train.micro_batch * c.train.sequence) / real(c.parallelism.cp);
  const double shard = c.train.sequence_parallel ? tokens / real(c.parallelism.tp) : tokens;
  return {tokens, shard, real(c.model.hidden), real(c.parallelism.tp)};
}

class Saved {
 public:
  explicit Saved(const TrainWorkload& train) : train_(train) {}
  void add(std::string_view name, Bytes bytes) { list_.push_back({name, bytes}); }
  void unless(Recompute what, std::string_view name, Bytes bytes) {
    if (!train_.recompute.contains(what)) add(name, bytes);
  }
  bool on(Recompute what) const { return train_.recompute.contains(what); }
  std::vector<SavedTensor> take() { return std::move(list_); }

 private:
  const TrainWorkload& train_;
  std::vector<SavedTensor> list_;
};

Bytes bf16(double elements) { return bytes(DType::bf16, elements); }
// The input of a product that backward needs for wgrad: the column-wise quantised copy, or the bf16 tensor itself where
// columns are quantised in backward.
Bytes product_input(const Recipe& recipe, DType format, double elements) {
  return recipe.both_ways ? bytes(format, elements) : bf16(elements);
}

bool keeps_copy(const Recipe& recipe) { return is_quantised(recipe.linear) && recipe.both_ways; }

void attention_tensors(Saved& saved, const MemoryContext& c, const GroupedQueryAttention& a) {
  const Shape s = shape(c);
  const double heads = real(a.heads) / s.tp, kv = std::max(1.0, real(a.kv_heads) / s.tp), head = real(a.head_dim);
  saved.unless(Recompute::layernorm, "attention norm output", product_input(c.recipe, c.recipe.linear, s.shard * s.hidden));
  saved.add("query, key, value", bf16(s.tokens * (heads * (a.output_gate ? 2 : 1) + 2 * kv) * head));
  saved.add("attention output", bf16(s.tokens * heads * head));
  if (keeps_copy(c.recipe)) saved.add("attention output, quantised", bytes(c.recipe.linear, s.tokens * heads * head));
  if (c.train.attention != AttentionKernel::unfused) {
    saved.unless(Recompute::core_attn, "softmax statistics", bytes(DType::fp32, s.tokens * heads));
    return;
  }
  const double scores = s.tokens * heads * real(c.train.sequence);
  saved.unless(Recompute::core_attn, "softmax output", bf16(scores));
  if (c.model.dropout) saved.unless(Recompute::core_attn, "attention dropout and its mask", bf16(1.5 * scores));
}

void attention_tensors(Saved& saved, const MemoryContext& c, const LatentAttention& a) {
  const Shape s = shape(c);
  const double heads = real(a.heads) / s.tp, qk = real(a.nope_dim + a.rope_dim);
  saved.unless(Recompute::layernorm, "attention norm output", product_input(c.recipe, c.recipe.linear, s.shard * s.hidden));
  saved.add("latents and their norms", 2 * bf16(s.shard * real(a.q_rank + a.kv_rank + a.rope_dim)));
  saved.unless(Recompute::mla_up_proj, "query, key, value", bf16(s.tokens * heads * (2 * qk + real(a.value_dim))));
  saved.add("attention output", bf16(s.tokens * heads * real(a.value_dim)));
  if (keeps_copy(c.recipe)) {
    saved.add("attention output, quantised", bytes(c.recipe.linear, s.tokens * heads * real(a.value_dim)));
  }
  saved.unless(Recompute::core_attn, "softmax statistics", bytes(DType::fp32, s.tokens * heads));
}

void attention_tensors(Saved& saved, const MemoryContext& c, const GatedDeltaNet& a) {
  const Shape s = shape(c);
  const double keys = real(a.key_heads * a.key_dim) / s.tp, values = real(a.value_heads * a.value_dim) / s.tp;
  saved.unless(Recompute::layernorm, "attention norm output", product_input(c.recipe, c.recipe.linear, s.shard * s.hidden));
  saved.add("projections and convolution", 2 * bf16(s.tokens * (2 * keys + 2 * values)));
  saved.add("scan output", bf16(2 * s.tokens * values));
}

void ffn_tensors(Saved& saved, const MemoryContext& c, const DenseFfn& ffn) {
  const Shape s = shape(c);
  saved.unless(Recompute::layernorm, "FFN norm output", product_input(c.recipe, c.recipe.linear, s.shard * s.hidden));
  if (saved.on(Recompute::mlp)) return;
  const double elements = s.tokens * real(ffn.width) / s.tp;
  saved.add(ffn.gated ? "dense gate and up" : "dense up", bf16((ffn.gated ? 2 : 1) * elements));
  saved.add("dense activation", product_input(c.recipe, c.recipe.linear, elements));
}

// Elements of gate, up or down of this rank's experts.
double expert_matrix(const MemoryContext& c, const MoeFfn& moe) {
  return real(moe.experts * moe.width * c.model.hidden) / real(c.parallelism.ep * c.parallelism.etp);
}
bool merges(const MemoryContext& c) { return c.train.lora && c.train.lora->ffn && c.train.lora->adapters == Adapters::merged; }

void ffn_tensors(Saved& saved, const MemoryContext& c, const MoeFfn& moe) {
  const Shape s = shape(c);
  saved.unless(Recompute::layernorm, "FFN norm output", bf16(s.shard * s.hidden));
  if (moe.shared_width > 0 && !saved.on(Recompute::shared_experts) && !saved.on(Recompute::moe)) {
    const double elements = s.tokens * real(moe.shared_width) / s.tp;
    saved.add("shared gate and up", bf16(2 * elements));
    saved.add("shared activation", product_input(c.recipe, c.recipe.linear, elements));
  }
  if (saved.on(Recompute::moe)) return;
  const ExpertLoad load =
      expert_load(moe, c.routing, s.shard * real(c.parallelism.ep * c.parallelism.etp), real(c.parallelism.ep));
  const double rows = s.shard * real(moe.top_k) * real(c.parallelism.etp) * load.overload;
  saved.add("router scores", bytes(DType::fp32, 2 * s.shard * real(moe.experts)));
  // Rows that arrived quantised are kept as they came.
  saved.add("expert rows", c.recipe.quantised_dispatch ? bytes(c.recipe.expert, rows * s.hidden)
                                                       : product_input(c.recipe, c.recipe.expert, rows * s.hidden));
  if (merges(c)) saved.add("W + A B", bf16(3 * expert_matrix(c, moe)));  // dgrad reads it
  const double elements = rows * real(moe.width) / real(c.parallelism.etp);
  saved.add("expert gate and up", bf16(2 * elements));
  saved.unless(Recompute::moe_act, "expert activation", product_input(c.recipe, c.recipe.expert, elements));
}

// Outputs of q, v, gate and down stay, and those of attention.
void per_op_tensors(Saved& saved, const MemoryContext& c, const GroupedQueryAttention& a, const DenseFfn& ffn) {
  const Shape s = shape(c);
  const double heads = real(a.heads * a.head_dim) / s.tp, kv = real(a.kv_heads * a.head_dim) / s.tp;
  saved.add("query and value", bf16(s.tokens * (heads + kv)));
  saved.add("attention output", bf16(s.tokens * heads));
  saved.add("softmax statistics", bytes(DType::fp32, s.tokens * real(a.heads) / s.tp));
  saved.add("dense gate", bf16(s.tokens * real(ffn.width) / s.tp));
  saved.add("dense output", bf16(s.shard * s.hidden));
}

LocalParameters layer_share(const MemoryContext& c, const LayerKind& kind) {
  const LayerParameters p = layer_parameters(c.model, kind);
  const Shape s = shape(c);
  double attention = real(p.attention) / s.tp;
  if (const LatentAttention* a = std::get_if<LatentAttention>(&kind.attention)) {  // down projections are replicated
    const double down = s.hidden * real(a->q_rank + a->kv_rank + a->rope_dim);
    attention = (real(p.attention) - down) / s.tp + down;
  }
  const double cut = attention + real(p.dense_ffn + p.shared) / s.tp;
  const double experts = real(p.experts) / real(c.parallelism.ep * c.parallelism.etp);
  return {.dense = cut + real(p.router + p.norms),
          .expert = experts,
          .quantised = (bits(c.recipe.linear) < 16 ? cut : 0) + (bits(c.recipe.expert) < 16 ? experts : 0)};
}

// Inputs and outputs of attention's projections, summed: what an adapter has `rank` parameters for each of.
double ends(double hidden, const GroupedQueryAttention& a) {
  const double q = real(a.heads * a.head_dim) * (a.output_gate ? 2 : 1), kv = real(a.kv_heads * a.head_dim);
  return 4 * hidden + q + 2 * kv + real(a.heads * a.head_dim);
}
double ends(double hidden, const LatentAttention& a) {
  const double queries = real(a.heads * (a.nope_dim + a.rope_dim)), values = real(a.heads * a.value_dim);
  const double up = a.q_rank > 0 ? hidden + 2 * real(a.q_rank) + queries : hidden + queries;
  return up + hidden + real(a.kv_rank + a.rope_dim) + real(a.kv_rank + a.heads * (a.nope_dim + a.value_dim)) + values + hidden;
}
double ends(double hidden, const GatedDeltaNet& a) {
  const double keys = real(a.key_heads * a.key_dim), values = real(a.value_heads * a.value_dim);
  return 2 * hidden + 2 * keys + 3 * values;
}

// Gate+up and down of a SwiGLU.
double ffn_ends(double hidden, double width) { return 2 * hidden + 3 * width; }

LocalParameters adapter_share(const MemoryContext& c, const LayerKind& kind) {
  if (!c.train.lora) return {};
  const Lora& lora = *c.train.lora;
  const double hidden = real(c.model.hidden), tp = real(c.parallelism.tp), rank = real(lora.rank);
  LocalParameters share;
  share.dense = std::visit([&](const auto& attention) { return ends(hidden, attention); }, kind.attention);
  if (lora.ffn) {
    if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) {
      if (moe->shared_width > 0) share.dense += ffn_ends(hidden, real(moe->shared_width));
      share.expert = rank * real(moe->experts) / real(c.parallelism.ep) * ffn_ends(hidden, real(moe->width) / real(c.parallelism.etp));
    } else {
      share.dense += ffn_ends(hidden, real(std::get<DenseFfn>(kind.ffn).width));
    }
  }
  share.dense *= rank / tp;
  return share;
}

// One layer's experts: the gradient of W + A B, or frozen gate and up expanded to bf16.
Bytes adapter_workspace(const MemoryContext& c, const MoeFfn& moe) {
  if (!c.train.lora) return {};
  return bf16(expert_matrix(c, moe) * (merges(c) ? 3 : is_quantised(c.train.lora->base) ? 2 : 0));
}

// Where layers differ, the fullest has the largest workspace.
double fullest_overload(const MemoryContext& c, const MoeFfn& moe, double tokens, double mean) {
  const double ranks = real(c.parallelism.ep);
  const bool fixed = c.routing.balancer == Balancer::capacity || c.routing.balancer == Balancer::dynamic;
  if (!c.routing.drawn.shares || fixed || ranks <= 1) return mean;
  const double most = drawn_overloads(moe, c.routing, static_cast<std::size_t>(ranks)).back();
  return std::max(mean, with_chance(most, moe, c.routing.balancer, tokens, ranks));
}

// In backward: rows and their gradient, gradients of gate and up; and what the balancer keeps.
Bytes expert_workspace(const MemoryContext& c, const MoeFfn& moe) {
  const Shape s = shape(c);
  const double etp = real(c.parallelism.etp);
  const double tokens = s.shard * real(c.parallelism.ep) * etp;
  const ExpertLoad load = expert_load(moe, c.routing, tokens, real(c.parallelism.ep));
  const double rows = s.shard * real(moe.top_k) * etp * fullest_overload(c, moe, tokens, load.overload);
  const BalancerWork balancer = balancer_work(moe, c.routing, s.shard, real(c.parallelism.ep));
  const double fetched = c.routing.balancer == Balancer::dynamic ? balancer.copies * 3 * s.hidden * real(moe.width) / etp : 0;
  return bf16(rows * (2 * s.hidden + 3 * real(moe.width) / etp)) + balancer.kept +
         bf16(fetched) + bytes(c.train.gradient, fetched) + adapter_workspace(c, moe);
}

// Of experts that EPLB holds beside its own, in every layer.
double copied_parameters(const MemoryContext& c, const StageContent& stage) {
  if (c.routing.balancer != Balancer::eplb) return 0;
  double sum = 0;
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    const MoeFfn* moe = std::get_if<MoeFfn>(&c.model.kinds[kind].ffn);
    if (moe == nullptr) continue;
    const double copies = balancer_work(*moe, c.routing, 1, real(c.parallelism.ep)).copies;
    sum += stage.layers_of_kind[kind] * copies * 3 * real(c.model.hidden * moe->width) / real(c.parallelism.etp);
  }
  return sum;
}

Bytes sum_of(const std::vector<SavedTensor>& tensors) {
  Bytes sum;
  for (const SavedTensor& tensor : tensors) sum += tensor.bytes;
  return sum;
}

PartMemory layer_memory(const MemoryContext& c, const LayerKind& kind) {
  TrainWorkload all = c.train;
  all.full_recompute = false;
  all.recompute.clear();
  PartMemory part;
  part.parameters = layer_share(c, kind);
  part.adapters = adapter_share(c, kind);
  part.activations = sum_of(saved_tensors(c, kind));
  part.recomputed = sum_of(saved_tensors({c.model, c.parallelism, c.recipe, c.routing, all}, kind)) - part.activations;
  part.stub = part.parameters.dense;
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) {
    part.workspace = expert_workspace(c, *moe);
    part.stub += real(layer_parameters(c.model, kind).expert / c.parallelism.etp);
  } else {  // gradients of gate, up and the activation
    const DenseFfn& dense = std::get<DenseFfn>(kind.ffn);
    part.workspace = bf16(shape(c).tokens * (dense.gated ? 3 : 2) * real(dense.width) / shape(c).tp);
  }
  return part;
}

void add(LocalParameters& sum, const LocalParameters& part, double times) {
  sum.dense += times * part.dense;
  sum.expert += times * part.expert;
  sum.quantised += times * part.quantised;
}

using Parts = std::array<MemoryPart, 7>;

// Of one micro-batch and every layer of a stage: kept for backward; and the most that lives in one op.
struct Activations {
  Bytes kept, within;
};

Activations activations_of(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  Activations sum{.kept = stage.mtp_modules * memory.mtp.activations, .within = {}};
  if (stage.head) sum.within = memory.head.workspace;
  if (stage.mtp_modules > 0) sum.within = max(sum.within, max(memory.head.workspace, memory.mtp.workspace));
  // Uniform recomputation in groups keeps one input a group, and makes a group again at once.
  const bool grouped = c.train.full_recompute && c.train.recompute_method == RecomputeMethod::uniform;
  const double group = grouped ? std::max(1.0, real(c.train.recompute_layers)) : 1;
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    const PartMemory& part = memory.kinds[kind];
    const double layers = stage.layers_of_kind[kind];
    if (stage.layers_of_kind[kind] == 0) continue;
    sum.kept += layers * (part.activations / group + (1 - stage.recomputed) * part.recomputed);
    sum.within = max(sum.within, part.workspace + (stage.recomputed > 0 ? std::min(group, layers) : 0) * part.recomputed);
  }
  if (c.train.offload_layers > 0) {
    sum.kept *= std::max(0.0, 1 - real(c.train.offload_layers) / std::max(1.0, real(stage.layers())));
  }
  return sum;
}

double largest_stub(const ModelMemory& memory, const StageContent& stage) {
  double most = 0;
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    if (stage.layers_of_kind[kind] > 0) most = std::max(most, memory.kinds[kind].stub);
  }
  return most;
}

// Matrices of layers in their resting format, embedding and head in bf16, and the adapters.
Bytes frozen_weights(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage, const LocalParameters& local,
                     const LocalParameters& adapters) {
  const bool own_table = stage.head && !(c.model.tied_embedding && stage.embedding);
  const double tables = memory.table * ((stage.embedding ? 1 : 0) + (own_table ? 1 : 0));
  return bytes(c.train.lora->base, local.dense + local.expert - tables) + bf16(tables + adapters.dense + adapters.expert);
}

Parts parts_of(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage, double micro_batches) {
  const LocalParameters local = local_parameters(c, memory, stage);
  const LocalParameters trained = c.train.lora ? trained_parameters(c, memory, stage) : local;
  const Parallelism& p = c.parallelism;
  const double replicas = real(replica_group(p).size);
  const double dense_ranks = real(data_group(p).size) / replicas, expert_ranks = std::max(1.0, real(expert_data_group(p).size) / replicas);
  // Parameters a device keeps of what is sharded from ZeRO stage `from_stage` on; no stage shards from 4 on.
  const auto cut = [&](const LocalParameters& all, int from_stage) {
    return p.zero >= from_stage ? all.dense / dense_ranks + all.expert / expert_ranks : all.dense + all.expert;
  };
  const auto sharded = [&](int from_stage) { return cut(local, from_stage); };
  // Quantised parameters rest in bf16 beside their copies only where the recipe says so.
  const double in_bf16 = c.recipe.weight == DType::bf16 || local.quantised <= 0 ? 1 : 1 - local.quantised / (local.dense + local.expert);
  const double copies = c.recipe.transposed_weight ? 2 : 1;
  const bool kept = c.recipe.weights_made == Made::optimizer_step;  // else they live within their product
  const DType quantised = bits(c.recipe.expert) < 16 ? c.recipe.expert : c.recipe.linear;
  const Activations live = activations_of(c, memory, stage);
  const double stubs = largest_stub(memory, stage), copied = copied_parameters(c, stage);
  // Under ZeRO 3 two layers' weights are gathered at a time, and a layer's whole gradient waits for its reduction.
  const Bytes gathered = p.zero == 3 ? bf16(2 * stubs) : Bytes{};
  return {{
      {"weights", c.train.lora ? frozen_weights(c, memory, stage, local, trained) : in_bf16 * bf16(sharded(3)) + bf16(copied)},
      {"quantised_weights",
       local.quantised > 0 && kept ? copies * bytes(quantised, local.quantised) * (sharded(3) / sharded(4)) : Bytes{}},
      {"gradients", bytes(c.train.gradient, cut(trained, 2) + copied)},
      {"optimizer", (1 - c.train.offload_optimizer) * cut(trained, 1) * optimizer_bytes_per_parameter(c.train)},
      {"activations", micro_batches * live.kept},
      {"wgrad_stubs", c.train.lora ? Bytes{} : bf16(stubs)},
      {"workspace", live.within + gathered},
  }};
}

// Bytes a logit of what lives at once in the loss, beside the head's own weight gradient. Fused: bf16 logits and their gradient. Over a
// vocabulary that is cut: widened to fp32, turned into exponentials and gradient in place, narrowed at the end. PyTorch's: log-probabilities
// beside the fp32 gradient, narrowed.
double loss_bytes_held(const TrainWorkload& train) {
  const Loss loss = loss_of(train);
  return loss == Loss::vocabulary ? 4 + 2 : loss == Loss::log_softmax ? 4 + 4 + 2 : 2 + 2;
}

}  // namespace

std::int64_t StageContent::layers() const {
  std::int64_t count = mtp_modules;
  for (const int of_kind : layers_of_kind) count += of_kind;
  return count;
}

Bytes Footprint::total() const {
  Bytes sum;
  for (const MemoryPart& part : parts) sum += part.bytes;
  return sum;
}

Bytes Footprint::of(std::string_view name) const {
  for (const MemoryPart& part : parts) {
    if (part.name == name) return part.bytes;
  }
  return {};
}

ModelMemory model_memory(const MemoryContext& c) {
  const Shape s = shape(c);
  ModelMemory memory;
  for (const LayerKind& kind : c.model.kinds) memory.kinds.push_back(layer_memory(c, kind));
  const double logits = s.tokens * real(c.model.vocabulary) / s.tp;
  memory.head.parameters.dense = s.hidden;
  memory.head.workspace = logits * loss_bytes_held(c.train) * byte + bf16(s.hidden * real(c.model.vocabulary) / s.tp);
  if (!c.model.mtp_layers.empty()) {
    memory.mtp = memory.kinds[static_cast<std::size_t>(c.model.mtp_layers[0])];
    memory.mtp.parameters.dense += 2 * s.hidden * s.hidden / s.tp + 3 * s.hidden;
  }
  memory.table = s.hidden * real(c.model.vocabulary) / s.tp;
  return memory;
}

LocalParameters local_parameters(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  LocalParameters local;
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    add(local, memory.kinds[kind].parameters, stage.layers_of_kind[kind]);
  }
  add(local, memory.mtp.parameters, stage.mtp_modules);
  if (stage.embedding) local.dense += memory.table;
  const bool shares_table = c.model.tied_embedding && stage.embedding;
  if (stage.head) local.dense += (shares_table ? 0 : memory.table) + memory.head.parameters.dense;
  // MTP modules embed the next tokens: a stage away from the embedding holds its own copy.
  if (stage.mtp_modules > 0 && !stage.embedding) local.dense += memory.table;
  return local;
}

LocalParameters trained_parameters(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  if (!c.train.lora) return local_parameters(c, memory, stage);
  LocalParameters trained;
  for (std::size_t kind = 0; kind < stage.layers_of_kind.size(); ++kind) {
    add(trained, memory.kinds[kind].adapters, stage.layers_of_kind[kind]);
  }
  add(trained, memory.mtp.adapters, stage.mtp_modules);
  return trained;
}

std::vector<SavedTensor> saved_tensors(const MemoryContext& c, const LayerKind& layer) {
  Saved saved(c.train);
  const Shape s = shape(c);
  saved.add("layer input", bf16(s.shard * s.hidden));
  if (c.train.full_recompute) return saved.take();
  if (c.train.recompute.contains(Recompute::per_op)) {
    per_op_tensors(saved, c, std::get<GroupedQueryAttention>(layer.attention), std::get<DenseFfn>(layer.ffn));
    return saved.take();
  }
  std::visit([&](const auto& attention) { attention_tensors(saved, c, attention); }, layer.attention);
  saved.add("residual", bf16(s.shard * s.hidden));
  if (c.model.dropout) saved.add("dropout masks", s.shard * s.hidden * 2 * byte);
  std::visit([&](const auto& ffn) { ffn_tensors(saved, c, ffn); }, layer.ffn);
  return saved.take();
}

Bytes optimizer_bytes_per_parameter(const TrainWorkload& train) {
  return bytes(train.master, 1) + (train.optimizer == Optimizer::muon ? 1 : 2) * bytes(train.moment, 1);
}

Footprint footprint(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  const Parts parts = parts_of(c, memory, stage, stage.micro_batches);
  return {.parts = {parts.begin(), parts.end()}};
}

Requirement requirement(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  Requirement needs;
  for (const MemoryPart& part : parts_of(c, memory, stage, 1)) (part.name == "activations" ? needs.kept : needs.fixed) += part.bytes;
  return needs;
}

Bytes states(const MemoryContext& c, const ModelMemory& memory, const StageContent& stage) {
  const Parts parts = parts_of(c, memory, stage, stage.micro_batches);
  return parts[0].bytes + parts[2].bytes + parts[3].bytes;
}

}  // namespace moeline
