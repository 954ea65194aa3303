#include "plan/serving/steady.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace moeline {
namespace {

// Prompts as the stack feeds them to iterations.
struct Feeding {
  double at_once = 1;  // prompts of one iteration
  double chunks = 1;   // iterations of one prompt
  double tokens = 0;   // of one prompt in one iteration
};

Feeding feeding(const ServingSteps& steps, const RequestShape& r, double decoding, double arriving) {
  const bool chunked = std::get<ServeWorkload>(steps.scenario().workload).chunked_prefill;
  const double groups = static_cast<double>(steps.context().layout.dp);
  const double room = std::max(64.0, steps.conduct().token_budget - (steps.conduct().mixes ? decoding / groups : 0));
  Feeding f;
  f.chunks = chunked ? std::ceil(r.prompt() / room - 1e-9) : 1;
  f.tokens = r.prompt() / f.chunks;
  f.at_once = std::clamp(arriving, 1.0, std::max(1.0, groups * std::floor(room / f.tokens + 1e-9)));
  return f;
}

// Time of the iterations that take one feeding of prompts in, beyond those that decode anyway.
struct PromptWork {
  Seconds span;  // from the first chunk's start to the first token
  Seconds each;  // what one prompt adds
};

PromptWork prompt_work(const ServingSteps& steps, const RequestShape& r, const Feeding& f, const Iteration& decoding, Seconds decode) {
  const bool mixes = steps.conduct().mixes;
  const double before = r.cached + f.tokens * (f.chunks - 1) / 2;
  const Iteration it = steps.with_prompts(mixes ? decoding : Iteration{}, f.at_once, f.tokens, before, true);
  const Seconds one = steps.time(it);
  const double stages = static_cast<double>(steps.context().layout.pp);
  PromptWork work;
  work.span = f.chunks * one;
  work.each = f.chunks * max(Seconds{}, mixes && decoding.decoding > 0 ? one - decode : one) / f.at_once / stages;
  return work;
}

constexpr double kEndless = std::numeric_limits<double>::infinity();  // a rate at which every feeding is full
constexpr double kExact = 1e-12;       // of what is solved for
constexpr double kMostWaiting = 0.98;  // of rho: beyond it a queue is as long as the loop allows

double mean_context(const RequestShape& r) { return r.input + r.output / 2; }

// n sequences decode, no prompts beside them.
struct Decoding {
  double n = 0;
  Iteration iteration;
  Seconds time, token;
};

Decoding decoding_of(const ServingSteps& steps, const RequestShape& r, double n) {
  Decoding d{.n = n, .iteration = steps.decoding(std::max(1.0, n), mean_context(r))};
  d.time = steps.time(d.iteration);
  d.token = steps.rounds() != nullptr ? steps.decode(std::max(1.0, n), mean_context(r)) : d.time;
  return d;
}

// All of the state around them; X from the cycle, the rest by Little. `others`: share of the prompts that are not a
// sequence's own, and so delay it.
SteadyState state_at(const ServingSteps& steps, const RequestShape& r, const Decoding& d, const Feeding& f, double others) {
  SteadyState s{.decoding = d.n, .prompts_at_once = f.at_once, .chunks = f.chunks, .decode = d.token};
  const PromptWork work = prompt_work(steps, r, f, d.iteration, d.time);
  s.prompt_work = work.each;
  const double tokens = std::max(1.0, r.output - 1);
  s.requests_per_second = 1 / (others * work.each + tokens / d.n * s.decode).in(second);
  s.tpot = d.n / (s.requests_per_second * tokens) * second;
  s.utilisation = s.requests_per_second * others * work.each.in(second);
  const double rho = std::min(s.utilisation, kMostWaiting);
  s.queue = work.each * (rho / (2 * (1 - rho)));
  s.ttft = steps.conduct().request + 0.5 * s.decode + s.queue + work.span;
  return s;
}

// Prompts come one at a time.
SteadyState state_at(const ServingSteps& steps, const RequestShape& r, double n) {
  return state_at(steps, r, decoding_of(steps, r, n), feeding(steps, r, n, 1), 1);
}

// Prompts go together that came while the iteration before ran, and how many those are depends on how many go together.
SteadyState settled_at(const ServingSteps& steps, const RequestShape& r, double n, double others) {
  const Decoding d = decoding_of(steps, r, n);
  Feeding f = feeding(steps, r, n, 1);
  SteadyState s = state_at(steps, r, d, f, others);
  for (int i = 0; i < 60; ++i) {
    const Feeding next = feeding(steps, r, n, s.requests_per_second * (s.decode + s.chunks * s.prompt_work).in(second));
    if (std::abs(next.at_once - f.at_once) <= kExact * f.at_once) break;
    f = next;
    s = state_at(steps, r, d, f, others);
  }
  return s;
}

// Where `excess`, which rises with x, is zero: the secant of a bracket, and its middle every third time, so that neither a
// jump nor a flat side holds it up. To the last digits: an answer that steps with its inputs has no slope.
template <class Excess>
double balance(double low, double high, const Excess& excess) {
  double below = excess(low), above = excess(high);
  if (below >= 0) return low;
  if (above <= 0) return high;
  for (int i = 0; i < 200 && high - low > kExact * high; ++i) {
    double x = i % 3 == 2 ? low + (high - low) / 2 : (low * above - high * below) / (above - below);
    if (!(x > low && x < high)) x = low + (high - low) / 2;
    const double here = excess(x);
    if (std::abs(here) <= kExact) return x;
    if (here < 0) {
      low = x;
      below = here;
      above /= 2;
    } else {
      high = x;
      above = here;
      below /= 2;
    }
  }
  return low;
}

}  // namespace

SteadyState static_batch(const ServingSteps& steps, const RequestShape& r, double requests) {
  SteadyState s;
  const Feeding f = feeding(steps, r, 0, requests);
  const PromptWork work = prompt_work(steps, r, f, {}, {});
  s.decoding = requests;
  s.prompts_at_once = f.at_once;
  s.chunks = f.chunks;
  s.prompt_work = work.each;
  s.decode = s.tpot = steps.decode(requests, mean_context(r));
  s.ttft = steps.conduct().request + work.span * std::ceil(requests / f.at_once - 1e-9);
  s.requests_per_second = requests / (s.ttft + (r.output - 1) * s.tpot).in(second);
  return s;
}

SteadyState closed_loop(const ServingSteps& steps, const RequestShape& r, double requests, double most) {
  const double running = std::max(1.0, std::min(requests, most));
  const double others = 1 - 1 / running;
  // More in decode means fewer in prefill: what is in flight rises with n.
  const double n = balance(std::min(0.05, running / 2), running, [&](double decoding) {
    const SteadyState s = settled_at(steps, r, decoding, others);
    return (s.decoding + s.requests_per_second * s.ttft.in(second)) / running - 1;
  });
  SteadyState s = settled_at(steps, r, n, others);
  if (requests > most) s.ttft += (requests - most) / s.requests_per_second * second;
  return s;
}

LoopPrices loop_prices(const ServingSteps& steps, const RequestShape& r, const SteadyState& s) {
  const bool mixes = steps.conduct().mixes;
  const double n = std::max(1.0, s.decoding), fewer = std::max(1.0, n / 2), groups = static_cast<double>(steps.context().layout.dp);
  LoopPrices p{.mixes = mixes, .budget = groups * steps.conduct().token_budget};
  const Seconds less = fewer < n ? steps.decode(fewer, mean_context(r)) : s.decode;
  p.decode_sequence = fewer < n ? max(Seconds{}, (s.decode - less) / (n - fewer)) : Seconds{};
  p.decode = s.decode - n * p.decode_sequence;
  const Iteration decoding = mixes ? steps.decoding(n, mean_context(r)) : Iteration{};
  const double chunk = r.prompt() / s.chunks, before = r.cached + chunk * (s.chunks - 1) / 2;
  const auto first = [&](double prompts, double tokens) {
    return max(Seconds{}, steps.time(steps.with_prompts(decoding, prompts, tokens, before, true)) - (mixes ? steps.time(decoding) : Seconds{}));
  };
  const bool several = 2 * chunk <= p.budget;
  const Seconds one = first(1, chunk), other = several ? first(2, chunk) : first(1, chunk / 2);
  const double apart = several ? chunk : chunk / 2;
  p.prompt_token = min(max(Seconds{}, several ? other - one : one - other) / apart, one / chunk);
  p.prompts = one - chunk * p.prompt_token;
  return p;
}

namespace {

// A prompt worker takes what came while it was busy: prompts go together as their rate asks for.
std::pair<Feeding, PromptWork> prompts_at(const ServingSteps& prefill, const RequestShape& r, double rate) {
  Feeding f = feeding(prefill, r, 0, 1);
  PromptWork work = prompt_work(prefill, r, f, {}, {});
  for (int i = 0; i < 4 && rate * work.span.in(second) > f.at_once; ++i) {
    f = feeding(prefill, r, 0, rate * work.span.in(second));
    work = prompt_work(prefill, r, f, {}, {});
  }
  return {f, work};
}

Seconds single_file(Seconds each, double utilisation) {
  const double rho = std::min(utilisation, kMostWaiting);
  return each * (rho / (2 * (1 - rho)));
}

struct PromptTimes {
  Seconds alone, least;  // of one prompt by itself, and as one of many
};
PromptTimes prompt_times(const Apart& a, const RequestShape& r) {
  return {prompts_at(a.prefill, r, 0).second.each, prompts_at(a.prefill, r, kEndless).second.each};
}

// n sequences decode; the rest follows. `others` as above. Where prompts can go together, nobody waits longer than for
// the rest of a feeding and his turn among full ones.
SteadyState state_at(const Apart& a, const RequestShape& r, const PromptTimes& each, double n, double others) {
  const double tokens = std::max(1.0, r.output - 1);
  SteadyState s;
  s.decoding = n;
  s.decode = s.tpot = a.decode.decode(std::max(1.0, n / a.decode_workers), mean_context(r));
  s.requests_per_second = n / (tokens * s.tpot.in(second));
  const auto [f, work] = prompts_at(a.prefill, r, s.requests_per_second / a.prefill_workers);
  s.chunks = f.chunks;
  s.prompts_at_once = f.at_once;
  s.prompt_work = work.each;
  const double rate = s.requests_per_second * others / a.prefill_workers;
  s.utilisation = rate * each.least.in(second);
  s.queue = single_file(each.alone, rate * each.alone.in(second));
  if (each.least < each.alone) s.queue = min(s.queue, work.span / 2 + single_file(each.least, s.utilisation));
  s.ttft = a.prefill.conduct().request + s.queue + work.span + a.transfer + s.decode / 2;
  return s;
}

}  // namespace

SteadyState closed_loop(const Apart& a, const RequestShape& r, double requests, double most) {
  const double running = std::max(1.0, std::min(requests, most)), others = 1 - 1 / requests;
  const PromptTimes each = prompt_times(a, r);
  const double n = balance(0, running, [&](double decoding) {
    const SteadyState s = state_at(a, r, each, decoding, others);
    return s.utilisation > kMostWaiting ? 1 : (s.decoding + s.requests_per_second * s.ttft.in(second)) / requests - 1;
  });
  SteadyState s = state_at(a, r, each, n, others);
  // Those who do not decode wait for a prompt worker, or for room.
  const Seconds waiting = (requests - s.decoding) / s.requests_per_second * second;
  s.queue += max(Seconds{}, waiting - s.ttft);
  s.ttft = max(s.ttft, waiting);
  return s;
}

std::optional<SteadyState> open_loop(const Apart& a, const RequestShape& r, double rate, double most, double& limit) {
  const PromptTimes each = prompt_times(a, r);
  limit = std::min(state_at(a, r, each, most, 1).requests_per_second, a.prefill_workers / each.least.in(second));
  if (rate >= limit) return std::nullopt;
  const double n = balance(0, most, [&](double decoding) { return state_at(a, r, each, decoding, 1).requests_per_second / rate - 1; });
  return state_at(a, r, each, n, 1);
}

std::optional<SteadyState> open_loop(const ServingSteps& steps, const RequestShape& r, double rate, double most, double& limit) {
  limit = state_at(steps, r, most).requests_per_second;
  if (rate >= limit) return std::nullopt;
  return state_at(steps, r, balance(0, most, [&](double n) { return state_at(steps, r, n).requests_per_second / rate - 1; }));
}

}  // namespace moeline
