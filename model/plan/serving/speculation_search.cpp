#include "plan/serving/speculation_search.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "plan/evaluate.hpp"

namespace moeline {

std::string_view loses_by(const DecodeRound& round, const DecodeRound& best) {
  // Logarithms of what the parts do to the time of a token add up to that of the whole.
  const double tokens = std::log(best.tokens / round.tokens), parts = std::log(round.time / best.time);
  const Seconds verify = round.verify - best.verify, all = round.time - best.time;
  const double verifying = all == Seconds{} ? 0 : parts * (verify / all);
  const std::array<std::pair<double, std::string_view>, 3> losses{
      {{tokens, "yields fewer tokens a round"}, {verifying, "takes longer to verify"}, {parts - verifying, "waits longer for its draft"}}};
  return std::max_element(losses.begin(), losses.end(), [](const auto& a, const auto& b) { return a.first < b.first; })->second;
}

std::variant<SpeculationSearch, Infeasible> search_speculation(const Scenario& scenario, const Calibration& calibration,
                                                               const FixedOfRounds& fixed) {
  const ServeWorkload* serve = std::get_if<ServeWorkload>(&scenario.workload);
  if (serve == nullptr || scenario.speculation.kind == SpeculationKind::none)
    throw SpecError("speculation", R"(nothing to search without a draft, such as {"kind": "sd", "draft": "qwen3-0.6b"})");
  Scenario open = scenario;
  if (!fixed.draft_tokens) open.speculation.draft_tokens = 0;
  if (!fixed.cache_slots) open.speculation.cache_slots = 0;
  if (!fixed.backup) open.speculation.backup = Backup::automatic;
  Outcome outcome = evaluate(open, calibration);
  if (Infeasible* why = std::get_if<Infeasible>(&outcome)) return std::move(*why);
  const Iteration settled = std::get<ServeEvaluation>(std::get<Evaluation>(outcome).answer).round->iteration;
  const ServeLayout& layout = serve->decode.layout;
  const ServingSteps steps(open, layout, calibration, stack_conduct(*serve));
  SpeculationSearch found{.sequences = settled.decoding * static_cast<double>(layout.dp * layout.pp),
                          .context = settled.context,
                          .devices = layout.devices() + steps.rounds()->own_devices()};
  found.rounds = steps.rounds()->tried(found.sequences, found.context);
  std::stable_sort(found.rounds.begin(), found.rounds.end(),
                   [](const DecodeRound& a, const DecodeRound& b) { return a.token() < b.token(); });
  for (auto round = found.rounds.begin() + 1; round < found.rounds.end(); ++round)
    ++found.lost[std::string(loses_by(*round, found.rounds.front()))];
  return found;
}

}  // namespace moeline
