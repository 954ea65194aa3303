#include "plan/elasticity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/wafer_inputs.hpp"

namespace moeline {
namespace {

constexpr double kTenth = 1.1;    // what the effect is quoted for
constexpr double kNothing = 1e9;  // a rate times this takes no time

Gpu& gpu_of(Question& question) { return std::get<Gpu>(question.scenario.cluster.device); }

void scale_launches(Calibration& c, double factor) {
  for (GemmFit* fit : {&c.gemm_bf16, &c.gemm_fp8, &c.gemm_fp8_block, &c.gemm_fp4, &c.gemm_mxfp8, &c.grouped_bf16, &c.grouped_fp8_block, &c.grouped_mxfp8}) {
    for (Seconds* time : {&fit->launch, &fit->split, &fit->expert}) *time *= factor;
  }
  for (PrefillFit* fit : {&c.attention, &c.latent_attention}) {
    fit->launch *= factor;
    fit->launch_backward *= factor;
  }
  c.memory.launch *= factor;
  c.scan.launch *= factor;
}

void scale_exchange_overheads(Calibration& c, double factor) {
  NcclFit& n = c.nccl;
  for (Seconds* time : {&n.low_launch, &n.low_hop, &n.simple_floor, &n.simple_hop, &n.switch_floor, &n.exchange_low,
                        &n.exchange_floor, &n.exchange_peer, &c.link.launch}) {
    *time *= factor;
  }
  for (DeepEpFit* fit : {&c.deepep.dispatch, &c.deepep.combine, &c.deepep.nodes_dispatch, &c.deepep.nodes_combine}) {
    fit->launch *= factor;
    fit->doubling *= factor;
  }
  for (MnnvlFit* fit : {&c.mnnvl.dispatch, &c.mnnvl.combine}) {
    fit->launch *= factor;
    fit->doubling *= factor;
  }
}

void add_device_inputs(std::vector<Input>& list, const Gpu& gpu) {
  const std::string device = "/hardware/device/";
  const auto add_peak = [&](const char* format_name, std::optional<Fact<FlopsPerSecond>> TensorPeaks::*peak) {
    if (!(gpu.dense_peak.*peak)) return;
    list.push_back({.name = fmt::format("{} tensor peak", format_name),
                    .pointer = device + "dense_peak/" + format_name,
                    .value = format((gpu.dense_peak.*peak)->value),
                    .scale = [peak](Question& q, double f) { (gpu_of(q).dense_peak.*peak)->value *= f; }});
  };
  add_peak("bf16", &TensorPeaks::bf16);
  add_peak("fp8", &TensorPeaks::fp8);
  add_peak("fp4", &TensorPeaks::fp4);
  list.push_back({.name = "HBM bandwidth",
                  .pointer = device + "hbm_bandwidth",
                  .value = format(gpu.hbm_bandwidth.value),
                  .scale = [](Question& q, double f) { gpu_of(q).hbm_bandwidth.value *= f; }});
  list.push_back({.name = "L2 capacity",
                  .pointer = device + "l2_capacity",
                  .value = format(gpu.l2_capacity.value),
                  .kind = InputKind::count,
                  .scale = [](Question& q, double f) { gpu_of(q).l2_capacity.value *= f; }});
  const std::int64_t n = gpu.multiprocessors.value;
  const std::int64_t tenth = std::max(n + 2, static_cast<std::int64_t>(std::llround(kTenth * static_cast<double>(n))));
  if (n > 1) {
    list.push_back({.name = "multiprocessors (same peak)",
                    .pointer = device + "multiprocessors",
                    .value = std::to_string(n),
                    .kind = InputKind::count,
                    .integer = n,
                    .neighbours = {n - 1, n + 1, tenth},
                    .set = [](Question& q, std::int64_t value) { gpu_of(q).multiprocessors.value = value; }});
  }
}

void add_overhead_inputs(std::vector<Input>& list) {
  list.push_back({.name = "kernel launches",
                  .value = "calibration",
                  .kind = InputKind::latency,
                  .scale = [](Question& q, double f) { scale_launches(q.calibration, f); }});
  list.push_back({.name = "exchange overheads",
                  .value = "calibration",
                  .kind = InputKind::latency,
                  .scale = [](Question& q, double f) { scale_exchange_overheads(q.calibration, f); }});
}

void add_fabric_inputs(std::vector<Input>& list, const Fabric& fabric) {
  for (std::size_t t = 0; t < fabric.size(); ++t) {
    const std::string tier = fabric[t].name.substr(0, fabric[t].name.find(','));
    const std::string pointer = fmt::format("/hardware/fabric/{}/", t);
    list.push_back({.name = tier + " bandwidth",
                    .pointer = pointer + "bandwidth",
                    .value = format(fabric[t].bandwidth.value),
                    .scale = [t](Question& q, double f) { q.scenario.cluster.fabric[t].bandwidth.value *= f; }});
    list.push_back({.name = tier + " latency",
                    .pointer = pointer + "latency",
                    .value = format(fabric[t].latency.value),
                    .kind = InputKind::latency,
                    .scale = [t](Question& q, double f) { q.scenario.cluster.fabric[t].latency.value *= f; }});
  }
}

// Twice and half of a whole number.
std::vector<std::int64_t> halved_and_doubled(std::int64_t value) {
  return value % 2 == 0 ? std::vector{value / 2, 2 * value} : std::vector{2 * value};
}

void add_workload_inputs(std::vector<Input>& list, const Scenario& s) {
  const auto add = [&](const char* name, std::int64_t value, auto assign) {
    list.push_back({.name = name,
                    .pointer = fmt::format("/workload/{}", name),
                    .value = format_count(value),
                    .kind = InputKind::workload,
                    .integer = value,
                    .neighbours = halved_and_doubled(value),
                    .set = [assign](Question& q, std::int64_t to) {
                      assign(q.scenario.workload, to);
                      choose_cut_anew(q);
                    }});
  };
  if (const TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload)) {
    add("sequence", train->sequence, [](Workload& w, std::int64_t to) { std::get<TrainWorkload>(w).sequence = to; });
    add("global_batch", train->global_batch,
        [](Workload& w, std::int64_t to) { std::get<TrainWorkload>(w).global_batch = to; });
    if (std::holds_alternative<Gpu>(s.cluster.device))  // a wafer knows no micro-batch but its tiles
      add("micro_batch", train->micro_batch,
          [](Workload& w, std::int64_t to) { std::get<TrainWorkload>(w).micro_batch = to; });
  } else {
    add("tokens", std::get<LayerWorkload>(s.workload).tokens,
        [](Workload& w, std::int64_t to) { std::get<LayerWorkload>(w).tokens = to; });
  }
  for (const LayerKind& kind : s.model.kinds) {
    const MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn);
    if (moe == nullptr || moe->top_k < 2 || moe->top_k >= moe->experts) continue;
    list.push_back({.name = "experts per token",
                    .value = std::to_string(moe->top_k),
                    .kind = InputKind::workload,
                    .integer = moe->top_k,
                    .neighbours = {moe->top_k - 1, moe->top_k + 1},
                    .set = [](Question& q, std::int64_t to) {
                      for (LayerKind& k : q.scenario.model.kinds) {
                        if (MoeFfn* ffn = std::get_if<MoeFfn>(&k.ffn)) ffn->top_k = to;
                      }
                      choose_cut_anew(q);
                    }});
    return;
  }
}

double tokens_of(const Scenario& s) {
  if (const TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload))
    return static_cast<double>(train->global_batch) * static_cast<double>(train->sequence);
  return static_cast<double>(std::get<LayerWorkload>(s.workload).tokens);
}

std::vector<WithoutPart> without_gpu_parts(const Question& question) {
  std::vector<WithoutPart> list{
      {"HBM", "memory", question}, {"tensor cores", "tensor cores", question}, {"launch overheads", "overhead", question}};
  gpu_of(list[0].question).hbm_bandwidth.value *= kNothing;
  TensorPeaks& peaks = gpu_of(list[1].question).dense_peak;
  for (auto peak : {&TensorPeaks::bf16, &TensorPeaks::fp8, &TensorPeaks::fp4}) {
    if (peaks.*peak) (peaks.*peak)->value *= kNothing;
  }
  scale_launches(list[2].question.calibration, 0);
  scale_exchange_overheads(list[2].question.calibration, 0);
  return list;
}

Elasticity continuous(const Input& input, const Question& question, Seconds base) {
  const auto at = [&](double factor) {
    Question moved = question;
    input.scale(moved, factor);
    return answer_time(moved).value_or(base);
  };
  return {.input = input,
          .elasticity = std::log(at(std::exp(input.step)) / at(std::exp(-input.step))) / (2 * input.step),
          .effect = at(kTenth) / base - 1};
}

// Neighbours that cannot run are left out.
Elasticity stepwise(const Input& input, const Question& question, Seconds base) {
  Elasticity result{.input = input};
  const double tokens = tokens_of(question.scenario);
  for (const std::int64_t value : input.neighbours) {
    Question moved = question;
    input.set(moved, value);
    const std::optional<Seconds> time = answer_time(moved);
    if (!time) continue;
    const double ratio = *time / base;
    result.neighbours.push_back({value, ratio - 1, tokens_of(moved.scenario) / tokens / ratio - 1});
  }
  if (result.neighbours.empty()) return result;
  const Neighbour &first = result.neighbours.front(), &second = result.neighbours[result.neighbours.size() > 1 ? 1 : 0];
  const bool alone = result.neighbours.size() == 1;
  const auto x = [&](std::int64_t value) { return std::log(static_cast<double>(value)); };
  const double below = alone ? 0 : std::log1p(first.time_change);
  result.elasticity =
      (std::log1p(second.time_change) - below) / (x(second.value) - x(alone ? input.integer : first.value));
  result.effect = result.neighbours.back().time_change;
  return result;
}

}  // namespace

std::string_view name(InputKind kind) {
  switch (kind) {
    case InputKind::rate:
      return "rate";
    case InputKind::latency:
      return "latency";
    case InputKind::count:
      return "count";
    case InputKind::assumption:
      return "assumption";
    case InputKind::workload:
      return "workload";
  }
  return "";
}

Question varied_question(const Scenario& scenario, const Calibration& calibration, const Evaluation& evaluation) {
  Question question{scenario, calibration};
  question.scenario.resolved = nullptr;
  question.scenario.assumptions.clear();
  const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer);
  if (train != nullptr && !train->cut->layout.empty())
    std::get<TrainWorkload>(question.scenario.workload).pipeline_layout = train->cut->layout;
  const auto fix = [&](const auto& answer) {
    if constexpr (requires { answer.wafer; }) {
      if (answer.wafer) fix_cut(question, *answer.wafer);
    }
  };
  std::visit(fix, evaluation.answer);
  return question;
}

Seconds answer_time(const Evaluation& evaluation) {
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) return train->step.value;
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) return serve->tpot.value;
  const LayerEvaluation& layer = std::get<LayerEvaluation>(evaluation.answer);
  return layer.forward + layer.backward;
}

std::optional<Seconds> answer_time(const Question& question, std::vector<std::string_view> free) {
  const Outcome outcome = evaluate(question.scenario, question.calibration, std::move(free));
  if (const Evaluation* evaluation = std::get_if<Evaluation>(&outcome)) return answer_time(*evaluation);
  return std::nullopt;
}

std::vector<Input> inputs_of(const Question& question) {
  std::vector<Input> list;
  const Cluster& cluster = question.scenario.cluster;
  if (const Gpu* gpu = std::get_if<Gpu>(&cluster.device)) {
    add_device_inputs(list, *gpu);
  } else {
    list = wafer_inputs(std::get<Wafer>(cluster.device), question);
  }
  add_fabric_inputs(list, cluster.fabric);
  if (std::holds_alternative<Gpu>(cluster.device)) add_overhead_inputs(list);
  add_workload_inputs(list, question.scenario);
  return list;
}

std::vector<Elasticity> elasticities(const Question& question) {
  const std::optional<Seconds> base = answer_time(question);
  MOELINE_EXPECT(base.has_value() && *base > Seconds{});
  std::vector<Elasticity> list;
  for (const Input& input : inputs_of(question)) {
    list.push_back(input.scale ? continuous(input, question, *base) : stepwise(input, question, *base));
  }
  std::stable_sort(list.begin(), list.end(), [](const Elasticity& a, const Elasticity& b) {
    const bool a_asked = a.input.kind == InputKind::workload, b_asked = b.input.kind == InputKind::workload;
    if (a_asked != b_asked) return b_asked;
    return std::abs(a.effect) > std::abs(b.effect);
  });
  return list;
}

std::vector<Elasticity> effects(const Question& question) {
  const std::optional<Seconds> base = answer_time(question);
  MOELINE_EXPECT(base.has_value() && *base > Seconds{});
  std::vector<Elasticity> list;
  for (const Input& input : inputs_of(question)) {
    if (input.kind != InputKind::rate && input.kind != InputKind::latency) continue;
    Question moved = question;
    input.scale(moved, kTenth);
    list.push_back({.input = input, .effect = answer_time(moved).value_or(*base) / *base - 1});
  }
  return list;
}

std::vector<Free> without_each(const Question& question, const Evaluation& evaluation) {
  const Seconds base = answer_time(evaluation);
  std::vector<Free> list;
  const auto add = [&](std::string name, const char* kind, std::optional<Seconds> time) {
    if (time) list.push_back({std::move(name), kind, *time, *time / base - 1});
  };
  std::vector<std::string_view> groups;
  const auto add_group = [&](std::string_view group) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  };
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : train->breakdown.rows()) add_group(row.name);
  } else {
    for (const LayerRow& row : std::get<LayerEvaluation>(evaluation.answer).rows) add_group(row.group);
  }
  for (const std::string_view group : groups) add(std::string(group), "group", answer_time(question, {group}));
  if (std::find(groups.begin(), groups.end(), "dispatch") != groups.end())
    add("dispatch and combine", "group", answer_time(question, {"dispatch", "combine"}));
  Question moved = question;
  for (std::size_t t = 0; t < question.scenario.cluster.fabric.size(); ++t) {
    Tier& tier = moved.scenario.cluster.fabric[t];
    const Tier before = tier;
    tier.bandwidth.value *= kNothing;
    tier.latency.value *= 1 / kNothing;
    add(tier.name.substr(0, tier.name.find(',')), "tier", answer_time(moved));
    tier = before;
  }
  const bool gpu = std::holds_alternative<Gpu>(question.scenario.cluster.device);
  for (const WithoutPart& part : gpu ? without_gpu_parts(question) : without_wafer_parts(question))
    add(part.name, part.kind, answer_time(part.question));
  std::stable_sort(list.begin(), list.end(), [](const Free& a, const Free& b) { return a.time < b.time; });
  return list;
}

}  // namespace moeline
