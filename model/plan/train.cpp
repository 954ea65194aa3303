#include "plan/train.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "net/collectives.hpp"
#include "ops/decoder.hpp"
#include "plan/pipeline.hpp"
#include "plan/stages.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Parameters per gradient bucket; reduction can start once the first bucket is full (Megatron-Core default).
constexpr double kBucket = 40e6;
const std::vector<std::string_view> kExchanges{"dispatch", "combine"};

struct ForwardBackward {
  StepCost forward, backward;
};

// Everything that repeats: each kind of layer, embedding, head, MTP, priced once.
struct Parts {
  std::vector<ForwardBackward> kinds;
  ForwardBackward embedding, head, mtp;
};

class Trainer {
 public:
  Trainer(const Scenario& scenario, const TrainWorkload& train, const Machine& machine)
      : s_(scenario), p_(scenario.parallelism), train_(train), machine_(machine),
        context_{scenario.model, scenario.parallelism, scenario.recipe, scenario.routing,
                 real(train.micro_batch), real(train.sequence), train},
        memory_context_{scenario.model, scenario.parallelism, scenario.recipe, scenario.routing, train} {}

  std::variant<TrainEvaluation, Infeasible> run(std::vector<Warning>& warnings);

 private:
  std::optional<Infeasible> check_batch();
  void price_parts();
  std::optional<Infeasible> cut();
  std::optional<Infeasible> check_memory(TrainEvaluation& result) const;
  Breakdown chunk_breakdown(const StageContent& chunk, bool forward) const;
  Breakdown stage_breakdown(std::int64_t stage, bool forward) const;
  double overlapped_share(std::int64_t stage) const;
  void price_chunks();
  void add_outer(TrainEvaluation& result, std::int64_t stage) const;
  Bytes gathered_weights(double parameters, const LocalParameters& local) const;
  StageContent whole_stage(std::int64_t stage) const;

  const Scenario& s_;
  const Parallelism& p_;
  const TrainWorkload& train_;
  const Machine& machine_;
  DecoderContext context_;
  MemoryContext memory_context_;
  Parts parts_;
  Chunks chunks_;
  PipelineProblem pipeline_;
};

std::optional<Infeasible> Trainer::check_batch() {
  const std::int64_t samples = p_.dp * train_.micro_batch;
  if (train_.global_batch % samples != 0) {
    return Infeasible{fmt::format("dp x micro_batch = {} does not divide global_batch {}", samples, train_.global_batch),
                      fmt::format("change global_batch to a multiple of {}", samples)};
  }
  pipeline_.schedule = p_.schedule;
  pipeline_.stages = p_.pp;
  pipeline_.chunks_per_stage = p_.vpp;
  pipeline_.micro_batches = train_.global_batch / samples;
  if (p_.vpp > 1 && pipeline_.micro_batches % p_.pp != 0) {
    return Infeasible{fmt::format("interleaved 1F1B needs micro-batches in multiples of pp; there are {} for pp={}",
                                  pipeline_.micro_batches, p_.pp),
                      "raise global_batch, or set vpp=1"};
  }
  if (p_.vpp > 1 && p_.pp == 1) return Infeasible{"vpp > 1 needs pp > 1", "set vpp=1"};
  if (pipeline_.micro_batches * p_.pp * p_.vpp > (1 << 24)) {
    return Infeasible{fmt::format("{} micro-batches over {} chunks are more than can be simulated",
                                  pipeline_.micro_batches, p_.pp * p_.vpp),
                      "raise micro_batch or dp"};
  }
  if (train_.sequence % (p_.cp * p_.tp) != 0) {
    return Infeasible{fmt::format("cp x tp = {} does not divide the sequence of {}", p_.cp * p_.tp, train_.sequence),
                      "change sequence, cp or tp so that it does"};
  }
  return std::nullopt;
}

void Trainer::price_parts() {
  for (const LayerKind& kind : s_.model.kinds) {
    parts_.kinds.push_back({step_cost(layer_forward(context_, kind), machine_),
                            step_cost(layer_backward(context_, kind), machine_)});
  }
  parts_.embedding = {step_cost(embedding_forward(context_), machine_), step_cost(embedding_backward(context_), machine_)};
  parts_.head = {step_cost(head_forward(context_), machine_), step_cost(head_backward(context_), machine_)};
  parts_.mtp = {step_cost(mtp_forward(context_), machine_), step_cost(mtp_backward(context_), machine_)};
}

std::optional<Infeasible> Trainer::cut() {
  const auto both = [](const ForwardBackward& part) { return part.forward.makespan + part.backward.makespan; };
  if (train_.pipeline_layout.empty()) {
    PartTimes times;
    for (const ForwardBackward& kind : parts_.kinds) times.kind.push_back(both(kind));
    times.embedding = both(parts_.embedding);
    times.head = both(parts_.head);
    times.mtp = both(parts_.mtp) + both(parts_.head);
    if (train_.mtp_layers > 0) times.mtp += times.kind[static_cast<std::size_t>(s_.model.mtp_layers[0])];
    chunks_ = default_chunks(s_.model, train_.mtp_layers, p_.pp * p_.vpp, times);
  } else {
    auto parsed = parse_layout(train_.pipeline_layout, s_.model, train_.mtp_layers, p_.pp * p_.vpp);
    if (Infeasible* why = std::get_if<Infeasible>(&parsed)) return *why;
    chunks_ = std::get<Chunks>(std::move(parsed));
  }
  return std::nullopt;
}

StageContent Trainer::whole_stage(std::int64_t stage) const {
  StageContent whole;
  whole.layers_of_kind.assign(s_.model.kinds.size(), 0);
  for (std::int64_t v = 0; v < p_.vpp; ++v) {
    const StageContent& chunk = chunks_[static_cast<std::size_t>(v * p_.pp + stage)];
    for (std::size_t k = 0; k < whole.layers_of_kind.size(); ++k) whole.layers_of_kind[k] += chunk.layers_of_kind[k];
    whole.mtp_modules += chunk.mtp_modules;
    whole.embedding |= chunk.embedding;
    whole.head |= chunk.head;
  }
  whole.micro_batches = chunks_in_flight(pipeline_, stage) / real(p_.vpp);
  return whole;
}

std::optional<Infeasible> Trainer::check_memory(TrainEvaluation& result) const {
  result.memory_available = machine_.gpu.hbm_capacity.value;
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    const Footprint candidate = footprint(memory_context_, whole_stage(stage));
    if (stage == 0 || candidate.total() > result.memory.total()) {
      result.memory = candidate;
      result.memory_stage = stage;
    }
  }
  const Bytes need = result.memory.total(), have = result.memory_available;
  if (need <= have) return std::nullopt;
  const auto largest = std::max_element(result.memory.parts.begin(), result.memory.parts.end(),
                                        [](const MemoryPart& a, const MemoryPart& b) { return a.bytes < b.bytes; });
  const std::string advice = largest->name == "activations"
                                 ? "recompute more (workload/recompute: mla_up_proj, moe_act, layernorm, moe or full), raise tp or pp"
                             : largest->name == "optimizer" ? "raise dp or ep, use adam_bf16_states, or raise pp"
                                                            : "raise ep, tp or pp, or zero to 3";
  return Infeasible{fmt::format("out of memory: stage {} needs {} of {}, most of it {} ({})", result.memory_stage,
                                format(need), format(have), largest->name, format(largest->bytes)),
                    advice, need, have};
}

// Time-weighted share of micro-batches whose exchanges can hide behind another one's compute: all but the warm-up.
double Trainer::overlapped_share(std::int64_t stage) const {
  if (!train_.overlap.contains(Overlap::ep_1f1b)) return 0;
  const double all = real(pipeline_.micro_batches * p_.vpp);
  return std::max(0.0, (all - chunks_in_flight(pipeline_, stage)) / all);
}

Breakdown Trainer::chunk_breakdown(const StageContent& chunk, bool forward) const {
  Breakdown sum;
  const auto pick = [&](const ForwardBackward& part) -> const Breakdown& {
    return forward ? part.forward.breakdown : part.backward.breakdown;
  };
  for (std::size_t k = 0; k < chunk.layers_of_kind.size(); ++k) {
    if (chunk.layers_of_kind[k] > 0) sum.add(pick(parts_.kinds[k]), chunk.layers_of_kind[k]);
  }
  if (chunk.embedding) sum.add(pick(parts_.embedding));
  if (chunk.mtp_modules > 0) {
    sum.add(pick(parts_.mtp), chunk.mtp_modules);
    sum.add(pick(parts_.kinds[static_cast<std::size_t>(s_.model.mtp_layers[0])]), chunk.mtp_modules);
    sum.add(pick(parts_.head), chunk.mtp_modules);
  }
  if (chunk.head) sum.add(pick(parts_.head));
  return sum;
}

Seconds exchange_time(const Breakdown& breakdown) {
  Seconds sum;
  for (const BreakdownRow& row : breakdown.rows()) {
    if (std::find(kExchanges.begin(), kExchanges.end(), row.name) != kExchanges.end()) sum += row.exposed;
  }
  return sum;
}

// One micro-batch through all chunks of a stage, exchanges hidden where 1F1B overlap reaches.
Breakdown Trainer::stage_breakdown(std::int64_t stage, bool forward) const {
  Breakdown sum, other;
  for (std::int64_t v = 0; v < p_.vpp; ++v) {
    const StageContent& chunk = chunks_[static_cast<std::size_t>(v * p_.pp + stage)];
    sum.add(chunk_breakdown(chunk, forward));
    other.add(chunk_breakdown(chunk, !forward));
  }
  // Forward of one micro-batch beside backward of another: the pair takes what is longer, compute or exchange.
  const Seconds exchange = exchange_time(sum) + exchange_time(other);
  const Seconds compute = sum.exposed() + other.exposed() - exchange;
  if (exchange > Seconds{}) {
    const Seconds hidden = overlapped_share(stage) * min(exchange, compute);
    sum.hide(kExchanges, hidden * (exchange_time(sum) / exchange));
  }
  return sum;
}

void Trainer::price_chunks() {
  const Bytes message = bytes(DType::bf16, context_.shard_tokens() * real(s_.model.hidden));
  if (p_.pp > 1 && !is_free(machine_, "pipeline transfers")) {
    pipeline_.transfer = cost(Collective{CollectiveKind::send_recv, message, pipeline_group(p_)}, machine_.fabric,
                              machine_.calibration).time;
  }
  pipeline_.transfer_occupies = !train_.overlap.contains(Overlap::pp);
  pipeline_.chunks.resize(chunks_.size());
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) {
    for (const bool forward : {true, false}) {
      Seconds plain;
      for (std::int64_t v = 0; v < p_.vpp; ++v) {
        plain += chunk_breakdown(chunks_[static_cast<std::size_t>(v * p_.pp + stage)], forward).exposed();
      }
      const double kept = plain > Seconds{} ? stage_breakdown(stage, forward).exposed() / plain : 1;
      for (std::int64_t v = 0; v < p_.vpp; ++v) {
        const auto c = static_cast<std::size_t>(v * p_.pp + stage);
        const Seconds time = kept * chunk_breakdown(chunks_[c], forward).exposed();
        (forward ? pipeline_.chunks[c].forward : pipeline_.chunks[c].backward) = time;
      }
    }
  }
}

// A collective that runs once per step behind `cover` of compute, exposed at least by its last bucket.
BreakdownRow behind(std::string_view name, std::string_view phase, const OpCost& cost, double repeats, Seconds cover,
                    bool overlapped, double buckets) {
  const Seconds total = repeats * cost.time;
  const Seconds exposed = overlapped ? min(total, max(total - cover, cost.time / std::max(1.0, buckets))) : total;
  return {.name = name, .phase = phase, .lane = Lane::network, .seconds = total, .exposed = exposed,
          .bytes = repeats * cost.bytes, .bound_by = cost.bound_by, .source = cost.source, .spread = cost.spread,
          .largest = total};
}

// Weights travel in the format they rest in; the quantised share is taken as that of the whole stage.
Bytes Trainer::gathered_weights(double parameters, const LocalParameters& local) const {
  const double share = s_.recipe.weight == DType::bf16 ? 0 : local.quantised / (local.dense + local.expert);
  return bytes(DType::bf16, (1 - share) * parameters) + bytes(s_.recipe.weight, share * parameters);
}

// What happens once per step: gradient reduction, optimiser, weight quantisation, parameter gather.
void Trainer::add_outer(TrainEvaluation& result, std::int64_t stage) const {
  const auto add_unless_free = [&](const BreakdownRow& row) {
    if (!is_free(machine_, row.name)) result.breakdown.add(row);
  };
  const LocalParameters local = local_parameters(memory_context_, whole_stage(stage));
  const Seconds forward = stage_breakdown(stage, true).exposed(), backward = stage_breakdown(stage, false).exposed();
  const double m = real(pipeline_.micro_batches);
  const Calibration& fit = machine_.calibration;
  const bool reduce_hidden = train_.overlap.contains(Overlap::dp_reduce);
  const bool gather_hidden = train_.overlap.contains(Overlap::param_gather);
  const double reductions = p_.zero >= 2 ? m : 1, gathers = p_.zero == 3 ? 2 * m : 1;
  Seconds cover_reduce = p_.zero >= 2 ? m * backward : backward, cover_gather = p_.zero == 3 ? m * (forward + backward) : forward;
  for (const auto& [parameters, group] : {std::pair{local.dense, data_group(p_)}, std::pair{local.expert, expert_data_group(p_)}}) {
    if (group.size <= 1 || parameters <= 0) continue;
    const double buckets = parameters / kBucket;
    const auto kind = p_.zero == 0 ? CollectiveKind::all_reduce : CollectiveKind::reduce_scatter;
    const OpCost reduce = cost(Collective{kind, bytes(train_.gradient, parameters), group}, machine_.fabric, fit);
    const BreakdownRow reduction = behind("gradient reduction", "backward", reduce, reductions, cover_reduce, reduce_hidden, buckets);
    add_unless_free(reduction);
    cover_reduce = max(Seconds{}, cover_reduce - (reduction.seconds - reduction.exposed));
    if (p_.zero == 0) continue;
    const OpCost gather = cost(Collective{CollectiveKind::all_gather, gathered_weights(parameters, local), group}, machine_.fabric, fit);
    const BreakdownRow row = behind("parameter gather", "forward", gather, gathers, cover_gather, gather_hidden, buckets);
    add_unless_free(row);
    cover_gather = max(Seconds{}, cover_gather - (row.seconds - row.exposed));
  }
  const double owned = p_.zero >= 1 ? local.dense / real(p_.dp * p_.cp) + local.expert / real(p_.edp())
                                    : local.dense + local.expert;
  // States are read and written, the gradient read twice (norm, update), the weight written.
  const Bytes states = owned * optimizer_bytes_per_parameter(train_.optimizer);
  const Elementwise update{states + 2 * bytes(train_.gradient, owned), states + bytes(DType::bf16, owned)};
  const OpCost adam = cost(update, machine_);
  add_unless_free({.name = "optimizer", .phase = "optimizer", .seconds = adam.time, .exposed = adam.time,
                        .bytes = adam.bytes, .bound_by = adam.bound_by, .source = adam.source, .spread = adam.spread,
                        .largest = adam.time});
  if (local.quantised > 0 && s_.recipe.weights_made == Made::optimizer_step) {
    const DType type = bits(s_.recipe.expert) < 16 ? s_.recipe.expert : s_.recipe.linear;
    const OpCost pass = cost(Quantize{.elements = local.quantised, .to = type, .copies = s_.recipe.transposed_weight ? 2.0 : 1.0,
                                      .kernels = s_.recipe.kernels}, machine_);
    add_unless_free({.name = "quantise weights", .phase = "optimizer", .seconds = pass.time, .exposed = pass.time,
                          .bytes = pass.bytes, .bound_by = pass.bound_by, .source = pass.source, .spread = pass.spread,
                          .largest = pass.time});
  }
}

std::variant<TrainEvaluation, Infeasible> Trainer::run(std::vector<Warning>& warnings) {
  TrainEvaluation result;
  if (auto why = check_batch()) return *why;
  price_parts();
  if (auto why = cut()) return *why;
  if (auto why = check_memory(result)) return *why;
  price_chunks();
  const PipelineResult pipeline = simulate(pipeline_);
  const auto busiest = std::max_element(pipeline.busy.begin(), pipeline.busy.end());
  result.busiest_stage = busiest - pipeline.busy.begin();
  result.micro_batches = pipeline_.micro_batches;
  const double m = real(pipeline_.micro_batches);
  result.breakdown.add(stage_breakdown(result.busiest_stage, true), m);
  result.breakdown.add(stage_breakdown(result.busiest_stage, false), m);
  const auto waiting = [&](std::string_view name, Seconds time, Lane lane) {
    if (!(time > 1e-9 * pipeline.makespan) || is_free(machine_, name)) return;  // rounding is no waiting
    result.breakdown.add({.name = name, .phase = "pipeline", .lane = lane, .seconds = time, .exposed = time,
                          .bound_by = "schedule", .source = result.breakdown.source(), .largest = time});
  };
  const Seconds work = result.breakdown.exposed();
  waiting("pipeline transfers", *busiest - work, Lane::network);
  waiting("pipeline bubble", pipeline.makespan - *busiest, Lane::compute);
  add_outer(result, result.busiest_stage);
  result.step.value = result.breakdown.exposed();
  result.parallelism = p_;
  if (p_.pp * p_.vpp > 1) result.layout = layout_text(chunks_);
  for (std::int64_t stage = 0; stage < p_.pp; ++stage) result.stage_layers.push_back(whole_stage(stage).layers_of_kind);
  const double bubble = (pipeline.makespan - *busiest) / result.step.value;
  if (bubble > 0.15) {
    warnings.push_back({"bubble", fmt::format("the pipeline bubble takes {:.0f} % of the step", 100 * bubble),
                        "more micro-batches per step (global_batch), a larger vpp, or a smaller pp"});
  }
  if (result.memory.total() > 0.92 * result.memory_available) {
    warnings.push_back({"memory_tight",
                        fmt::format("{} of {} before CUDA context, NCCL buffers and fragmentation",
                                    format(result.memory.total()), format(result.memory_available)),
                        "recompute more, or cut the model further"});
  }
  return result;
}

}  // namespace

std::variant<TrainEvaluation, Infeasible> evaluate_train(const Scenario& scenario, const TrainWorkload& train,
                                                         const Machine& machine, std::vector<Warning>& warnings) {
  return Trainer(scenario, train, machine).run(warnings);
}

}  // namespace moeline
