#include "plan/op_terms.hpp"

#include <algorithm>

#include "ops/decoder.hpp"
#include "plan/serving/steps.hpp"
#include "plan/wafer/step.hpp"

namespace moeline {
namespace {

// A list of ops, and how often the busiest stage runs it in one step.
struct Repeated {
  Step step;
  std::string where;
  double times = 1;
  std::string_view phase{};  // of all its ops, where it is not their own
};

std::string place(const LayerKind& kind) {
  return std::holds_alternative<MoeFfn>(kind.ffn) ? "MoE layer" : "dense layer";
}

// Which of E, m and L the busiest stage holds; without a pipeline, all.
double items_on_stage(char item, const TrainEvaluation& answer, std::int64_t all) {
  if (answer.cut->layout.empty()) return static_cast<double>(all);
  double found = 0;
  std::int64_t chunk = 0;
  for (const char c : answer.cut->layout) {
    if (c == '|') ++chunk;
    if (c == item && chunk % answer.parallelism.pp == answer.busiest_stage) ++found;
  }
  return found;
}

// `m`: how often the lists of `context` run in a step.
std::vector<Repeated> training_steps(const Scenario& s, const TrainWorkload& train, const TrainEvaluation& answer,
                                     const DecoderContext& context, double m) {
  std::vector<Repeated> list;
  const auto add = [&](Step forward, Step backward, const std::string& where, double times) {
    if (times <= 0) return;
    list.push_back({std::move(forward), where, times * m});
    list.push_back({std::move(backward), where, times * m});
  };
  const auto stage = static_cast<std::size_t>(answer.busiest_stage);
  const double mtp = items_on_stage('m', answer, train.mtp_layers);
  for (std::size_t k = 0; k < s.model.kinds.size(); ++k) {
    const bool in_mtp = mtp > 0 && static_cast<int>(k) == s.model.mtp_layers[0];
    add(layer_forward(context, s.model.kinds[k]), layer_backward(context, s.model.kinds[k]), place(s.model.kinds[k]),
        answer.cut->stage_layers[stage][k] + (in_mtp ? mtp : 0));
  }
  add(embedding_forward(context), embedding_backward(context), "embedding", items_on_stage('E', answer, 1));
  add(head_forward(context), head_backward(context), "head", items_on_stage('L', answer, 1) + mtp);
  add(mtp_forward(context), mtp_backward(context), "MTP", mtp);
  return list;
}

// Equal ops of one place, such as the norms of a layer, stay apart only if their work differs in time.
template <class Price>
void collect(std::vector<OpExplanation>& list, const Repeated& repeated, const Price& price) {
  for (const Op& op : repeated.step) {
    OpExplanation next{.name = std::string(op.name),
                       .group = std::string(op.group),
                       .where = repeated.where,
                       .phase = repeated.phase.empty() ? name(op.phase) : repeated.phase,
                       .work = op.work,
                       .cost = price(op.work),
                       .times = repeated.times};
    const auto same = std::find_if(list.begin(), list.end(), [&](const OpExplanation& other) {
      return other.name == next.name && other.group == next.group && other.where == next.where &&
             other.phase == next.phase && other.cost.time == next.cost.time;
    });
    if (same != list.end()) {
      same->times += next.times;
    } else {
      list.push_back(std::move(next));
    }
  }
}

void sort_and_cut(std::vector<OpExplanation>& list, std::size_t most) {
  std::stable_sort(list.begin(), list.end(),
                   [](const OpExplanation& a, const OpExplanation& b) { return a.total() > b.total(); });
  if (list.size() > most) list.resize(most);
}

void cut_and_explain(std::vector<OpExplanation>& list, std::size_t most, const Machine& machine) {
  sort_and_cut(list, most);
  for (OpExplanation& op : list) op.formula = formula_of(op.work, op.cost, machine);
}

std::vector<OpExplanation> explained_on_gpu(const Question& question, const Evaluation& evaluation, std::size_t most) {
  Scenario s = question.scenario;
  std::vector<std::string> notes;
  MOELINE_EXPECT(!resolve(s.parallelism, s.cluster.devices, s.model) && !legalise(s.recipe, s.cluster.device, notes));
  // The question's machine, not the copy's: bound_by keeps views of its tier names.
  const Cluster& cluster = question.scenario.cluster;
  const Machine machine{std::get<Gpu>(cluster.device), cluster.fabric, question.calibration};
  const auto price = [&](const Work& work) { return cost(work, machine); };
  std::vector<OpExplanation> list;
  if (const TrainEvaluation* answer = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    const TrainWorkload train = answered(std::get<TrainWorkload>(s.workload), *answer);
    const DecoderContext context{s.model,
                                 s.parallelism,
                                 s.recipe,
                                 s.routing,
                                 static_cast<double>(train.micro_batch),
                                 static_cast<double>(train.sequence),
                                 train};
    const double m = static_cast<double>(answer->micro_batches);
    for (const Repeated& step : training_steps(s, train, *answer, context, m)) collect(list, step, price);
  } else {
    const LayerQuestion layer = layer_question(s, std::get<LayerWorkload>(s.workload));
    const DecoderContext context{s.model,    s.parallelism,   s.recipe,
                                 s.routing,  layer.sequences, static_cast<double>(layer.train.sequence),
                                 layer.train};
    collect(list, {layer_forward(context, *layer.kind), place(*layer.kind), 1}, price);
    collect(list, {layer_backward(context, *layer.kind), place(*layer.kind), 1}, price);
  }
  cut_and_explain(list, most, machine);
  return list;
}

// One kind of iteration, run `times`.
std::vector<OpExplanation> explained_iteration(const ServingSteps& steps, const Iteration& iteration, double times, Phase phase,
                                               std::size_t most) {
  const Machine& machine = steps.machine();
  std::vector<OpExplanation> list;
  for (RepeatedStep& some : steps.lists(iteration)) {
    const bool ends = some.step.size() > 1;
    const std::string where = some.kind != nullptr ? place(*some.kind) : ends ? "embedding and head" : "stages";
    collect(list, {std::move(some.step), where, times * some.times, name(phase)}, [&](const Work& work) { return cost(work, machine); });
  }
  cut_and_explain(list, most, machine);
  return list;
}

// Of a token, the iteration shared by those that a round of speculation yields; then of the first one, those it waits for.
std::vector<OpExplanation> explained_serving(const Question& question, const ServeEvaluation& answer, std::size_t most) {
  const Scenario& s = question.scenario;
  const ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  const ServingSteps decode(s, w.decode.layout, question.calibration, question.conduct);
  std::vector<OpExplanation> list =
      explained_iteration(decode, answer.iteration, 1 / (answer.round ? answer.round->tokens : 1), Phase::decode, most);
  const bool apart = w.mode == ServeMode::disaggregated;
  const ServingSteps prefill(s, apart ? w.prefill.layout : w.decode.layout, question.calibration, question.conduct);
  for (OpExplanation& op : explained_iteration(prefill, answer.prompts, answer.prompt_iterations, Phase::prefill, most))
    list.push_back(std::move(op));
  return list;
}

// What backward computes once more of every layer: its inside, and inputs that were not kept.
double computed_again(const Scenario& s, const WaferAnswer& wafer) {
  const double inside = wafer.plan.keep_internals ? 0 : 1;
  if (wafer.plan.keep != KeepInputs::recompute) return inside;
  return inside + 1 - 1 / recompute_stretch(static_cast<double>(s.model.layers.size()));
}

// Lists of one sequence on one system, or of the layer's tokens.
std::vector<Repeated> wafer_steps(const Scenario& s, const Evaluation& evaluation) {
  const TrainEvaluation* answer = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (answer == nullptr) {
    const LayerEvaluation& layer = std::get<LayerEvaluation>(evaluation.answer);
    const LayerQuestion asked = layer_question(s, std::get<LayerWorkload>(s.workload));
    const Parallelism one;
    const DecoderContext context{s.model,         one,
                                 s.recipe,        s.routing,
                                 asked.sequences, static_cast<double>(asked.train.sequence),
                                 asked.train};
    const std::string where = place(*asked.kind);
    return {{layer_forward(context, *asked.kind), where, 1},
            {layer_forward(context, *asked.kind), where, computed_again(s, *layer.wafer), "recompute"},
            {layer_backward(context, *asked.kind), where, 1}};
  }
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  const WaferStep step(s, train, train.wafer.conduct);
  const double sequences = static_cast<double>(train.global_batch / s.cluster.devices);
  std::vector<Repeated> list = training_steps(s, train, *answer, step.context(), sequences);
  const double again = computed_again(s, *answer->wafer);
  for (std::size_t i = 0, all = list.size(); i < all; ++i) {
    if (list[i].where.ends_with("layer") && list[i].step.front().phase == Phase::forward)
      list.push_back({list[i].step, list[i].where, again * list[i].times, "recompute"});
  }
  return list;
}

std::vector<OpExplanation> explained_on_wafer(const Question& question, const Evaluation& evaluation,
                                              std::size_t most) {
  const Scenario& s = question.scenario;
  const auto conduct_of = [](const auto& workload) {
    if constexpr (requires { workload.wafer; }) return workload.wafer.conduct;
    return WaferConduct{};
  };
  const WaferConduct conduct = std::visit(conduct_of, s.workload);
  const CoreArray array{std::get<Wafer>(s.cluster.device), conduct};
  std::vector<OpExplanation> list;
  for (const Repeated& step : wafer_steps(s, evaluation)) {
    if (step.times > 0) collect(list, step, [&](const Work& work) { return cost(work, array); });
  }
  sort_and_cut(list, most);
  for (OpExplanation& op : list) {
    const bool cores = op.cost.flops > Flops{};
    op.formula = cores ? Formula{"cores, of flops over the achieved share of the cores' peak", {term("achieved_share", conduct.efficiency)}}
                       : Formula{"sram, of bytes over SRAM's bandwidth"};
    op.formula.terms.insert(op.formula.terms.end(), {term(op.cost.flops), term("bytes", op.cost.bytes), term(cores ? "cores" : "sram", op.cost.time)});
  }
  return list;
}

}  // namespace

std::vector<OpExplanation> explained_ops(const Question& question, const Evaluation& evaluation, std::size_t most) {
  if (const ServeEvaluation* served = std::get_if<ServeEvaluation>(&evaluation.answer)) return explained_serving(question, *served, most);
  const bool gpu = std::holds_alternative<Gpu>(question.scenario.cluster.device);
  return gpu ? explained_on_gpu(question, evaluation, most) : explained_on_wafer(question, evaluation, most);
}

std::vector<PassExplanation> explained_passes(const Evaluation& evaluation) {
  const auto wafer_of = [](const auto& answer) {
    if constexpr (requires { answer.wafer; }) return answer.wafer;
    return std::optional<WaferAnswer>{};
  };
  const std::optional<WaferAnswer> wafer = std::visit(wafer_of, evaluation.answer);
  std::vector<PassExplanation> list;
  if (!wafer) return list;
  for (const WaferPass& pass : wafer->passes) {
    const PassTerms& t = pass.terms;
    list.push_back({pass.where,
                    pass.phase,
                    t.bound_by(),
                    t.time(),
                    pass.times,
                    {"max(weights_in + inputs_back, gradients_out + inputs_out, compute) + fixed",
                     {term("weights", pass.load.weights_in), term("weights_in", t.weights_in), term("inputs_back", t.inputs_in),
                      term("gradients_out", t.gradients_out), term("inputs_out", t.inputs_out), term("compute", t.compute),
                      term("fixed", t.overhead)}}});
  }
  return list;
}

}  // namespace moeline
