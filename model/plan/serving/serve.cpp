#include "plan/serving/serve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/rates.hpp"
#include "plan/serving/speculative_rounds.hpp"
#include "plan/serving/steady.hpp"

namespace moeline {
namespace {

double real(std::int64_t value) { return static_cast<double>(value); }

std::optional<Infeasible> check_layout(const ServeLayout& l, const ModelSpec& model) {
  Parallelism p{.tp = l.tp, .pp = l.pp, .ep = l.ep, .etp = l.etp};
  return resolve(p, l.devices(), model);
}

// What a device of a worker holds, and the requests the worker has room for.
struct Room {
  Footprint memory;
  Bytes available, request;  // request: all its tokens, on one device
  double most = 0;           // by memory, all tokens of each
  double running = 0;        // at once, as the stack admits them
};

std::variant<Room, Infeasible> room_of(const Scenario& s, const ServeWorkload& w, const ServingSteps& steps) {
  constexpr double kSampled = 256;  // sequences whose logits are in memory at once
  const ServingContext& c = steps.context();
  const StackConduct& conduct = steps.conduct();
  Room room;
  room.available = w.memory_fraction * memory_capacity(s.cluster.device);
  const double budget = std::max(conduct.token_budget, w.chunked_prefill ? 0 : real(w.input));
  room.memory.parts = {{"weights", served_weights(c)}, {"workspace", served_workspace(c, budget, kSampled)}};
  const DecodeRounds* rounds = steps.rounds();
  if (rounds != nullptr && rounds->draft_weights() > Bytes{}) room.memory.parts.push_back({"draft", rounds->draft_weights()});
  const auto cache = [&](double tokens) {
    return served_cache(c, tokens, conduct.page) + (rounds != nullptr ? rounds->draft_cache(tokens, conduct.page) : Bytes{});
  };
  const Bytes fixed = room.memory.total();
  const double full = real(w.input + w.output), mean = real(w.input) + real(w.output) / 2;
  room.request = cache(full);
  if (fixed + room.request > room.available) {
    return Infeasible{fmt::format("weights and one request of {:.0f} tokens do not fit the devices of a worker of {}", full, c.layout.devices()),
                      "cut the model further (tp, ep, pp), or store it in fewer bits", fixed + room.request, room.available};
  }
  const Bytes left = room.available - fixed;
  const double groups = real(c.layout.dp);
  room.most = std::floor(left / room.request) * groups;
  room.running = conduct.whole_request ? room.most : std::floor(left / cache(mean)) * groups;
  if (w.max_batch > 0) room.running = std::min(room.running, real(w.max_batch));
  return room;
}

Infeasible saturated(double rate, double limit) {
  return {fmt::format("{:.4g} requests/s saturate the deployment, which sustains {:.4g}: the queue grows without end", rate, limit),
          "lower request_rate, or add devices"};
}

// Mean lengths, where they are drawn from [ratio, 1] of the longest.
RequestShape shape_of(const ServeWorkload& w) {
  const double mean = (1 + w.length_ratio) / 2, input = std::max(1.0, mean * real(w.input));
  return {.input = input, .output = std::max(1.0, mean * real(w.output)),
          .cached = std::min(input - 1, std::floor(w.prefix_hit_rate * input))};
}

// Users whose requests are all of one length keep in step for ever, as no traffic does; benchmarks draw from 0.8 to 1.
constexpr double kNearlyOne = 0.8;
constexpr double kWaves = 10;         // a benchmark's requests over its users, as is the custom
constexpr double kMostPlayed = 2000;  // requests; steady figures need no more

// Plays the loop through for what no formula of random arrivals gives: how the first burst's order lives on.
LoopTimes played(const ServingSteps& steps, const ServeWorkload& w, const RequestShape& shape, const SteadyState& state,
                 double users, double replicas, double most) {
  const double ratio = std::min(w.length_ratio, kNearlyOne), longest = 2 / (1 + ratio);
  Loop loop{.users = std::max(1.0, std::floor(users)), .input = shape.prompt() * longest, .output = shape.output * longest,
            .ratio = ratio};
  loop.most = std::max(1.0, most);
  loop.away = steps.conduct().request;
  loop.requests = w.requests > 0 ? std::max(loop.users, std::floor(real(w.requests) / replicas))
                                 : std::min(kWaves * loop.users, std::max(3 * loop.users, kMostPlayed));
  loop.left_out = w.requests > 0 ? 0 : loop.users;
  return run_loop(loop, loop_prices(steps, shape, state));
}

// Rows of TTFT and TPOT, each phase adding up to its time.
void add_iteration(Breakdown& rows, const Breakdown& iteration, Phase phase, double times) {
  for (BreakdownRow row : iteration.rows()) {
    row.phase = name(phase);
    rows.add(row, times);
  }
}
void add_wait(Breakdown& rows, std::string_view what, Phase phase, Seconds time, Source source) {
  if (!(time > Seconds{})) return;
  BreakdownRow row;
  row.name = what;
  row.phase = name(phase);
  row.seconds = row.exposed = row.largest = time;
  row.bound_by = "queue";
  row.source = source;
  rows.add(row);
}

Range range_of(const Breakdown& rows, Phase phase) {
  Breakdown own;
  for (const BreakdownRow& row : rows.rows()) {
    if (row.phase == name(phase)) own.add(row);
  }
  return range_of(own);
}

// Where prompts are computed and where tokens are; the same worker, unless pools are apart.
struct Workers {
  const ServingSteps& prefill;
  const ServingSteps& decode;
  double decode_workers = 1;
};

// What a round of speculation takes beside its verification, of a token.
void add_drafting(Breakdown& rows, Seconds time) {
  if (!(time > Seconds{})) return;
  rows.add({.name = "drafting", .phase = name(Phase::decode), .seconds = time, .exposed = time, .bound_by = "draft",
            .source = Source::extrapolated, .largest = time});
}

void add_breakdown(const Workers& w, const RequestShape& shape, const SteadyState& state, ServeEvaluation& answer) {
  const double sequences = std::max(1.0, state.decoding / w.decode_workers), context = shape.input + shape.output / 2;
  const Iteration decoding = w.decode.decoding(sequences, context);
  const IterationCost iteration = w.decode.cost(decoding);
  answer.iteration = decoding;
  answer.decode_iteration = iteration.time;
  if (w.decode.rounds() != nullptr) answer.round = w.decode.rounds()->at(sequences, context);
  const double tokens_each = answer.round ? answer.round->tokens : 1;
  add_iteration(answer.breakdown, iteration.breakdown, Phase::decode, 1 / tokens_each);
  if (answer.round) add_drafting(answer.breakdown, state.decode - iteration.time / tokens_each);
  add_wait(answer.breakdown, "prompts of others", Phase::decode, state.tpot - state.decode, Source::extrapolated);
  const double tokens = shape.prompt() / state.chunks, before = shape.cached + tokens * (state.chunks - 1) / 2;
  const bool together = &w.prefill == &w.decode && w.prefill.conduct().mixes && state.tpot > state.decode;
  answer.prompts = w.prefill.with_prompts(together ? decoding : Iteration{}, 1, tokens, before, true);
  const IterationCost prompt = w.prefill.cost(answer.prompts);
  answer.prefill_iteration = prompt.time;
  const Seconds handling = w.prefill.conduct().request;
  answer.queue = state.ttft - state.chunks * prompt.time - handling - answer.transfer;
  // Fewer others decode beside a prompt than on average where the wait comes out below zero.
  answer.prompt_iterations = state.chunks * (answer.queue < Seconds{} ? 1 + answer.queue / (state.chunks * prompt.time) : 1);
  answer.queue = max(Seconds{}, answer.queue);
  add_iteration(answer.breakdown, prompt.breakdown, Phase::prefill, answer.prompt_iterations);
  add_wait(answer.breakdown, "queue", Phase::prefill, answer.queue, Source::extrapolated);
  add_wait(answer.breakdown, "cache transfer", Phase::prefill, answer.transfer, Source::bound);
  add_wait(answer.breakdown, "request handling", Phase::prefill, handling, Source::assumed);
}

void add_figures(const Scenario& s, const RequestShape& shape, const SteadyState& state, const Room& room, const Workers& workers,
                 ServeEvaluation& answer) {
  answer.tpot = range_of(answer.breakdown, Phase::decode);
  answer.ttft = range_of(answer.breakdown, Phase::prefill);
  answer.memory = room.memory;
  const double on_group = std::min(room.running, state.decoding / workers.decode_workers) / real(workers.decode.context().layout.dp);
  answer.memory.parts.push_back({"cache", std::ceil(on_group - 1e-9) * room.request});
  answer.memory_available = room.available;
  answer.kv_cache = room.request;
  const double replicas = real(answer.replicas);
  answer.max_concurrency = room.most * workers.decode_workers * replicas;
  answer.decoding = state.decoding * replicas;
  answer.utilisation = state.utilisation;
  answer.requests_per_second = state.requests_per_second * replicas;
  answer.tokens_per_second = answer.requests_per_second * shape.output;
  answer.input_tokens_per_second = answer.requests_per_second * shape.input;
  const DecodeRounds* rounds = workers.decode.rounds();
  const double drafting = rounds != nullptr ? real(rounds->own_devices()) * workers.decode_workers * replicas : 0;
  const double devices = real(s.cluster.devices) + drafting;
  answer.tokens_per_second_per_device = answer.tokens_per_second / devices;
  answer.tokens_per_second_per_user = 1 / answer.tpot.value.in(second);
  if (s.cluster.price) {
    const double hour = s.cluster.price->per_device_hour * devices;
    answer.money_per_million_tokens = hour / 3600 / answer.tokens_per_second * 1e6;
  }
}

// Requests of one replica; fewer users than replicas leave some idle.
double users_of(const ServeWorkload& w, ServeEvaluation& answer) {
  answer.replicas = std::max<std::int64_t>(1, std::min(answer.replicas, w.request_rate ? answer.replicas : w.concurrency));
  return real(w.concurrency) / real(answer.replicas);
}

using Served = std::variant<ServeEvaluation, Infeasible>;

Served aggregated(const Scenario& s, const ServeWorkload& w, const ServingSteps& steps) {
  auto held = room_of(s, w, steps);
  if (Infeasible* why = std::get_if<Infeasible>(&held)) return std::move(*why);
  const Room& room = std::get<Room>(held);
  const RequestShape shape = shape_of(w);
  ServeEvaluation answer;
  answer.replicas = s.cluster.devices / steps.context().layout.devices();
  const double users = users_of(w, answer), replicas = real(answer.replicas);
  SteadyState state;
  if (w.request_rate) {
    double limit = 0;
    const auto steady = open_loop(steps, shape, *w.request_rate / replicas, room.running, limit);
    if (!steady) return saturated(*w.request_rate, limit * replicas);
    state = *steady;
  } else if (w.static_batch) {
    if (users > room.most) {
      return Infeasible{fmt::format("a batch of {:.0f} requests on a worker that has room for {:.0f}", users, room.most),
                        "lower concurrency, or use more devices"};
    }
    state = static_batch(steps, shape, users);
  } else {
    state = closed_loop(steps, shape, users, room.running);
    answer.distribution = played(steps, w, shape, state, users, replicas, room.running);
    state.ttft = steps.conduct().request + answer.distribution->ttft_median;
  }
  const Workers workers{steps, steps};
  add_breakdown(workers, shape, state, answer);
  add_figures(s, shape, state, room, workers, answer);
  return answer;
}

Served disaggregated(const Scenario& s, const ServeWorkload& w, const ServingSteps& prefill, const ServingSteps& decode) {
  auto prompts_held = room_of(s, w, prefill), held = room_of(s, w, decode);
  for (auto* side : {&prompts_held, &held}) {
    if (Infeasible* why = std::get_if<Infeasible>(side)) return std::move(*why);
  }
  const Room& room = std::get<Room>(held);
  const RequestShape shape = shape_of(w);
  ServeEvaluation answer;
  answer.replicas = s.cluster.devices / (w.prefill.devices() + w.decode.devices());
  // Every device of a decode worker fetches its own part of the cache over its own line.
  const Tier& line = s.cluster.fabric.back();
  answer.transfer = served_cache(decode.context(), shape.input, decode.conduct().page) / device_bandwidth(line) + line.latency.value;
  const Apart apart{prefill, decode, real(w.prefill.workers), real(w.decode.workers), answer.transfer};
  const double most = room.running * apart.decode_workers, users = users_of(w, answer), replicas = real(answer.replicas);
  SteadyState state;
  if (w.request_rate) {
    double limit = 0;
    const auto steady = open_loop(apart, shape, *w.request_rate / replicas, most, limit);
    if (!steady) return saturated(*w.request_rate, limit * replicas);
    state = *steady;
  } else {
    state = closed_loop(apart, shape, users, most);
  }
  const Workers workers{prefill, decode, apart.decode_workers};
  add_breakdown(workers, shape, state, answer);
  add_figures(s, shape, state, room, workers, answer);
  return answer;
}

// The conduct of a pool that computes prompts alone, or of any other.
std::optional<Infeasible> check(const Scenario& s, const ServeWorkload& w) {
  if (!std::holds_alternative<Gpu>(s.cluster.device)) return Infeasible{"serving on wafers is not modelled", "choose a GPU cluster"};
  const bool apart = w.mode == ServeMode::disaggregated;
  if (auto why = check_layout(w.decode.layout, s.model)) return why;
  if (apart) {
    if (auto why = check_layout(w.prefill.layout, s.model)) return why;
  }
  const std::int64_t worker = apart ? w.prefill.devices() + w.decode.devices() : w.decode.layout.devices();
  if (s.cluster.devices % worker != 0) {
    return Infeasible{fmt::format("{} devices are not a whole number of deployments of {}", s.cluster.devices, worker),
                      "change devices, or tp, ep, pp and workers"};
  }
  return std::nullopt;
}

}  // namespace

Outcome evaluate_serve(const Scenario& s, const Calibration& calibration, std::vector<std::string_view> free,
                       const std::optional<StackConduct>& asked) {
  const ServeWorkload& w = std::get<ServeWorkload>(s.workload);
  if (auto why = check(s, w)) return *why;
  const StackConduct conduct = asked.value_or(stack_conduct(w));
  const ServingSteps decode(s, w.decode.layout, calibration, conduct, free);
  if (decode.rounds() != nullptr) {
    if (auto why = decode.rounds()->why_not()) return *why;
  }
  Served served;
  if (w.mode == ServeMode::disaggregated) {
    StackConduct alone = conduct;
    alone.mixes = false;
    const ServingSteps prefill(s, w.prefill.layout, calibration, alone, free);
    served = disaggregated(s, w, prefill, decode);
  } else {
    served = aggregated(s, w, decode);
  }
  if (Infeasible* why = std::get_if<Infeasible>(&served)) return std::move(*why);
  Evaluation evaluation{.answer = std::get<ServeEvaluation>(std::move(served)), .assumptions = s.assumptions, .warnings = {}};
  evaluation.assumptions.insert(evaluation.assumptions.end(), decode.notes().begin(), decode.notes().end());
  const ServeEvaluation& answer = std::get<ServeEvaluation>(evaluation.answer);
  evaluation.source = answer.breakdown.source();
  if (!w.request_rate && real(w.concurrency) > answer.max_concurrency) {
    evaluation.warnings.push_back({"waiting_for_memory",
                                   fmt::format("memory holds {:.0f} whole requests of {}: others wait, within TTFT", answer.max_concurrency, w.concurrency),
                                   "lower concurrency, keep the cache in fewer bits, or use more devices"});
  }
  return evaluation;
}

}  // namespace moeline
