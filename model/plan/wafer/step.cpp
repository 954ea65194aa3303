#include "plan/wafer/step.hpp"

#include <algorithm>
#include <cmath>

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }
double layer_count(const ModelSpec& model) { return static_cast<double>(model.layers.size()); }

TrainWorkload without_gpu_switches(TrainWorkload train) {
  train.recompute.clear();
  train.overlap.clear();
  train.full_recompute = false;
  train.micro_batch = 1;
  return train;
}

// The streams of one kind of pass. The longer direction exposes what compute does not cover: weights or gradients
// first.
void add_stream_rows(const PassTerms& t, std::string_view phase, double count, const PassLoad& load, Breakdown& rows) {
  struct Row {
    std::string_view name;
    Seconds time;
    Bytes bytes;
    bool in;
  };
  const std::array<Row, 4> list{Row{"weight stream", t.weights_in, load.weights_in, true},
                                Row{"gradient stream", t.gradients_out, load.gradients_out, false},
                                Row{"layer inputs back", t.inputs_in, load.inputs_in, true},
                                Row{"layer inputs out", t.inputs_out, load.inputs_out, false}};
  const bool inward = t.in() >= t.out();
  Seconds exposed = t.exposed_stream();
  for (const Row& row : list) {
    if (!(row.time > Seconds{})) continue;
    const Seconds shown = row.in == inward ? min(row.time, exposed) : Seconds{};
    exposed -= shown;
    rows.add({.name = row.name,
              .phase = phase,
              .lane = Lane::network,
              .seconds = row.time,
              .exposed = shown,
              .bytes = row.bytes,
              .bound_by = row.in ? "stream in" : "stream out",
              .source = Source::assumed,
              .largest = row.time},
             count);
  }
  if (t.overhead > Seconds{}) {
    rows.add({.name = kFixedCosts,
              .phase = phase,
              .seconds = t.overhead,
              .exposed = t.overhead,
              .bound_by = "overhead",
              .source = Source::assumed,
              .largest = t.overhead},
             count);
  }
}

}  // namespace

PassCost pass_cost(const Step& step, const CoreArray& array, std::string_view phase) {
  PassCost pass;
  for (const Op& op : step) {
    const OpCost c = is_free(array, op.group) ? OpCost{.source = Source::measured} : cost(op.work, array);
    pass.time += c.time;
    pass.breakdown.add({.name = op.group,
                        .phase = phase.empty() ? name(op.phase) : phase,
                        .lane = op.lane,
                        .seconds = c.time,
                        .exposed = c.time,
                        .flops = c.flops,
                        .bytes = c.bytes,
                        .bound_by = c.bound_by,
                        .source = c.source,
                        .largest = c.time});
  }
  return pass;
}

PassLoad without_free(PassLoad load, const CoreArray& array) {
  if (is_free(array, "weight stream")) load.weights_in = {};
  if (is_free(array, "gradient stream")) load.gradients_out = {};
  if (is_free(array, "layer inputs back")) load.inputs_in = {};
  if (is_free(array, "layer inputs out")) load.inputs_out = {};
  return load;
}

CoreArray core_array(const Wafer& wafer, const WaferConduct& conduct, std::vector<std::string_view> free) {
  CoreArray array{wafer, conduct, std::move(free)};
  if (is_free(array, kFixedCosts)) array.conduct.layer_overhead = array.conduct.tile_overhead = {};
  return array;
}

WaferStep::WaferStep(const Scenario& scenario, const TrainWorkload& train, const WaferConduct& conduct,
                     std::vector<std::string_view> free)
    : s_(scenario),
      train_(without_gpu_switches(train)),
      context_{scenario.model, one_, scenario.recipe, scenario.routing, 1, real(train.sequence), train_},
      array_(core_array(std::get<Wafer>(scenario.cluster.device), conduct, std::move(free))),
      lines_(wafer_lines(scenario.cluster, conduct)),
      memory_{scenario.model, real(train.sequence), DType::bf16, train.wafer.gradient_wire, 0} {
  price_parts();
  count_internals();
}

void WaferStep::price_parts() {
  const ModelSpec& model = s_.model;
  const double hidden = real(model.hidden), table = hidden * real(model.vocabulary), modules = real(train_.mtp_layers);
  const auto add = [&](std::string_view part, const Step& forward, const Step& backward, double count,
                       double parameters) -> WaferPart& {
    parts_.push_back({.name = part,
                      .forward = pass_cost(forward, array_),
                      .again = pass_cost(forward, array_, "recompute"),
                      .backward = pass_cost(backward, array_),
                      .count = count,
                      .parameters = parameters,
                      .gradients = parameters});
    return parts_.back();
  };
  for (std::size_t k = 0; k < model.kinds.size(); ++k) {
    const auto same = [&](int kind) { return kind == static_cast<int>(k); };
    const auto& mtp = model.mtp_layers;
    const auto count = std::count_if(model.layers.begin(), model.layers.end(), same) +
                       std::count_if(mtp.begin(), mtp.begin() + train_.mtp_layers, same);
    if (count == 0) continue;
    const LayerKind& kind = model.kinds[k];
    const bool moe = std::holds_alternative<MoeFfn>(kind.ffn);
    add(moe ? "MoE layer" : "dense layer", layer_forward(context_, kind), layer_backward(context_, kind),
        static_cast<double>(count), real(layer_parameters(model, kind).total()))
        .layer = true;
  }
  add("embedding", embedding_forward(context_), embedding_backward(context_), 1, table).read_in_backward = false;
  // The head's gradient is sent once: with the embedding's where they are one table.
  add("head", head_forward(context_), head_backward(context_), 1 + modules, table).gradients =
      model.tied_embedding ? 0 : table / (1 + modules);
  if (modules > 0) add("MTP", mtp_forward(context_), mtp_backward(context_), modules, 2 * hidden * hidden);
}

// The GPU's list of tensors that backward reads, per token over all layers.
void WaferStep::count_internals() {
  const MemoryContext memory{s_.model, one_, s_.recipe, s_.routing, train_};
  Bytes per_sequence;
  for (const int kind : s_.model.layers) {
    for (const SavedTensor& tensor : saved_tensors(memory, s_.model.kinds[static_cast<std::size_t>(kind)])) {
      if (tensor.name != "layer input") per_sequence += tensor.bytes;
    }
  }
  memory_.internal_bytes = per_sequence.in(byte) / memory_.sequence;
}

// Layers whose input was not kept and is computed from the last one that was.
double WaferStep::again_count(const WaferPart& part, const TilePlan& plan) const {
  if (!part.layer || plan.keep != KeepInputs::recompute) return 0;
  return part.count * (1 - 1 / recompute_stretch(layer_count(s_.model)));
}

// Forward, backward, and the forward that recomputes inputs.
std::array<PassLoad, 3> WaferStep::loads(const WaferPart& part, const TilePlan& plan, bool sends_gradients) const {
  const Bytes weights = bytes(memory_.weight, part.parameters);
  const Bytes kept = part.layer ? offloaded(memory_, plan) : Bytes{};
  const bool inside = part.layer && !plan.keep_internals;  // backward computes a layer's forward again
  PassLoad load{.weights_in = weights,
                .inputs_in = {},
                .inputs_out = {},
                .gradients_out = {},
                .compute = plan.sequences * part.forward.time,
                .tiles = part.layer ? plan.tiles() : 0,
                .layers = part.layer ? 1.0 : 0.0};
  const PassLoad again = load;
  PassLoad backward = load;
  load.inputs_out = backward.inputs_in = kept;
  if (!part.read_in_backward) backward.weights_in = {};
  if (sends_gradients) backward.gradients_out = bytes(memory_.gradient, part.gradients);
  backward.compute = plan.sequences * (part.backward.time + (inside ? part.again.time : Seconds{}));
  return {without_free(load, array_), without_free(backward, array_), without_free(again, array_)};
}

Seconds WaferStep::micro_batch(const TilePlan& plan, bool sends_gradients, Breakdown* rows) const {
  Seconds sum;
  for (const WaferPart& part : parts_) {
    const auto [forward, backward, again] = loads(part, plan, sends_gradients);
    const double repeats = again_count(part, plan);
    const PassTerms f = pass_terms(forward, lines_, array_.conduct), b = pass_terms(backward, lines_, array_.conduct),
                    a = pass_terms(again, lines_, array_.conduct);
    sum += part.count * (f.time() + b.time()) + repeats * a.time();
    if (rows == nullptr) continue;
    const double inside = part.layer && !plan.keep_internals ? part.count : 0;
    rows->add(part.forward.breakdown, part.count * plan.sequences);
    rows->add(part.backward.breakdown, part.count * plan.sequences);
    if (inside + repeats > 0) rows->add(part.again.breakdown, (inside + repeats) * plan.sequences);
    add_stream_rows(f, "forward", part.count, forward, *rows);
    add_stream_rows(b, "backward", part.count, backward, *rows);
    if (repeats > 0) add_stream_rows(a, "recompute", repeats, again, *rows);
  }
  return sum;
}

Seconds WaferStep::outer(const TilePlan& plan, Breakdown* rows) const {
  const double first = parts_.front().parameters;
  const OuterTerms terms =
      outer_terms(bytes(memory_.weight, first), bytes(memory_.gradient, first), micro_batch(plan, true, nullptr),
                  real(parameters(s_.model).main), lines_, s_.cluster.external_memory);
  Seconds sum;
  const auto once = [&](std::string_view name, std::string_view phase, Seconds time, std::string_view bound) {
    if (is_free(array_, name)) return;
    sum += time;
    if (rows == nullptr || !(time > Seconds{})) return;
    rows->add({.name = name,
               .phase = phase,
               .lane = Lane::network,
               .seconds = time,
               .exposed = time,
               .bound_by = bound,
               .source = Source::assumed,
               .largest = time});
  };
  once("fill", "forward", terms.fill, "stream in");
  once("drain", "backward", terms.drain, "stream out");
  once("optimizer", "optimizer", terms.optimizer, "external memory");
  return sum;
}

// Micro-batches before the last send gradients only where these are summed outside.
std::array<MicroBatches, 2> WaferStep::micro_batches(const TilePlan& plan, std::int64_t sequences) const {
  const double full = std::floor(real(sequences) / plan.sequences);
  TilePlan rest = plan;
  rest.sequences = real(sequences) - full * plan.sequences;
  const bool ragged = rest.sequences > 0.5;
  return {MicroBatches{plan, !plan.accumulate_on_wafer, ragged ? full : full - 1},
          MicroBatches{ragged ? rest : plan, true, 1}};
}

Seconds WaferStep::step(const TilePlan& plan, std::int64_t sequences, Breakdown* rows) const {
  Seconds sum;
  for (const auto& [which, sends_gradients, times] : micro_batches(plan, sequences)) {
    if (times <= 0) continue;
    Breakdown one;
    sum += times * micro_batch(which, sends_gradients, rows == nullptr ? nullptr : &one);
    if (rows != nullptr) rows->add(one, times);
  }
  return sum + outer(plan, rows);
}

std::vector<WaferPass> WaferStep::passes(const TilePlan& plan, std::int64_t sequences) const {
  std::vector<WaferPass> list;
  const auto add = [&](const WaferPart& part, std::string_view phase, const PassLoad& load, double times) {
    if (times <= 0) return;
    const WaferPass next{part.name, phase, load, pass_terms(load, lines_, array_.conduct), times};
    const auto same = std::find_if(list.begin(), list.end(), [&](const WaferPass& other) {
      return other.where == next.where && other.phase == phase && other.terms.time() == next.terms.time();
    });
    if (same == list.end()) {
      list.push_back(next);
    } else {
      same->times += times;
    }
  };
  for (const auto& [which, sends_gradients, times] : micro_batches(plan, sequences)) {
    for (const WaferPart& part : parts_) {
      const auto [forward, backward, again] = loads(part, which, sends_gradients);
      add(part, "forward", forward, times * part.count);
      add(part, "backward", backward, times * part.count);
      add(part, "recompute", again, times * again_count(part, which));
    }
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const WaferPass& a, const WaferPass& b) { return a.total() > b.total(); });
  return list;
}

Seconds WaferStep::sequence_time() const {
  Seconds sum;
  for (const WaferPart& part : parts_) {
    sum += part.count * (part.forward.time + part.backward.time + (part.layer ? part.again.time : Seconds{}));
  }
  return sum;
}

Breakdown WaferStep::sequence_breakdown() const {
  Breakdown sum;
  for (const WaferPart& part : parts_) {
    sum.add(part.forward.breakdown, part.count);
    sum.add(part.backward.breakdown, part.count);
    if (part.layer) sum.add(part.again.breakdown, part.count);
  }
  return sum;
}

}  // namespace moeline
