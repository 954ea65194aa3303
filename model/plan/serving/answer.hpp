// What an answer about serving says.
#pragma once

#include <optional>

#include "memory/footprint.hpp"
#include "plan/serving/loop.hpp"
#include "plan/serving/speculative_rounds.hpp"
#include "plan/step_cost.hpp"
#include "spec/serving.hpp"

namespace moeline {

struct ServeEvaluation {
  Range ttft, tpot;
  double tokens_per_second = 0, tokens_per_second_per_device = 0, tokens_per_second_per_user = 0;  // of output
  double input_tokens_per_second = 0, requests_per_second = 0;                                    // of all replicas
  Bytes kv_cache;               // of one request with all its tokens, on one device
  double max_concurrency = 0;   // requests that memory holds, over all replicas
  double decoding = 0;          // of them, those that decode at a time
  double utilisation = 0;       // share of a worker's time that prompts take
  std::int64_t replicas = 1;
  Footprint memory;
  Bytes memory_available;
  Iteration iteration;          // that decodes
  Iteration prompts;            // that computes a prompt, or a chunk of it, beside what decodes meanwhile
  double prompt_iterations = 1; // of these, until the first token
  Seconds decode_iteration, prefill_iteration;
  Seconds queue, transfer;      // within TTFT
  std::optional<LoopTimes> distribution{};  // over requests, of a closed loop
  Breakdown breakdown;          // of TPOT and of TTFT, by phase: exposed times add up to each
  std::optional<double> money_per_million_tokens{};
  std::optional<DecodeRound> round{};  // of speculation
};

}  // namespace moeline
