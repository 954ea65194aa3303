#include "reports/speculation_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spec/json.hpp"
#include "units_text.hpp"

namespace moeline {
namespace {

bool beside(const DecodeRound& round) { return !round.fan_out.slots.empty(); }

// Of the draft: one after the other, or its tree beside verification.
Seconds drafting(const DecodeRound& round) { return beside(round) ? round.tree : round.draft; }

std::string line(const SpeculationSearch& found, const DecodeRound& r) {
  const std::string slots = beside(r) ? fmt::format("{:.0f}", r.fan_out.total()) : "-";
  const std::string hit = beside(r) ? fmt::format("{:.2f}", r.hit) : "-";
  return fmt::format("{:>5} {:>6} {:<7} {:>7.2f} {:>5} {:>10} {:>10} {:>10} {:>10} {:>9.2f} {:>10.1f}", r.drafted, slots,
                     beside(r) ? name(r.backup) : "-", r.tokens, hit, format(r.verify), format(drafting(r)), format(r.time),
                     format(r.token()), r.speedup(), found.tokens_per_second_per_device(r));
}

}  // namespace

Json rounds_json(const SpeculationSearch& found, std::size_t top) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < std::min(top, found.rounds.size()); ++i) {
    const DecodeRound& round = found.rounds[i];
    rows.push_back(Json{{"draft_tokens", round.drafted},
                        {"cache_slots", round.fan_out.total()},
                        {"fan_out", round.fan_out.slots},
                        {"backup", beside(round) ? name(round.backup) : ""},
                        {"tokens_per_round", round.tokens},
                        {"hit_rate", round.hit},
                        {"verify_seconds", round.verify.in(second)},
                        {"draft_seconds", drafting(round).in(second)},
                        {"round_seconds", round.time.in(second)},
                        {"token_seconds", round.token().in(second)},
                        {"speedup", round.speedup()},
                        {"tokens_per_second_per_device", found.tokens_per_second_per_device(round)},
                        {"loses_by", i == 0 ? "" : loses_by(round, found.rounds.front())}});
  }
  return rows;
}

Json speculation_json(const SpeculationSearch& found, std::size_t top) {
  return Json{{"kind", "search"},           {"feasible", true},
              {"sequences", found.sequences}, {"context_tokens", found.context},
              {"rounds", rounds_json(found, top)}, {"tried", found.rounds.size()},
              {"lost", found.lost}};
}

std::string rounds_text(const SpeculationSearch& found, const Scenario& scenario, std::size_t top) {
  std::string out = fmt::format("{} on {} {}, {:.4g} sequences at {:.0f} tokens decode together\n{:>5} {:>6} {:<7} {:>7} {:>5} {:>10} {:>10} {:>10} {:>10} {:>9} {:>10}\n",
                                scenario.model.name, found.devices, scenario.cluster.name, found.sequences, found.context, "draft",
                                "slots", "backup", "tokens", "hit", "verify", "drafting", "round", "token", "speed-up", "tok/s/GPU");
  for (std::size_t i = 0; i < std::min(top, found.rounds.size()); ++i) {
    const DecodeRound& round = found.rounds[i];
    out += line(found, round) + (i == 0 ? "\n" : fmt::format("  {}\n", loses_by(round, found.rounds.front())));
  }
  out += fmt::format("\n{} tried; the others:\n", found.rounds.size());
  for (const auto& [reason, count] : found.lost) out += fmt::format("{:>9}  {}\n", count, reason);
  return out;
}

}  // namespace moeline
