#include "plan/training/trace.hpp"

#include <algorithm>
#include <array>

#include "error.hpp"
#include "ops/decoder.hpp"
#include "plan/training/parts.hpp"
#include "plan/training/train.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

// Appends one part of a pass after what is there.
void append(std::vector<TracedOp>& ops, Seconds& end, const Step& step, const Machine& machine) {
  const StepCost cost = step_cost(step, machine);
  for (std::size_t i = 0; i < step.size(); ++i) {
    const Interval& when = cost.timeline.intervals[i];
    ops.push_back({step[i].name, step[i].group, step[i].lane, end + when.start, end + when.finish, cost.costs[i], makes_weight_gradient(step[i])});
  }
  end += cost.makespan;
}

// One lane after the other op, no gaps.
Seconds pack(std::vector<TracedOp>& ops, Lane lane) {
  Seconds end;
  for (TracedOp& op : ops) {
    if (op.lane != lane) continue;
    const Seconds length = op.finish - op.start;
    op.start = end;
    op.finish = end += length;
  }
  return end;
}

void stretch(std::vector<TracedOp>& ops, Lane lane, double factor) {
  for (TracedOp& op : ops) {
    if (op.lane != lane) continue;
    op.start *= factor;
    op.finish *= factor;
  }
}

// A lane runs one op at a time, whatever was taken out before.
void push_apart(std::vector<TracedOp>& ops) {
  std::array<Seconds, 2> free{};
  for (TracedOp& op : ops) {
    Seconds& end = free[static_cast<std::size_t>(op.lane)];
    const Seconds late = max(Seconds{}, end - op.start);
    op.start += late;
    end = op.finish += late;
  }
}

// A pass that is shorter or longer than its ops one after the other: exchanges hide in its neighbours, kernels wait.
void fit(std::vector<TracedOp>& ops, Seconds length) {
  Seconds end;
  for (const TracedOp& op : ops) end = max(end, op.finish);
  if (!(end > Seconds{})) return;
  for (const Lane lane : {Lane::compute, Lane::network}) stretch(ops, lane, length / end);
}

// The backward in two: what makes weight gradients is taken out and put behind.
void split(ChunkOps& chunk, const ChunkTimes& times) {
  for (const TracedOp& op : chunk.backward) {
    (op.weight_gradient ? chunk.weight_gradient : chunk.input_gradient).push_back(op);
  }
  Seconds taken_out;
  auto next = chunk.weight_gradient.begin();
  for (TracedOp& op : chunk.input_gradient) {
    for (; next != chunk.weight_gradient.end() && next->finish <= op.start * (1 + 1e-12); ++next) taken_out += next->finish - next->start;
    op.start -= taken_out;
    op.finish -= taken_out;
  }
  push_apart(chunk.input_gradient);
  pack(chunk.weight_gradient, Lane::compute);
  fit(chunk.input_gradient, times.backward - times.weight);
  fit(chunk.weight_gradient, times.weight);
}

class Tracer {
 public:
  Tracer(const DecoderContext& context, const Machine& machine) : c_(context), machine_(machine) {}

  ChunkOps chunk(const StageContent& content, const ChunkTimes& times) const {
    ChunkOps ops;
    Seconds end;
    const auto forward = [&](const Step& step) { append(ops.forward, end, step, machine_); };
    if (content.embedding) forward(embedding_forward(c_));
    layers(content, [&](const LayerKind& kind) { forward(layer_forward(c_, kind)); });
    for (int i = 0; i < content.mtp_modules; ++i) {
      forward(mtp_forward(c_));
      forward(layer_forward(c_, mtp_kind()));
      forward(head_forward(c_));
    }
    if (content.head) forward(head_forward(c_));
    fit(ops.forward, times.forward);
    end = {};
    const auto backward = [&](const Step& step) { append(ops.backward, end, step, machine_); };
    if (content.head) backward(head_backward(c_));
    for (int i = 0; i < content.mtp_modules; ++i) {
      backward(head_backward(c_));
      backward(layer_backward(c_, mtp_kind()));
      backward(mtp_backward(c_));
    }
    layers(content, [&](const LayerKind& kind) { backward(layer_backward(c_, kind)); });
    if (content.embedding) backward(embedding_backward(c_));
    fit(ops.backward, times.backward);
    split(ops, times);
    return ops;
  }

 private:
  template <class Visit>
  void layers(const StageContent& content, Visit visit) const {
    for (std::size_t k = 0; k < content.layers_of_kind.size(); ++k) {
      for (int i = 0; i < content.layers_of_kind[k]; ++i) visit(c_.model.kinds[k]);
    }
  }
  const LayerKind& mtp_kind() const { return c_.model.kinds[static_cast<std::size_t>(c_.model.mtp_layers[0])]; }

  const DecoderContext& c_;
  const Machine& machine_;
};

// Rows of the step beside the pipeline's own; a gather covers nothing and comes first.
void add_rest(StepTrace& trace, const TrainEvaluation& answer) {
  for (const BreakdownRow& row : answer.breakdown.rows()) {
    const bool gather = row.name == "parameter gather", reduction = row.name == "gradient reduction";
    if (!(row.exposed > Seconds{}) || (row.phase != "optimizer" && !gather && !reduction)) continue;
    (gather ? trace.before : trace.after).push_back({row.name, row.lane, row.exposed});
  }
}

StepTrace trace_layer(const Scenario& s, const LayerWorkload& workload, const Parallelism& p, const Recipe& recipe,
                      const Machine& machine) {
  const auto [train, sequences, kind] = layer_question(s, workload);
  const DecoderContext context{s.model, p, recipe, s.routing, sequences, static_cast<double>(train.sequence), train};
  StepTrace trace;
  ChunkOps& ops = trace.chunks.emplace_back();
  Seconds forward, backward;
  append(ops.forward, forward, layer_forward(context, *kind), machine);
  append(ops.backward, backward, layer_backward(context, *kind), machine);
  trace.pipeline.chunks = {{forward, backward}};
  trace.stages = passes_of(trace.pipeline);
  trace.makespan = trace.step = forward + backward;
  return trace;
}

}  // namespace

const std::vector<TracedOp>& ChunkOps::of(PassKind kind) const {
  switch (kind) {
    case PassKind::forward: return forward;
    case PassKind::backward: return backward;
    case PassKind::input_gradient: return input_gradient;
    case PassKind::weight_gradient: return weight_gradient;
  }
  MOELINE_EXPECT(false);
  return forward;
}

std::int64_t StepTrace::chunk(std::size_t stage, const Pass& pass) const {
  return pipeline.chunk_at(static_cast<std::int64_t>(stage), pass.chunk);
}

std::int64_t StepTrace::micro_batch(std::size_t stage, const Pass& pass) const {
  const bool second_way = runs_both_ways(pipeline.schedule) && chunk(stage, pass) >= pipeline.stages;
  return pass.micro_batch + (second_way ? pipeline.micro_batches / 2 : 0);
}

Seconds StepTrace::begins(std::size_t stage) const {
  Seconds last;
  for (const auto& list : stages) last = max(last, list.back().finish);
  return last > (1 + 1e-9) * makespan ? stages[stage].front().start : Seconds{};
}

std::vector<TracedOp> paired_ops(const ChunkOps& forward, const ChunkOps& backward, Seconds length) {
  // Exchanges of the backward lie beside compute of the forward, and the other way round.
  std::vector<TracedOp> ops, exchanges;
  for (const std::vector<TracedOp>* list : {&forward.forward, &backward.backward}) {
    std::copy_if(list->begin(), list->end(), std::back_inserter(ops), [](const TracedOp& op) { return op.lane == Lane::compute; });
  }
  for (const std::vector<TracedOp>* list : {&backward.backward, &forward.forward}) {
    std::copy_if(list->begin(), list->end(), std::back_inserter(exchanges), [](const TracedOp& op) { return op.lane == Lane::network; });
  }
  ops.insert(ops.end(), exchanges.begin(), exchanges.end());
  for (const Lane lane : {Lane::compute, Lane::network}) {
    const Seconds busy = pack(ops, lane);
    // Compute that exchanges slow down fills the pair; exchanges keep their length while they fit.
    if (busy > Seconds{} && (lane == Lane::compute || busy > length)) stretch(ops, lane, length / busy);
  }
  return ops;
}

std::variant<StepTrace, Infeasible> trace_of(const Scenario& s, const Calibration& calibration) {
  const Gpu* gpu = std::get_if<Gpu>(&s.cluster.device);
  if (gpu == nullptr) return Infeasible{"a trace shows passes on GPUs; a wafer runs one stream", "leave --trace out"};
  Parallelism p = s.parallelism;
  Recipe recipe = s.recipe;
  std::vector<std::string> notes;
  if (auto why = resolve(p, s.cluster.devices, s.model)) return *std::move(why);
  if (auto why = legalise(recipe, s.cluster.device, notes)) return *std::move(why);
  const Machine machine{*gpu, s.cluster.fabric, calibration};
  if (const LayerWorkload* layer = std::get_if<LayerWorkload>(&s.workload)) return trace_layer(s, *layer, p, recipe, machine);
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  auto answer = TrainingSteps(s.cluster, s.model, calibration).priced({recipe, s.routing, p, train});
  if (Infeasible* why = std::get_if<Infeasible>(&answer)) return std::move(*why);
  PricedStep& priced = std::get<PricedStep>(answer);
  StepTrace trace;
  trace.pipeline = std::move(priced.pipeline);
  trace.stages = passes_of(trace.pipeline);
  trace.makespan = simulate(trace.pipeline).makespan;
  trace.step = priced.answer.step.value;
  add_rest(trace, priced.answer);
  const TrainWorkload run = answered(train, priced.answer);
  const DecoderContext context{s.model, p, recipe, s.routing, real(run.micro_batch), real(run.sequence), run};
  const Tracer tracer(context, machine);
  for (std::size_t c = 0; c < trace.pipeline.chunks.size(); ++c) {
    trace.chunks.push_back(tracer.chunk(priced.chunks[c % priced.chunks.size()], trace.pipeline.chunks[c]));
  }
  return trace;
}

}  // namespace moeline
