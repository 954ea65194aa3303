// Which tokens are guessed ahead of a served model, by whom, and what becomes of the guesses?
//
//   sd    draft, verify, draft, ...: on the same devices, one after the other
//   ssd   devices of the draft's own guess the outcomes of a verification while it runs, and draft for each (a cache)
// What is left out takes a published figure, listed under `assumptions`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/llm.hpp"
#include "spec/reader.hpp"

namespace moeline {

enum class SpeculationKind { none, sd, ssd };
// `head`: the model's own multi-token-prediction module, or an EAGLE head, which is one decoder layer of its shape.
enum class Draft { model, ngram, head };
// After an outcome that was not cached: whichever is faster, the draft anew, or tokens at random.
enum class Backup { automatic, draft, random };

struct Speculation {
  SpeculationKind kind = SpeculationKind::none;
  Draft draft = Draft::model;
  std::optional<ModelSpec> model{};       // of the draft
  std::int64_t draft_tokens = 0;          // of one round; 0: the best for the batch
  std::vector<double> acceptance{};       // by position, given that all before were kept; the last holds for the rest
  double expert_correlation = 0.69;       // experts that four consecutive tokens touch, over four independent ones

  double cache_exponent = 0.6;            // r: of F cached bonus tokens none is the true one with probability F^-r
  std::int64_t cache_slots = 0;           // over all outcomes of one sequence; 0: the best for the batch
  std::optional<double> hit_rate{};       // instead of the exponent
  Backup backup = Backup::automatic;
  std::int64_t draft_devices = 1;
  bool sampled = false;                   // temperature above 0: the draft's logits travel too
};

Speculation read_speculation(ObjectReader reader, std::vector<std::string>& assumptions);
Json to_json(const Speculation& speculation, const Json& given);

std::string_view name(SpeculationKind kind);
std::string_view name(Backup backup);

}  // namespace moeline
