#include "plan/serving/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace moeline {
namespace {

constexpr double kTenth = 1.1;
constexpr double kLeastKept = 0.01, kMostKept = 0.99, kOften = 0.1;  // of drafted tokens, and how far they are moved

ServeWorkload& workload_of(Question& question) { return std::get<ServeWorkload>(question.scenario.workload); }

// The software around a served model, which its calibration does not hold.
void add_conduct(std::vector<Input>& list, const StackConduct& conduct) {
  list.push_back({.name = "host work of an iteration",
                  .pointer = "/workload/host_overhead",
                  .value = format(conduct.host),
                  .kind = InputKind::latency,
                  .scale = [](Question& q, double f) {
                    q.conduct.host *= f;
                    q.conduct.host_sequence *= f;
                  }});
  list.push_back({.name = "handling of a request",
                  .value = format(conduct.request),
                  .kind = InputKind::latency,
                  .scale = [](Question& q, double f) { q.conduct.request *= f; }});
}

// A real number at others of its kind.
template <class Set>
Input moved_input(std::string name, std::string pointer, double now, std::vector<double> neighbours, Set set) {
  return {.name = std::move(name), .pointer = std::move(pointer), .value = fmt::format("{:.4g}", now), .kind = InputKind::workload,
          .now = now, .neighbours = std::move(neighbours), .set = std::move(set)};
}

void add_capacity(std::vector<Input>& list, const Gpu& gpu) {
  Input input = moved_input("HBM capacity", "/hardware/device/hbm_capacity", gpu.hbm_capacity.value.in(byte), {}, [](Question& q, double to) {
    std::get<Gpu>(q.scenario.cluster.device).hbm_capacity.value = to * byte;
  });
  input.value = format(gpu.hbm_capacity.value);
  input.kind = InputKind::count;
  input.neighbours = {input.now / kTenth, kTenth * input.now};
  list.push_back(std::move(input));
}

void add_load(std::vector<Input>& list, const ServeWorkload& serve) {
  const auto add = [&](const char* name, std::int64_t ServeWorkload::*field) {
    list.push_back(halved_and_doubled(name, fmt::format("/workload/{}", name), serve.*field,
                                      [field](Question& q, std::int64_t to) { workload_of(q).*field = to; }));
  };
  if (const std::optional<double> rate = serve.request_rate) {
    list.push_back(moved_input("request_rate", "/workload/request_rate", *rate, {*rate / kTenth, kTenth * *rate},
                               [](Question& q, double to) { workload_of(q).request_rate = to; }));
  } else {
    add("concurrency", &ServeWorkload::concurrency);
  }
  add("input", &ServeWorkload::input);
  add("output", &ServeWorkload::output);
  const double cached = serve.prefix_hit_rate;
  list.push_back(moved_input("prefix_hit_rate", "/workload/prefix_hit_rate", cached,
                             cached > 0 ? std::vector{cached / 2, (1 + cached) / 2} : std::vector{0.5},
                             [](Question& q, double to) { workload_of(q).prefix_hit_rate = to; }));
}

// The first position's; the others move with it.
void add_acceptance(std::vector<Input>& list, const Speculation& speculation) {
  if (speculation.kind == SpeculationKind::none) return;
  const double now = speculation.acceptance.front();
  list.push_back(moved_input("acceptance", "/speculation/acceptance", now, {std::max(kLeastKept, now - kOften), std::min(kMostKept, now + kOften)},
                             [now](Question& q, double to) {
                               for (double& kept : q.scenario.speculation.acceptance) kept = std::clamp(kept + to - now, kLeastKept, kMostKept);
                             }));
}

}  // namespace

void add_serving_inputs(std::vector<Input>& list, const Question& question) {
  add_conduct(list, question.conduct);
  add_capacity(list, std::get<Gpu>(question.scenario.cluster.device));
  add_load(list, std::get<ServeWorkload>(question.scenario.workload));
  add_acceptance(list, question.scenario.speculation);
}

}  // namespace moeline
