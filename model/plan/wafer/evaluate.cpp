#include "plan/wafer/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/wafer/step.hpp"
#include "units_text.hpp"
#include "wafer/break_even.hpp"
#include "wafer/resident.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// A stream that shows by less than this share of the step does not hold it back.
constexpr double kNoticed = 0.02;

// The ends of the range: peaks and lines in full, and kPublishedPair.
constexpr WaferConduct kPeaks{.efficiency = 1};

struct Candidate {
  TilePlan plan;
  TileLimits limits;
  Seconds time;
};

class Chooser {
 public:
  Chooser(const Scenario& scenario, const WaferOptions& options, const SramContext& memory, std::int64_t sequences)
      : options_(options),
        memory_(memory),
        capacity_(memory_capacity(scenario.cluster.device)),
        sequences_(sequences) {}

  // The quickest cut by `price`, or why there is none. Scores are stored whole while a single tile of them fits.
  template <class Price>
  std::variant<Candidate, Infeasible> best(Price price) const {
    std::optional<Candidate> best;
    std::optional<Infeasible> why;
    std::vector<KeepInputs> ways{options_.keep_inputs};
    if (options_.keep_inputs == KeepInputs::automatic)
      ways = {KeepInputs::sram, KeepInputs::offload, KeepInputs::recompute};
    for (const KeepInputs way : ways) {
      TilePlan plan{.keep = way,
                    .scores = Scores::materialised,
                    .keep_internals = options_.keep_internals,
                    .accumulate_on_wafer = options_.accumulate_on_wafer};
      if (options_.scores == Scores::blockwise) plan.scores = Scores::blockwise;
      std::optional<Infeasible> overflow = try_tiles(plan, price, best);
      if (overflow && options_.scores == Scores::automatic) {
        plan.scores = Scores::blockwise;
        overflow = try_tiles(plan, price, best);
      }
      if (overflow && (!why || overflow->need < why->need)) why = overflow;
    }
    if (best) return *best;
    return *why;
  }

 private:
  // Prices every cut of `plan` that fits; none: why the least demanding does not.
  template <class Price>
  std::optional<Infeasible> try_tiles(TilePlan plan, Price price, std::optional<Candidate>& best) const {
    std::optional<Infeasible> why;
    bool any = false;
    const std::int64_t cap = tile_limits(memory_, plan, capacity_, 0, sequences_).tile_cap;
    std::vector<std::int64_t> tiles_of{options_.attention_tile};
    if (options_.attention_tile == 0) {  // a large B takes SRAM from G: halve it down to one sequence
      tiles_of.clear();
      for (std::int64_t b = cap; b >= 1; b /= 2) tiles_of.push_back(b);
      if (tiles_of.empty()) tiles_of.push_back(0);
    }
    for (const std::int64_t tile : tiles_of) {
      const TileLimits limits = tile_limits(memory_, plan, capacity_, tile, sequences_);
      if (auto overflow = problem(plan, limits)) {
        why = overflow;  // the last is the smallest tile
        continue;
      }
      any = true;
      for (const std::int64_t tiles : counts(limits)) {
        plan.tile = limits.tile;
        plan.sequences = std::min(real(tiles * limits.tile), real(sequences_));
        const Seconds time = price(plan);
        if (!best || time < (1 - 1e-12) * best->time) best = Candidate{plan, limits, time};
      }
    }
    return any ? std::nullopt : why;
  }

  std::vector<std::int64_t> counts(const TileLimits& limits) const {
    if (options_.tiles > 0) return {options_.tiles};
    return tile_candidates(std::min(limits.tiles_in_memory, limits.tiles_in_batch), limits.tile, sequences_);
  }

  std::optional<Infeasible> problem(TilePlan plan, const TileLimits& limits) const {
    const std::int64_t tiles = std::max<std::int64_t>(1, options_.tiles);
    plan.tile = std::max<std::int64_t>(1, limits.tile);
    plan.sequences = real(tiles * plan.tile);
    if (options_.tiles > limits.tiles_in_batch && limits.tile > 0) {
      return Infeasible{fmt::format("g={} tiles of {} sequences are more than the {} sequences of a step on one system",
                                    tiles, limits.tile, sequences_),
                        "raise global_batch, or lower workload/wafer/g or attention_tile"};
    }
    if (limits.tile > 0 && tiles <= limits.tiles_in_memory) return std::nullopt;
    const Footprint need = sram(memory_, plan);
    const auto largest = std::max_element(need.parts.begin(), need.parts.end(),
                                          [](const MemoryPart& a, const MemoryPart& b) { return a.bytes < b.bytes; });
    const std::string advice =
        limits.tiles_in_memory > 0 ? fmt::format("the largest g that fits is {}", limits.tiles_in_memory)
        : limits.tile_cap > 0      ? fmt::format("the largest attention_tile that fits is {}", limits.tile_cap)
                                   : "no g fits: " + cure(largest->name);
    return Infeasible{
        fmt::format("out of SRAM: g={} tiles of {} sequences need {} of {}, most of it {} ({})", tiles, plan.tile,
                    format(need.total()), format(capacity_), largest->name, format(largest->bytes)),
        advice, need.total(), capacity_};
  }

  static std::string cure(std::string_view largest) {
    if (largest == "gradient_sum") return "set workload/wafer/accumulate to outside";
    if (largest == "layer_weights") return "one layer's weights must fit the wafer";
    return "choose a shorter sequence, keep_inputs offload or scores blockwise";
  }

  const WaferOptions& options_;
  const SramContext& memory_;
  Bytes capacity_;
  std::int64_t sequences_;
};

std::optional<Infeasible> check_cluster(const Scenario& s, const TrainWorkload& train) {
  if (train.global_batch % s.cluster.devices != 0) {
    return Infeasible{fmt::format("{} systems do not divide global_batch {}", s.cluster.devices, train.global_batch),
                      fmt::format("change global_batch to a multiple of {}", s.cluster.devices)};
  }
  const Tier& tree = s.cluster.fabric.front();
  if (s.cluster.devices > tree.span.value) {
    return Infeasible{fmt::format("{} systems, and {} joins at most {}", s.cluster.devices, tree.name, tree.span.value),
                      "use fewer systems"};
  }
  if (!s.cluster.external_memory || !s.cluster.external_memory->capacity) return std::nullopt;
  // fp32 master weights and moments, a 16-bit copy to stream, the sum of gradients.
  const double all = real(parameters(s.model).main);
  const Bytes need =
      all * optimizer_bytes_per_parameter(train) + bytes(DType::bf16, all) + bytes(DType::fp32, all);
  const Bytes have = s.cluster.external_memory->capacity->value;
  if (need <= have) return std::nullopt;
  return Infeasible{fmt::format("the model and its optimiser states take {} of external memory, which holds {}",
                                format(need), format(have)),
                    "use adam_bf16_states, or a larger external memory", need, have};
}

// Which side holds the step: arithmetic, what is fixed, or a stream, and what would have to give for more tokens under
// it.
std::string binding_side(const WaferAnswer& a, const TrainEvaluation& result, bool moe) {
  Seconds fixed;
  BreakdownRow most;
  for (const BreakdownRow& row : result.breakdown.rows()) {
    if (row.bound_by == "overhead") fixed += row.exposed;
    const bool once = row.name == "fill" || row.name == "drain" || row.name == "optimizer";
    if (row.lane == Lane::network && !once && row.exposed > most.exposed) most = row;
  }
  const Seconds step = result.step.value;
  if (a.exposed_stream < max(fixed, kNoticed * step)) {
    return fixed > step - fixed - a.exposed_stream ? "fixed costs of layers and tiles" : "compute";
  }
  if (most.name.starts_with("layer inputs")) return "layer-input offload: it grows with the batch as compute does";
  const std::string stream = moe ? "expert stream" : "weight stream";
  const double g = a.plan.tiles();
  if (g == 1 && a.tiles_given && a.plan.tile == a.limits.tile_cap) {
    return fmt::format("attention memory: SRAM holds {} of attention, too few rows for the {}",
                       a.plan.tile == 1 ? "one sequence" : fmt::format("{} sequences", a.plan.tile), stream);
  }
  if (a.tiles_given) return fmt::format("{}: a larger g would help", stream);
  if (g >= real(a.limits.tiles_in_batch)) {
    return fmt::format("{}: a step gives one system no more than {} tokens", stream,
                       format_count(std::llround(a.tokens)));
  }
  return fmt::format("{}: SRAM holds no more than {} tokens at once", stream, format_count(std::llround(a.tokens)));
}

// Break-even tokens beside the tokens that are there; tiling and tokens are set.
void add_balance(WaferAnswer& a, const Scenario& s, const CoreArray& array, const WaferLines& lines) {
  const ModelParameters count = parameters(s.model);
  const StreamBalance balance{array.rate(), lines.input, bytes(DType::bf16, 1)};
  a.break_even_dense = break_even_rows(balance);
  a.break_even_model = break_even_tokens(balance, real(count.main), real(count.active));
  if (const MoeFfn* moe = any_moe(s.model)) {
    a.break_even_expert = break_even_rows(balance);
    a.expert_tokens = a.tokens * real(moe->top_k) / real(moe->experts);
  }
}

void describe(WaferAnswer& a, const Scenario& s, const WaferStep& step, const TrainEvaluation& result) {
  add_balance(a, s, step.array(), step.lines());
  for (const BreakdownRow& row : result.breakdown.rows()) {
    if (row.lane != Lane::network) continue;
    a.stream += row.seconds;
    a.exposed_stream += row.exposed;
  }
  a.binds = binding_side(a, result, any_moe(s.model) != nullptr);
}

// Layers of each kind, as one stage; what every answer has.
TrainEvaluation common(const Scenario& s) {
  TrainEvaluation result;
  result.memory_available = memory_capacity(s.cluster.device);
  result.parallelism = Parallelism{};
  result.parallelism.dp = s.cluster.devices;
  KindCounts layers;
  layers.assign(s.model.kinds.size(), 0);
  for (const int kind : s.model.layers) ++layers[static_cast<std::size_t>(kind)];
  result.cut = std::make_shared<const StageCut>(StageCut{"", {layers}});
  return result;
}

TrainEvaluation streamed(const Scenario& s, const TrainWorkload& train, const WaferStep& step, const Candidate& chosen,
                         std::int64_t sequences) {
  TrainEvaluation result = common(s);
  result.step.value = step.step(chosen.plan, sequences, &result.breakdown);
  const Seconds quick = WaferStep(s, train, kPeaks).step(chosen.plan, sequences);
  const Seconds slow = WaferStep(s, train, kPublishedPair).step(chosen.plan, sequences);
  result.step.p10 = min(result.step.value, quick);
  result.step.p90 = max(result.step.value, slow);
  result.micro_batches = static_cast<std::int64_t>(std::ceil(real(sequences) / chosen.plan.sequences));
  result.memory = sram(step.memory(), chosen.plan);
  result.wafer = WaferAnswer{.plan = chosen.plan,
                             .limits = chosen.limits,
                             .tiles_given = train.wafer.tiles > 0,
                             .conduct = step.array().conduct,
                             .tokens = chosen.plan.sequences * real(train.sequence),
                             .passes = step.passes(chosen.plan, sequences)};
  describe(*result.wafer, s, step, result);
  return result;
}

std::variant<TrainEvaluation, Infeasible> resident(const Scenario& s, const TrainWorkload& train, const WaferStep& step,
                                                   std::int64_t sequences) {
  if (s.cluster.devices > 1) {
    return Infeasible{fmt::format("{} systems: a resident model runs on one", s.cluster.devices),
                      "set workload/wafer/mode to streaming, or devices to 1"};
  }
  TrainEvaluation result = common(s);
  result.memory = resident_sram(step.memory(), train);
  if (result.memory.total() > result.memory_available) {
    return Infeasible{fmt::format("out of SRAM: resident, the model takes {} of {}", format(result.memory.total()),
                                  format(result.memory_available)),
                      "set workload/wafer/mode to streaming", result.memory.total(), result.memory_available};
  }
  const auto layers = static_cast<double>(s.model.layers.size());
  ResidentTerms terms = resident_terms(step.sequence_time(), real(sequences), layers);
  if (is_free(step.array(), "pipeline fill")) terms.fill = {};
  result.breakdown.add(step.sequence_breakdown(), real(sequences));
  result.breakdown.add({.name = "pipeline fill",
                        .phase = "pipeline",
                        .seconds = terms.fill,
                        .exposed = terms.fill,
                        .bound_by = "schedule",
                        .source = Source::assumed,
                        .largest = terms.fill});
  result.step.value = terms.work + terms.fill;
  result.step.p10 = result.step.value * step.array().conduct.efficiency;
  result.step.p90 =
      max(result.step.value, result.step.value * (step.array().conduct.efficiency / kPublishedPair.efficiency));
  result.micro_batches = sequences;
  result.wafer = WaferAnswer{.mode = WaferMode::resident,
                             .plan = {.keep = KeepInputs::sram},
                             .conduct = step.array().conduct,
                             .tokens = real(train.sequence)};
  describe(*result.wafer, s, step, result);
  return result;
}

std::variant<TrainEvaluation, Infeasible> answer(const Scenario& s, const TrainWorkload& train,
                                                 std::vector<std::string_view> free) {
  if (auto why = check_cluster(s, train)) return *why;
  const std::int64_t sequences = train.global_batch / s.cluster.devices;
  const WaferStep step(s, train, train.wafer.conduct, std::move(free));
  std::variant<TrainEvaluation, Infeasible> whole = Infeasible{};
  if (train.wafer.mode != WaferMode::streaming) whole = resident(s, train, step, sequences);
  if (train.wafer.mode == WaferMode::resident) return whole;
  const auto chosen = Chooser(s, train.wafer, step.memory(), sequences).best([&](const TilePlan& plan) {
    return step.step(plan, sequences);
  });
  const TrainEvaluation* fits = std::get_if<TrainEvaluation>(&whole);
  const Candidate* stream = std::get_if<Candidate>(&chosen);
  if (fits != nullptr && (stream == nullptr || fits->step.value < stream->time)) return whole;
  if (stream == nullptr) return std::get<Infeasible>(chosen);
  return streamed(s, train, step, *stream, sequences);
}

void add_rows(const Step& step, std::string_view phase, const CoreArray& array, LayerEvaluation& result,
              Seconds& compute) {
  for (const Op& op : step) {
    const OpCost c = is_free(array, op.group) ? OpCost{.source = Source::measured} : cost(op.work, array);
    result.rows.push_back({op.name, op.group, phase, op.lane, c, c.time});
    compute += c.time;
  }
}

void add_stream(std::string_view name, std::string_view phase, Bytes bytes, Seconds time, Seconds exposed,
                std::string_view bound_by, LayerEvaluation& result) {
  if (!(time > Seconds{})) return;
  const OpCost cost{.bytes = bytes, .time = time, .bound_by = bound_by, .source = Source::assumed};
  result.rows.push_back({name, name, phase, Lane::network, cost, exposed});
}

}  // namespace

std::optional<Infeasible> check_wafer_scenario(const Scenario& s, std::vector<Warning>& warnings) {
  const Wafer& wafer = std::get<Wafer>(s.cluster.device);
  for (const DType type : {s.recipe.linear, s.recipe.expert, s.recipe.router, s.recipe.head}) {
    if (!wafer.dense_peak.of(type)) {
      return Infeasible{
          fmt::format("{} has no {} path, which recipe {} needs", wafer.name, tensor_path(type), s.recipe.name),
          "choose --recipe bf16"};
    }
  }
  const Parallelism& p = s.parallelism;
  if (p.tp * p.pp * p.vpp * p.ep * p.etp * p.cp > 1) {
    warnings.push_back(
        {"parallelism_ignored",
         "tp, pp, vpp, ep, etp and cp mean nothing on a wafer and are ignored: every system runs the whole model",
         "workload/wafer says how a step is cut there"});
  }
  return std::nullopt;
}

std::variant<TrainEvaluation, Infeasible> evaluate_wafer_train(const Scenario& s, const TrainWorkload& train,
                                                               std::vector<Warning>& warnings,
                                                               std::vector<std::string_view> free) {
  auto result = answer(s, train, std::move(free));
  if (const TrainEvaluation* train_result = std::get_if<TrainEvaluation>(&result)) {
    const WaferConduct& c = train_result->wafer->conduct;
    warnings.push_back(
        {"wafer_assumed",
         fmt::format("the cores are taken to reach {:.0f} % of their peak; nothing published measures it",
                     100 * c.efficiency),
         "the range ends where constants that give the published batch-tiling rates would put the step"});
  }
  return result;
}

std::variant<LayerEvaluation, Infeasible> evaluate_wafer_layer(const Scenario& s, const LayerWorkload& layer,
                                                               std::vector<std::string_view> free) {
  TrainWorkload train;
  train.sequence = std::min(layer.sequence, layer.tokens);
  train.mtp_layers = 0;
  const Parallelism one;
  const double sequences = real(layer.tokens) / real(train.sequence);
  const SramContext memory{s.model, real(train.sequence), DType::bf16, layer.wafer.gradient_wire, 0};
  WaferOptions options = layer.wafer;
  if (options.keep_inputs == KeepInputs::automatic) options.keep_inputs = KeepInputs::offload;
  const auto whole = static_cast<std::int64_t>(std::ceil(sequences));
  // All tokens in one micro-batch: the largest G that holds them, however many tiles that is.
  const auto chosen =
      Chooser(s, options, memory, whole).best([](const TilePlan& plan) { return 1 / plan.sequences * second; });
  if (const Infeasible* why = std::get_if<Infeasible>(&chosen)) return *why;
  const Candidate& cut = std::get<Candidate>(chosen);
  TilePlan plan = cut.plan;
  if (plan.sequences < sequences && options.tiles == 0) {
    return Infeasible{fmt::format("out of SRAM: {} tokens do not fit one micro-batch", layer.tokens),
                      fmt::format("the largest g that fits is {:.0f}, {:.0f} tokens", plan.tiles(),
                                  plan.sequences * memory.sequence)};
  }
  plan.sequences = sequences;
  const DecoderContext context{s.model, one, s.recipe, s.routing, sequences, real(train.sequence), train};
  const CoreArray array = core_array(std::get<Wafer>(s.cluster.device), layer.wafer.conduct, std::move(free));
  const WaferLines lines = wafer_lines(s.cluster, layer.wafer.conduct);
  const auto moe = std::find_if(s.model.kinds.begin(), s.model.kinds.end(),
                                [](const LayerKind& kind) { return std::holds_alternative<MoeFfn>(kind.ffn); });
  const LayerKind& kind = moe != s.model.kinds.end() ? *moe : s.model.kinds.front();
  LayerEvaluation result;
  const std::string_view place = moe != s.model.kinds.end() ? "MoE layer" : "dense layer";
  result.kind = place;
  WaferAnswer answer{.plan = plan,
                     .limits = cut.limits,
                     .tiles_given = options.tiles > 0,
                     .conduct = array.conduct,
                     .tokens = real(layer.tokens)};
  for (const bool forward : {true, false}) {
    const std::string_view phase = forward ? "forward" : "backward";
    PassLoad load{.tiles = plan.tiles()};
    const Bytes weights = bytes(DType::bf16, real(layer_parameters(s.model, kind).total()));
    load.weights_in = weights;
    (forward ? load.inputs_out : load.inputs_in) = offloaded(memory, plan);
    if (!forward) load.gradients_out = bytes(memory.gradient, real(layer_parameters(s.model, kind).total()));
    if (forward || !plan.keep_internals) {
      add_rows(layer_forward(context, kind), forward ? phase : "recompute", array, result, load.compute);
    }
    if (!forward) add_rows(layer_backward(context, kind), phase, array, result, load.compute);
    load = without_free(load, array);
    const PassTerms t = pass_terms(load, lines, array.conduct);
    answer.passes.push_back({place, phase, load, t});
    Seconds exposed = t.exposed_stream();
    const auto share = [&](Seconds time, bool in) {
      const Seconds shown = in == (t.in() >= t.out()) ? min(time, exposed) : Seconds{};
      exposed -= shown;
      return shown;
    };
    add_stream("weight stream", phase, load.weights_in, t.weights_in, share(t.weights_in, true), "stream in", result);
    add_stream("gradient stream", phase, load.gradients_out, t.gradients_out, share(t.gradients_out, false),
               "stream out", result);
    add_stream("layer inputs back", phase, load.inputs_in, t.inputs_in, share(t.inputs_in, true), "stream in", result);
    add_stream("layer inputs out", phase, load.inputs_out, t.inputs_out, share(t.inputs_out, false), "stream out",
               result);
    add_stream(kFixedCosts, phase, {}, t.overhead, t.overhead, "overhead", result);
    (forward ? result.forward : result.backward) = t.time();
    answer.stream += t.in() + t.out();
    answer.exposed_stream += t.exposed_stream();
    answer.binds += fmt::format("{}{} ({})", forward ? "" : ", ", t.bound_by(), phase);
  }
  add_balance(answer, s, array, lines);
  result.wafer = std::move(answer);
  return result;
}

}  // namespace moeline
