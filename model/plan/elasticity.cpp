#include "plan/elasticity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cost/serving_fit.hpp"
#include "plan/serving/inputs.hpp"
#include "plan/serving/serve.hpp"
#include "plan/wafer/inputs.hpp"

namespace moeline {
namespace {

constexpr double kTenth = 1.1;    // what the effect is quoted for
constexpr double kNothing = 1e9;  // a rate times this takes no time

double real(std::int64_t value) { return static_cast<double>(value); }
Gpu& gpu_of(Question& question) { return std::get<Gpu>(question.scenario.cluster.device); }

// Kernels of serving stacks, on a copy: pages are shared.
template <class Scale>
void change_serving(Calibration& c, const Scale& scale) {
  if (c.serving == nullptr) return;
  auto fits = std::make_shared<ServingFits>(*c.serving);
  scale(*fits);
  c.serving = std::move(fits);
}

void scale_launches(Question& q, double factor) {
  Calibration& c = q.calibration;
  for (GemmFit* fit : {&c.gemm_bf16, &c.gemm_fp8, &c.gemm_fp8_block, &c.gemm_fp4, &c.gemm_mxfp8, &c.grouped_bf16, &c.grouped_fp8_block, &c.grouped_mxfp8}) {
    for (Seconds* time : {&fit->launch, &fit->split, &fit->expert}) *time *= factor;
  }
  for (PrefillFit* fit : {&c.attention, &c.latent_attention}) {
    fit->launch *= factor;
    fit->launch_backward *= factor;
  }
  c.memory.launch *= factor;
  c.scan.launch *= factor;
  change_serving(c, [&](ServingFits& fits) {
    for (DecodeFit* fit : {&fits.decode.bf16, &fits.decode.fp8, &fits.latent_decode.bf16, &fits.latent_decode.fp8}) fit->launch *= factor;
    for (ExpertKernel& kernel : fits.experts) kernel.fit.launch *= factor;
  });
  q.conduct.launch *= factor;
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
  change_serving(c, [&](ServingFits& fits) {
    for (FrameworkAllReduceFit& fit : fits.all_reduce) {
      for (Seconds* time : {&fit.one_launch, &fit.two_launch, &fit.switch_launch, &fit.hop}) *time *= factor;
    }
    LowLatencyFits& low = fits.low_latency;
    for (DeepEpLowLatencyFit* fit : {&low.dispatch, &low.combine, &low.nodes_dispatch, &low.nodes_combine}) {
      for (Seconds* time : {&fit->launch, &fit->doubling, &fit->expert}) *time *= factor;
    }
  });
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
  if (gpu.rate_spread.value > 0) {
    list.push_back({.name = "spread among devices",
                    .pointer = device + "rate_spread",
                    .value = fmt::format("{:.1f} %", 100 * gpu.rate_spread.value),
                    .kind = InputKind::count,
                    .scale = [](Question& q, double f) { gpu_of(q).rate_spread.value *= f; }});
  }
  const std::int64_t n = gpu.multiprocessors.value;
  const std::int64_t tenth = std::max(n + 2, static_cast<std::int64_t>(std::llround(kTenth * static_cast<double>(n))));
  if (n > 1) {
    list.push_back({.name = "multiprocessors (same peak)",
                    .pointer = device + "multiprocessors",
                    .value = std::to_string(n),
                    .kind = InputKind::count,
                    .now = real(n),
                    .neighbours = {real(n - 1), real(n + 1), real(tenth)},
                    .set = [](Question& q, double value) { gpu_of(q).multiprocessors.value = std::llround(value); }});
  }
}

void add_overhead_inputs(std::vector<Input>& list) {
  list.push_back({.name = "kernel launches",
                  .value = "calibration",
                  .kind = InputKind::latency,
                  .scale = scale_launches});
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

// Shapes of the model; every layer of a kind alike.
void add_model_inputs(std::vector<Input>& list, const Scenario& s) {
  const auto layer_kinds = [](auto change) {
    return [change](Question& q, std::int64_t to) {
      for (LayerKind& kind : q.scenario.model.kinds) {
        if (MoeFfn* moe = std::get_if<MoeFfn>(&kind.ffn)) change(*moe, to);
      }
    };
  };
  if (const MoeFfn* moe = any_moe(s.model)) {
    if (moe->top_k > 1 && moe->top_k < moe->experts) {
      Input top_k = halved_and_doubled("experts per token", "", moe->top_k, layer_kinds([](MoeFfn& f, std::int64_t to) { f.top_k = to; }));
      top_k.neighbours = {real(moe->top_k - 1), real(moe->top_k + 1)};
      list.push_back(std::move(top_k));
    }
    list.push_back(halved_and_doubled("width of an expert", "", moe->width, layer_kinds([](MoeFfn& f, std::int64_t to) { f.width = to; })));
    const bool any = s.routing.popularity == Popularity::balanced || s.routing.popularity == Popularity::uniform;  // others name experts
    if (any && moe->experts >= 2 * moe->top_k)
      list.push_back(halved_and_doubled("experts", "", moe->experts, layer_kinds([](MoeFfn& f, std::int64_t to) { f.experts = to; })));
  }
  const auto count = static_cast<std::int64_t>(s.model.layers.size());
  const TrainWorkload* train = std::get_if<TrainWorkload>(&s.workload);
  if (std::holds_alternative<LayerWorkload>(s.workload) || count < 2 || (train != nullptr && !train->pipeline_layout.empty())) return;
  Input layers = halved_and_doubled("layers", "", count, [](Question& q, std::int64_t to) {
    std::vector<int>& all = q.scenario.model.layers;
    all.resize(static_cast<std::size_t>(to), all.back());
  });
  layers.neighbours = {real(count - 1), real(count + 1)};
  list.push_back(std::move(layers));
}

void add_workload_inputs(std::vector<Input>& list, const Scenario& s) {
  const auto add = [&]<class Asked>(const char* name, std::int64_t Asked::*field) {
    list.push_back(halved_and_doubled(name, fmt::format("/workload/{}", name), std::get<Asked>(s.workload).*field,
                                      [field](Question& q, std::int64_t to) { std::get<Asked>(q.scenario.workload).*field = to; }));
  };
  if (std::holds_alternative<TrainWorkload>(s.workload)) {
    add("sequence", &TrainWorkload::sequence);
    add("global_batch", &TrainWorkload::global_batch);
    if (std::holds_alternative<Gpu>(s.cluster.device)) add("micro_batch", &TrainWorkload::micro_batch);  // a wafer knows its tiles only
  } else if (std::holds_alternative<LayerWorkload>(s.workload)) {
    add("tokens", &LayerWorkload::tokens);
  }
}

std::vector<WithoutPart> without_gpu_parts(const Question& question) {
  std::vector<WithoutPart> list{
      {"HBM", "memory", question}, {"tensor cores", "tensor cores", question}, {"launch overheads", "overhead", question}};
  gpu_of(list[0].question).hbm_bandwidth.value *= kNothing;
  TensorPeaks& peaks = gpu_of(list[1].question).dense_peak;
  for (auto peak : {&TensorPeaks::bf16, &TensorPeaks::fp8, &TensorPeaks::fp4}) {
    if (peaks.*peak) (peaks.*peak)->value *= kNothing;
  }
  scale_launches(list[2].question, 0);
  scale_exchange_overheads(list[2].question.calibration, 0);
  if (std::holds_alternative<ServeWorkload>(question.scenario.workload)) {
    list.push_back({"handling of a request", "overhead", question});
    list.back().question.conduct.request = Seconds{};
  }
  return list;
}

Outcome outcome_of(const Question& q, std::vector<std::string_view> free = {}) {
  if (std::holds_alternative<ServeWorkload>(q.scenario.workload)) return evaluate_serve(q.scenario, q.calibration, std::move(free), q.conduct);
  return evaluate(q.scenario, q.calibration, std::move(free));
}

// What inputs move.
struct Moved {
  Seconds time;
  double tokens_per_second = 0;
  std::optional<Seconds> ttft{};  // of serving
};

std::variant<Moved, Infeasible> moved(const Question& question) {
  Outcome outcome = outcome_of(question);
  if (Infeasible* why = std::get_if<Infeasible>(&outcome)) return std::move(*why);
  const Evaluation& evaluation = std::get<Evaluation>(outcome);
  const Seconds time = answer_time(evaluation);
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) return Moved{time, train->tokens_per_second};
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) return Moved{time, serve->tokens_per_second, serve->ttft.value};
  return Moved{time, real(std::get<LayerWorkload>(question.scenario.workload).tokens) / time.in(second)};
}

Elasticity continuous(const Input& input, const Question& question, const Moved& base) {
  const auto at = [&](double factor) {
    Question other = question;
    input.scale(other, factor);
    const auto there = moved(other);
    return std::holds_alternative<Moved>(there) ? std::get<Moved>(there) : base;
  };
  const Moved more = at(std::exp(input.step)), less = at(std::exp(-input.step)), tenth = at(kTenth);
  const auto slope = [&](Seconds up, Seconds down) { return std::log(up / down) / (2 * input.step); };
  Elasticity result{.input = input, .elasticity = slope(more.time, less.time), .effect = tenth.time / base.time - 1};
  if (base.ttft) result.first = {slope(*more.ttft, *less.ttft), *tenth.ttft / *base.ttft - 1};
  return result;
}

Elasticity stepwise(const Input& input, const Question& question, const Moved& base) {
  Elasticity result{.input = input};
  for (const double value : input.neighbours) {
    Question other = question;
    input.set(other, value);
    const auto there = moved(other);
    if (const Infeasible* why = std::get_if<Infeasible>(&there)) {
      result.refused.push_back({value, why->reason});
      continue;
    }
    const Moved& next = std::get<Moved>(there);
    result.neighbours.push_back({value, next.time / base.time - 1, next.tokens_per_second / base.tokens_per_second - 1});
    if (base.ttft) result.neighbours.back().ttft_change = *next.ttft / *base.ttft - 1;
  }
  if (result.neighbours.empty()) return result;
  const Neighbour &first = result.neighbours.front(), &second = result.neighbours[result.neighbours.size() > 1 ? 1 : 0];
  const bool alone = result.neighbours.size() == 1;
  const double apart = std::log(second.value / (alone ? input.now : first.value));
  const auto slope = [&](double below, double above) { return (std::log1p(above) - (alone ? 0 : std::log1p(below))) / apart; };
  result.elasticity = slope(first.time_change, second.time_change);
  result.effect = result.neighbours.back().time_change;
  if (base.ttft) result.first = {slope(*first.ttft_change, *second.ttft_change), *result.neighbours.back().ttft_change};
  return result;
}

// What a breakdown can do without: not the waits for others, which no op makes.
std::vector<std::string_view> groups_of(const Evaluation& evaluation) {
  std::vector<std::string_view> groups;
  const auto add = [&](std::string_view group) {
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
  };
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : train->breakdown.rows()) add(row.name);
  } else if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : serve->breakdown.rows()) {
      if (row.bound_by != "queue") add(row.name);
    }
  } else {
    for (const LayerRow& row : std::get<LayerEvaluation>(evaluation.answer).rows) add(row.group);
  }
  return groups;
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
  if (const ServeWorkload* serve = std::get_if<ServeWorkload>(&scenario.workload)) question.conduct = stack_conduct(*serve);
  return question;
}

Seconds answer_time(const Evaluation& evaluation) {
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) return train->step.value;
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) return serve->tpot.value;
  const LayerEvaluation& layer = std::get<LayerEvaluation>(evaluation.answer);
  return layer.forward + layer.backward;
}

std::optional<Seconds> answer_time(const Question& question, std::vector<std::string_view> free) {
  const Outcome outcome = outcome_of(question, std::move(free));
  if (const Evaluation* evaluation = std::get_if<Evaluation>(&outcome)) return answer_time(*evaluation);
  return std::nullopt;
}

namespace {

void add_share(std::vector<Holder>& list, std::string_view bound_by, double share) {
  auto found = std::find_if(list.begin(), list.end(), [&](const Holder& h) { return h.bound_by == bound_by; });
  if (found == list.end()) found = list.insert(list.end(), {std::string(bound_by)});
  found->share += share;
}

std::vector<Holder> largest_first(std::vector<Holder> list) {
  std::stable_sort(list.begin(), list.end(), [](const Holder& a, const Holder& b) { return a.share > b.share; });
  return list;
}

// Of one phase; waits are bound by what is waited for.
std::vector<Holder> served_held_by(const ServeEvaluation& served, Phase phase, Seconds time) {
  std::vector<Holder> list;
  for (const BreakdownRow& row : served.breakdown.rows()) {
    if (row.phase == name(phase)) add_share(list, row.bound_by == "queue" ? row.name : row.bound_by, row.exposed / time);
  }
  return largest_first(std::move(list));
}

}  // namespace

std::vector<Holder> first_token_held_by(const ServeEvaluation& served) { return served_held_by(served, Phase::prefill, served.ttft.value); }

std::vector<Holder> held_by(const Evaluation& evaluation) {
  const Seconds time = answer_time(evaluation);
  if (const ServeEvaluation* serve = std::get_if<ServeEvaluation>(&evaluation.answer)) return served_held_by(*serve, Phase::decode, time);
  std::vector<Holder> list;
  if (const TrainEvaluation* train = std::get_if<TrainEvaluation>(&evaluation.answer)) {
    for (const BreakdownRow& row : train->breakdown.rows()) add_share(list, row.bound_by, row.exposed / time);
  } else {
    for (const LayerRow& row : std::get<LayerEvaluation>(evaluation.answer).rows) add_share(list, row.cost.bound_by, row.exposed / time);
  }
  return largest_first(std::move(list));
}

Input halved_and_doubled(std::string name, std::string pointer, std::int64_t value, std::function<void(Question&, std::int64_t)> set) {
  Input input{.name = std::move(name), .pointer = std::move(pointer), .value = format_count(value), .kind = InputKind::workload,
              .now = real(value), .neighbours = {real(2 * value)}};
  if (value % 2 == 0) input.neighbours.insert(input.neighbours.begin(), real(value / 2));
  input.set = [set = std::move(set)](Question& q, double to) {
    set(q, std::llround(to));
    choose_cut_anew(q);
  };
  return input;
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
  if (std::holds_alternative<ServeWorkload>(question.scenario.workload)) add_serving_inputs(list, question);
  add_workload_inputs(list, question.scenario);
  add_model_inputs(list, question.scenario);
  return list;
}

std::vector<Elasticity> elasticities(const Question& question) {
  const auto answered = moved(question);
  MOELINE_EXPECT(std::holds_alternative<Moved>(answered));
  const Moved& base = std::get<Moved>(answered);
  MOELINE_EXPECT(base.time > Seconds{});
  std::vector<Elasticity> list;
  for (const Input& input : inputs_of(question)) {
    list.push_back(input.scale ? continuous(input, question, base) : stepwise(input, question, base));
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
  const ServeEvaluation* served = std::get_if<ServeEvaluation>(&evaluation.answer);
  std::vector<Free> list;
  const auto add = [&](std::string name, const char* kind, const Question& asked, std::vector<std::string_view> free = {}) {
    const Outcome outcome = outcome_of(asked, std::move(free));
    const Evaluation* left = std::get_if<Evaluation>(&outcome);
    if (left == nullptr) return;
    const Seconds time = answer_time(*left);
    list.push_back({std::move(name), kind, time, time / base - 1, held_by(*left)});
    if (served != nullptr) list.back().ttft_change = std::get<ServeEvaluation>(left->answer).ttft.value / served->ttft.value - 1;
  };
  const std::vector<std::string_view> groups = groups_of(evaluation);
  for (const std::string_view group : groups) add(std::string(group), "group", question, {group});
  if (std::find(groups.begin(), groups.end(), "dispatch") != groups.end())
    add("dispatch and combine", "group", question, {"dispatch", "combine"});
  Question moved = question;
  for (std::size_t t = 0; t < question.scenario.cluster.fabric.size(); ++t) {
    Tier& tier = moved.scenario.cluster.fabric[t];
    const Tier before = tier;
    tier.bandwidth.value *= kNothing;
    tier.latency.value *= 1 / kNothing;
    add(tier.name.substr(0, tier.name.find(',')), "tier", moved);
    tier = before;
  }
  const bool gpu = std::holds_alternative<Gpu>(question.scenario.cluster.device);
  for (const WithoutPart& part : gpu ? without_gpu_parts(question) : without_wafer_parts(question))
    add(part.name, part.kind, part.question);
  std::stable_sort(list.begin(), list.end(), [](const Free& a, const Free& b) { return a.time < b.time; });
  return list;
}

}  // namespace moeline
