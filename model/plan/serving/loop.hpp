// How long do first tokens take in a closed loop that began with a burst, as benchmarks run it?
//
// Event by event: N users send, wait for their last token, send again. A worker's iterations are of two kinds,
//   decode    D(n)                        n sequences, a token each
//   prompts   first(tokens) [+ D(n)]      as many waiting tokens as the budget takes, first come first served
// The burst staggers the users by their prompts, and they stay so: waves that no formula of a random arrival gives. Stretches
// of nothing but decoding are one step, so a run costs two events a request. Lengths are drawn evenly from [ratio, 1] of
// the longest; the same draw every time. The oracle of plan/serving/steady.
#pragma once

#include "units.hpp"

namespace moeline {

struct LoopPrices {
  Seconds decode, decode_sequence;  // D(n) = decode + decode_sequence n
  Seconds prompts, prompt_token;    // first(tokens) = prompts + prompt_token tokens
  bool mixes = true;                // prompts ride on a decode iteration, else decoding waits
  double budget = 8192;             // tokens of one iteration
};

struct Loop {
  double users = 1;
  double input = 1, output = 1;  // longest; input: what has to be computed
  double ratio = 1;
  double requests = 0;           // in all
  double left_out = 0;           // first ones that no figure counts: the burst, where steady figures are asked for
  double most = 0;               // that run at once
  Seconds away;                  // from an answer's end to the next request's arrival
};

struct LoopTimes {
  Seconds ttft_median, ttft_mean, ttft_p90, ttft_p99;  // from arrival
  Seconds tpot_median, tpot_mean;
  double requests_per_second = 0;
};

LoopTimes run_loop(const Loop& loop, const LoopPrices& prices);

}  // namespace moeline
