// How long does a request wait, and how fast do its tokens come, while others come and go?
//
// A closed loop keeps N requests in a worker: whoever gets its last token sends the next prompt at once. Of every cycle
//   1/X   = S + (out - 1) D(n)/n            X requests per second; S time of one prompt's computation, D of a decode iteration
//   TPOT  = n / (X (out - 1))               Little's law over the n that decode; = D(n) + what prompts add
//   TTFT  = request + D/2 + queue + chunks    queue = rho S / 2 (1 - rho), rho = X S: one server, prompts one after the other
//   n     = N - X TTFT
// solved for n. An open loop fixes X, and has no steady state once X S + X (out - 1) D(n)/n reaches 1. Assumes requests of
// one length, evenly spread over attention groups.
#pragma once

#include "plan/serving/loop.hpp"
#include "plan/serving/steps.hpp"

namespace moeline {

struct RequestShape {
  double input = 0, output = 0;  // tokens
  double cached = 0;             // of the input, found in the cache of prefixes
  double prompt() const { return input - cached; }
};

struct SteadyState {
  double decoding = 0;        // sequences that decode, of a worker
  double prompts_at_once = 1;
  double chunks = 1;
  Seconds ttft, tpot;
  Seconds decode;             // an iteration without prompts
  Seconds prompt_work;        // what one prompt adds to the worker's time
  Seconds queue;              // of TTFT
  double requests_per_second = 0;
  double utilisation = 0;     // rho
};

// `most`: requests that may run at once.
SteadyState closed_loop(const ServingSteps& steps, const RequestShape& shape, double requests, double most);
// Empty: the rate is above what the worker sustains; `limit` is that rate.
std::optional<SteadyState> open_loop(const ServingSteps& steps, const RequestShape& shape, double rate, double most, double& limit);
// Prices of the worker's iterations around a state, for plan/serving/loop.
LoopPrices loop_prices(const ServingSteps& steps, const RequestShape& shape, const SteadyState& state);
// Prompts are computed by `prefill.workers` of one kind, then decoded by `decode.workers` of another; `transfer` between.
struct Apart {
  const ServingSteps& prefill;
  const ServingSteps& decode;
  double prefill_workers = 1, decode_workers = 1;
  Seconds transfer;
};
// Of the whole deployment; `most`: requests that its decode workers hold.
SteadyState closed_loop(const Apart& apart, const RequestShape& shape, double requests, double most);
std::optional<SteadyState> open_loop(const Apart& apart, const RequestShape& shape, double rate, double most, double& limit);
SteadyState static_batch(const ServingSteps& steps, const RequestShape& shape, double requests);

}  // namespace moeline
