#include "plan/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ops/decoder.hpp"
#include "plan/rates.hpp"
#include "plan/serving/serve.hpp"
#include "plan/training/train.hpp"
#include "plan/wafer/evaluate.hpp"

namespace moeline {
namespace {

// Share of the exposed time that rests on datasheet bounds.
double bound_share(const Evaluation& evaluation) {
  Seconds bound, total;
  const auto count = [&](Seconds exposed, Source source) {
    total += exposed;
    if (source >= Source::bound) bound += exposed;
  };
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : train->breakdown.rows()) count(row.exposed, row.source);
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : serve->breakdown.rows()) {
      if (row.phase == name(Phase::decode)) count(row.exposed, row.source == Source::assumed ? Source::extrapolated : row.source);
    }
  } else {
    for (const LayerRow& row : std::get<LayerEvaluation>(evaluation.answer).rows) count(row.exposed, row.cost.source);
  }
  return total > Seconds{} ? bound / total : 0;
}

void add_common_warnings(const Scenario& s, Evaluation& evaluation) {
  const double share = bound_share(evaluation);
  if (share > 0.005) {
    evaluation.warnings.push_back({"uncalibrated",
                                   fmt::format("{:.0f} % of the time is priced by datasheet bounds, which real kernels do not reach", 100 * share),
                                   "the range shows how far above they may lie"});
  }
  const bool balanced = s.routing.popularity == Popularity::balanced;
  if (balanced && s.parallelism.ep > 1) {
    evaluation.warnings.push_back({"routing_balanced", "routing is taken as perfectly balanced",
                                   "--routing uniform shows what a random router costs"});
  }
}

Outcome evaluate_wafer(const Scenario& s, std::vector<std::string_view> free) {
  Evaluation evaluation{.answer = {}, .assumptions = s.assumptions, .warnings = {}};
  evaluation.source = Source::assumed;
  if (auto why = check_wafer_scenario(s, evaluation.warnings)) return *why;
  evaluation.assumptions.push_back(
      "wafer: execution order as published, its times derived here (docs/theory/wafer.md)");
  if (const LayerWorkload* layer = std::get_if<LayerWorkload>(&s.workload)) {
    auto result = evaluate_wafer_layer(s, *layer, std::move(free));
    if (Infeasible* why = std::get_if<Infeasible>(&result)) return *why;
    evaluation.answer = std::get<LayerEvaluation>(std::move(result));
    return evaluation;
  }
  const TrainWorkload& train = std::get<TrainWorkload>(s.workload);
  auto trained = evaluate_wafer_train(s, train, evaluation.warnings, std::move(free));
  if (Infeasible* why = std::get_if<Infeasible>(&trained)) return *why;
  TrainEvaluation result = std::get<TrainEvaluation>(std::move(trained));
  const Flops per_token = model_flops_per_token(s.model, static_cast<double>(train.sequence), train.mtp_layers);
  add_rates(s.cluster, s.cluster.devices, mfu_format(s.recipe), train, per_token, result);
  evaluation.answer = std::move(result);
  evaluation.assumptions.push_back(
      "micro_batch, recompute, overlap and transport are GPU switches: a wafer cuts its batch into tiles");
  evaluation.assumptions.push_back("SRAM counts tensors; code, routing tables and fragmentation are not in it");
  evaluation.assumptions.push_back("model FLOPs as Megatron-LM counts them; MFU against the dense bf16 peak");
  return evaluation;
}

}  // namespace

LayerQuestion layer_question(const Scenario& s, const LayerWorkload& workload) {
  LayerQuestion question;
  question.train.sequence = std::min(workload.sequence, workload.tokens);
  question.train.transport = workload.transport;
  question.sequences = static_cast<double>(workload.tokens) / static_cast<double>(question.train.sequence);
  const auto moe = std::find_if(s.model.kinds.begin(), s.model.kinds.end(),
                                [](const LayerKind& kind) { return std::holds_alternative<MoeFfn>(kind.ffn); });
  question.kind = moe != s.model.kinds.end() ? &*moe : &s.model.kinds.front();
  return question;
}

namespace {

struct Legal {
  Parallelism parallelism;
  Recipe recipe;
  std::vector<std::string> notes;
};

std::variant<Legal, Infeasible> legal(const Scenario& s) {
  Legal l{s.parallelism, s.recipe, {}};
  if (auto why = resolve(l.parallelism, s.cluster.devices, s.model)) return *why;
  if (auto why = legalise(l.recipe, s.cluster.device, l.notes)) return *why;
  return l;
}

// Nothing that changes a number.
std::vector<Warning> step_warnings(const TrainEvaluation& answer) {
  std::vector<Warning> warnings;
  for (const BreakdownRow& row : answer.breakdown.rows()) {
    const double bubble = row.exposed / answer.step.value;
    if (row.name != "pipeline bubble" || bubble <= 0.15) continue;
    warnings.push_back({"bubble", fmt::format("the pipeline bubble takes {:.0f} % of the step", 100 * bubble),
                        "more micro-batches per step (global_batch), a larger vpp, or a smaller pp"});
  }
  if (answer.memory.total() > 0.92 * answer.memory_available) {
    warnings.push_back({"memory_tight",
                        fmt::format("{} of {} before CUDA context, NCCL buffers and fragmentation",
                                    format(answer.memory.total()), format(answer.memory_available)),
                        "recompute more, or cut the model further"});
  }
  return warnings;
}

void add_words(const Scenario& s, const Legal& legal, Evaluation& evaluation) {
  evaluation.assumptions = s.assumptions;
  const auto wafer_given = [](const auto& workload) {
    if constexpr (requires { workload.wafer_given; }) return workload.wafer_given;
    return false;
  };
  if (std::visit(wafer_given, s.workload)) {
    evaluation.assumptions.push_back("workload/wafer has no meaning on GPUs and is ignored");
  }
  for (const std::string& note : legal.notes) {
    evaluation.assumptions.push_back(note);
    evaluation.warnings.push_back({"recipe_changed", note, "name the recipe you mean"});
  }
}

void evaluate_layer(const Scenario& s, const Legal& legal, const LayerWorkload& workload, const Machine& machine,
                    Evaluation& evaluation) {
  const auto [train, sequences, kind] = layer_question(s, workload);
  const DecoderContext context{s.model, legal.parallelism, legal.recipe, s.routing, sequences,
                               static_cast<double>(train.sequence), train};
  LayerEvaluation result;
  result.kind = std::holds_alternative<MoeFfn>(kind->ffn) ? "MoE layer" : "dense layer";
  evaluation.source = Source::measured;
  for (const bool forward : {true, false}) {
    const Step step = forward ? layer_forward(context, *kind) : layer_backward(context, *kind);
    const StepCost cost = step_cost(step, machine);
    (forward ? result.forward : result.backward) = cost.makespan;
    for (std::size_t i = 0; i < step.size(); ++i) {
      result.rows.push_back({step[i].name, step[i].group, name(step[i].phase), step[i].lane, cost.costs[i],
                             cost.timeline.intervals[i].exposed});
    }
    evaluation.source = weakest(evaluation.source, cost.breakdown.source());
  }
  if (const MoeFfn* moe = std::get_if<MoeFfn>(&kind->ffn); moe != nullptr && !workload.code.backends.empty()) {
    const auto ranks = static_cast<double>(legal.parallelism.ep);
    const ExpertsCall call{.moe = *moe, .hidden = static_cast<double>(s.model.hidden), .tokens = static_cast<double>(workload.tokens), .ranks = ranks};
    result.backends = compare_backends(workload.code, call, expert_group(legal.parallelism), machine);
    evaluation.assumptions.push_back("experts backends: 23 us for an operator issued from Python (inferred from one benchmark)");
  }
  evaluation.answer = std::move(result);
}

}  // namespace

StepAnswer evaluate_step(const Scenario& s, TrainingSteps& steps) {
  auto checked = legal(s);
  if (Infeasible* why = std::get_if<Infeasible>(&checked)) return std::move(*why);
  const Legal& l = std::get<Legal>(checked);
  return steps.evaluate({l.recipe, s.routing, l.parallelism, std::get<TrainWorkload>(s.workload)});
}

Outcome evaluate(const Scenario& s, const Calibration& calibration, std::vector<std::string_view> free, CostMemo* memo) {
  if (std::holds_alternative<ServeWorkload>(s.workload)) {
    Outcome served = evaluate_serve(s, calibration, std::move(free));
    if (Evaluation* evaluation = std::get_if<Evaluation>(&served)) add_common_warnings(s, *evaluation);
    return served;
  }
  if (!std::holds_alternative<Gpu>(s.cluster.device)) return evaluate_wafer(s, std::move(free));
  auto checked = legal(s);
  if (Infeasible* why = std::get_if<Infeasible>(&checked)) return std::move(*why);
  const Legal& l = std::get<Legal>(checked);
  Evaluation evaluation;
  add_words(s, l, evaluation);
  if (const LayerWorkload* layer = std::get_if<LayerWorkload>(&s.workload)) {
    const Machine machine{std::get<Gpu>(s.cluster.device), s.cluster.fabric, calibration, std::move(free), memo};
    evaluate_layer(s, l, *layer, machine, evaluation);
    add_common_warnings(s, evaluation);
    return evaluation;
  }
  StepAnswer answer = TrainingSteps(s.cluster, s.model, calibration, std::move(free))
                          .evaluate({l.recipe, s.routing, l.parallelism, std::get<TrainWorkload>(s.workload)});
  if (Infeasible* why = std::get_if<Infeasible>(&answer)) return std::move(*why);
  TrainEvaluation& result = std::get<TrainEvaluation>(answer);
  evaluation.source = result.breakdown.source();
  for (Warning& warning : step_warnings(result)) evaluation.warnings.push_back(std::move(warning));
  if (result.recomputation) {
    const std::string taken = fmt::format("recompute is not given and the step does not fit without: {} is taken", result.recomputation->name);
    evaluation.assumptions.push_back(taken);
    evaluation.warnings.push_back({"recompute_chosen", taken, "name what your framework recomputes (workload/recompute)"});
  }
  evaluation.assumptions.push_back("memory counts tensors; CUDA context, NCCL buffers and fragmentation are not in it");
  evaluation.assumptions.push_back(fmt::format("model FLOPs as Megatron-LM counts them{}; MFU against the dense {} peak",
                                               std::get<TrainWorkload>(s.workload).lora ? ", less a third for frozen weights" : "",
                                               result.mfu_format));
  evaluation.answer = std::move(result);
  add_common_warnings(s, evaluation);
  return evaluation;
}

}  // namespace moeline
