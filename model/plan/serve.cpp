#include "plan/serve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/rates.hpp"
#include "plan/serve_steady.hpp"
#include "plan/speculative_rounds.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

std::optional<Infeasible> check_layout(const ServeLayout& l, const ModelSpec& model) {
  Parallelism p{.tp = l.tp, .pp = l.pp, .ep = l.ep, .etp = l.etp};
  return resolve(p, l.devices(), model);
}

// What a worker holds, and the requests that leaves room for.
struct Room {
  Footprint memory;
  Bytes available, request;
  double most = 0;        // requests of a worker by memory
  double admitted = 0;    // that run at once, as the stack admits them
};

std::variant<Room, Infeasible> room_of(const Scenario& s, const ServeWorkload& w, const ServingSteps& steps) {
  const ServingContext& c = steps.context();
  const StackConduct& conduct = steps.conduct();
  Room room;
  room.available = w.memory_fraction * memory_capacity(s.cluster.device);
  const double groups = real(c.layout.dp), budget = std::max(conduct.token_budget, w.chunked_prefill ? 0 : real(w.input));
  room.memory.parts = {{"weights", served_weights(c)}, {"workspace", served_workspace(c, budget, 256)}};
  const DecodeRounds* rounds = steps.rounds();
  if (rounds != nullptr && rounds->draft_weights() > Bytes{}) room.memory.parts.push_back({"draft", rounds->draft_weights()});
  const auto cache = [&](double tokens) {
    return served_cache(c, tokens, conduct.page) + (rounds != nullptr ? rounds->draft_cache(tokens, conduct.page) : Bytes{});
  };
  const Bytes fixed = room.memory.total();
  const double full = real(w.input + w.output), mean = real(w.input) + real(w.output) / 2;
  room.request = cache(full);
  if (fixed + room.request > room.available) {
    return Infeasible{fmt::format("weights and one request of {:.0f} tokens do not fit a device of a worker of {}", full, c.layout.devices()),
                      "cut the model further (tp, ep, pp), or store it in fewer bits", fixed + room.request, room.available};
  }
  const Bytes left = room.available - fixed;
  room.most = std::floor(left / room.request) * groups;
  room.admitted = conduct.whole_request ? room.most : std::floor(left / cache(mean)) * groups;
  if (w.max_batch > 0) room.admitted = std::min(room.admitted, real(w.max_batch));
  return room;
}

RequestShape shape_of(const ServeWorkload& w) {
  const double input = real(w.input);
  return {.input = input, .output = real(w.output), .cached = std::min(input - 1, std::floor(w.prefix_hit_rate * input))};
}

// TTFT and TPOT by part, so that each phase of the breakdown adds up.
void add_parts(Breakdown& rows, const Breakdown& iteration, std::string_view phase, double times) {
  for (BreakdownRow row : iteration.rows()) {
    row.phase = phase;
    rows.add(row, times);
  }
}
void add_part(Breakdown& rows, std::string_view name, std::string_view phase, Seconds time, Source source) {
  if (time > Seconds{}) rows.add({.name = name, .phase = phase, .seconds = time, .exposed = time, .bound_by = "queue", .source = source, .largest = time});
}

Range range_of(const Breakdown& rows, std::string_view phase) {
  Breakdown own;
  for (const BreakdownRow& row : rows.rows()) {
    if (row.phase == phase) own.add(row);
  }
  return range_of(own);
}

// One worker of an aggregated deployment, in words of the answer.
void describe(const ServingSteps& steps, const RequestShape& shape, const SteadyState& state, ServeEvaluation& answer) {
  const double sequences = std::max(1.0, state.decoding), context = shape.input + shape.output / 2;
  const Iteration decoding = steps.decoding(sequences, context);
  const IterationCost iteration = steps.cost(decoding);
  answer.decode_iteration = iteration.time;
  if (steps.rounds() != nullptr) answer.round = steps.rounds()->at(sequences, context);
  const double tokens_each = answer.round ? answer.round->tokens : 1;
  add_parts(answer.breakdown, iteration.breakdown, name(Phase::decode), 1 / tokens_each);
  const Seconds drafting = state.decode - iteration.time / tokens_each;
  if (answer.round && drafting > Seconds{}) {
    answer.breakdown.add({.name = "drafting", .phase = name(Phase::decode), .seconds = drafting, .exposed = drafting,
                          .bound_by = "draft", .source = Source::extrapolated, .largest = drafting});
  }
  add_part(answer.breakdown, "prompts of others", name(Phase::decode), state.tpot - state.decode, Source::extrapolated);
  const double tokens = shape.prompt() / state.chunks, before = shape.cached + tokens * (state.chunks - 1) / 2;
  const bool mixes = steps.conduct().mixes && state.decode > Seconds{};
  const IterationCost prompt = steps.cost(steps.with_prompts(mixes ? decoding : Iteration{}, state.prompts_at_once, tokens, before, true));
  answer.prefill_iteration = prompt.time;
  add_parts(answer.breakdown, prompt.breakdown, name(Phase::prefill), state.chunks);
  answer.queue = state.ttft - state.chunks * prompt.time - steps.conduct().request;
  add_part(answer.breakdown, "queue", name(Phase::prefill), answer.queue, Source::extrapolated);
  add_part(answer.breakdown, "request handling", name(Phase::prefill), steps.conduct().request, Source::assumed);
}

void add_rates(const Scenario& s, const RequestShape& shape, double requests_per_second, std::int64_t devices, ServeEvaluation& answer) {
  answer.requests_per_second = requests_per_second;
  answer.tokens_per_second = requests_per_second * shape.output;
  answer.input_tokens_per_second = requests_per_second * shape.input;
  answer.tokens_per_second_per_device = answer.tokens_per_second / real(devices);
  answer.tokens_per_second_per_user = 1 / answer.tpot.value.in(second);
  if (s.cluster.price) {
    const double hour = s.cluster.price->per_device_hour * real(devices);
    answer.money_per_million_tokens = hour / 3600 / answer.tokens_per_second * 1e6;
  }
}

std::variant<ServeEvaluation, Infeasible> aggregated(const Scenario& s, const ServeWorkload& w, const ServingSteps& steps) {
  auto held = room_of(s, w, steps);
  if (Infeasible* why = std::get_if<Infeasible>(&held)) return std::move(*why);
  const Room& room = std::get<Room>(held);
  const RequestShape shape = shape_of(w);
  const std::int64_t devices = steps.context().layout.devices();
  ServeEvaluation answer;
  answer.replicas = s.cluster.devices / devices;
  const double replicas = real(answer.replicas);
  SteadyState state;
  if (w.request_rate) {
    double limit = 0;
    const auto steady = open_loop(steps, shape, *w.request_rate / replicas, room.admitted, limit);
    if (!steady) {
      return Infeasible{fmt::format("{:.4g} requests/s saturate the deployment, which sustains {:.4g}: the queue grows without end",
                                    *w.request_rate, limit * replicas), "lower request_rate, or add devices"};
    }
    state = *steady;
  } else {
    const double requests = std::max(1.0, real(w.concurrency) / replicas);
    if (w.static_batch && requests > room.most) {
      return Infeasible{fmt::format("a batch of {:.0f} requests, where {:.0f} fit", requests, room.most), "lower concurrency"};
    }
    state = w.static_batch ? static_batch(steps, shape, requests) : closed_loop(steps, shape, requests, room.admitted);
  }
  describe(steps, shape, state, answer);
  answer.tpot = range_of(answer.breakdown, name(Phase::decode));
  answer.ttft = range_of(answer.breakdown, name(Phase::prefill));
  answer.memory = room.memory;
  const double running = std::min(room.admitted, std::ceil(state.decoding));
  answer.memory.parts.push_back({"cache", std::ceil(running / real(steps.context().layout.dp)) * room.request});
  answer.memory_available = room.available;
  answer.kv_cache = room.request;
  answer.max_concurrency = room.most * replicas;
  answer.decoding = state.decoding * replicas;
  answer.utilisation = state.utilisation;
  const double loops = w.request_rate || w.static_batch ? 1 : std::min(1.0, real(w.concurrency) / replicas);
  const std::int64_t drafting = steps.rounds() != nullptr ? steps.rounds()->own_devices() * answer.replicas : 0;
  add_rates(s, shape, state.requests_per_second * replicas * loops, s.cluster.devices + drafting, answer);
  return answer;
}

}  // namespace

Outcome evaluate_serve(const Scenario& s, const Calibration& calibration, std::vector<std::string_view> free) {
  const ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  if (!std::holds_alternative<Gpu>(s.cluster.device)) {
    return Infeasible{"serving on wafers is not modelled", "choose a GPU cluster"};
  }
  const ServeLayout& layout = w.decode.layout;
  if (auto why = check_layout(layout, s.model)) return *why;
  if (s.cluster.devices % layout.devices() != 0) {
    return Infeasible{fmt::format("{} devices are not a whole number of workers of {}", s.cluster.devices, layout.devices()),
                      "change devices, tp, ep or pp"};
  }
  const ServingSteps steps(s, layout, calibration, stack_conduct(w), std::move(free));
  if (steps.rounds() != nullptr) {
    if (auto why = steps.rounds()->why_not()) return *why;
  }
  auto answered = aggregated(s, w, steps);
  if (Infeasible* why = std::get_if<Infeasible>(&answered)) return std::move(*why);
  Evaluation evaluation{.answer = std::get<ServeEvaluation>(std::move(answered)), .assumptions = s.assumptions, .warnings = {}};
  for (const std::string& note : steps.notes()) evaluation.assumptions.push_back(note);
  evaluation.source = std::get<ServeEvaluation>(evaluation.answer).breakdown.source();
  return evaluation;
}

}  // namespace moeline
