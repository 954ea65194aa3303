#include "plan/serving/speculate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "error.hpp"

namespace moeline {
namespace {

// The bonus token is missed with F^-r; one slot holds what would be drafted anyway.
double found(double slots, double exponent) { return slots < 1 ? 0 : 1 - std::pow(slots, -exponent); }

FanOut with_hit(std::span<const double> outcomes, std::vector<double> slots, double exponent) {
  const double hit = cache_hit(outcomes, slots, exponent);
  return {std::move(slots), hit};
}

double share_of_round(const OverlappedRound& round) { return std::pow(round.hit, round.batch); }

double tokens_of(const OverlappedRound& round) {
  return round.hit * round.tokens_hit + (1 - round.hit) * round.tokens_miss;
}

}  // namespace

double Acceptance::at(std::int64_t position) const {
  const auto last = static_cast<std::int64_t>(by_position.size()) - 1;
  return by_position[static_cast<std::size_t>(std::min(position, last))];
}

std::vector<double> outcomes(const Acceptance& acceptance, std::int64_t drafted) {
  std::vector<double> probabilities;
  double kept = 1;
  for (std::int64_t i = 0; i < drafted; ++i) {
    probabilities.push_back(kept * (1 - acceptance.at(i)));
    kept *= acceptance.at(i);
  }
  probabilities.push_back(kept);
  return probabilities;
}

double tokens_per_round(const Acceptance& acceptance, std::int64_t drafted) {
  double tokens = 1, kept = 1;
  for (std::int64_t i = 0; i < drafted; ++i) tokens += kept *= acceptance.at(i);
  return tokens;
}

double sequential_speedup(double tokens, std::int64_t drafted, double draft, double verify) {
  return tokens / (static_cast<double>(drafted) * draft + verify);
}

double operations_factor(double tokens, std::int64_t drafted, double draft) {
  const auto k = static_cast<double>(drafted);
  return (k * draft + k + 1) / tokens;
}

double tokens_per_verification(const OverlappedRound& round) {
  const double spared = share_of_round(round);
  return tokens_of(round) / (spared * std::max(1.0, round.ahead) + (1 - spared) * (1 + round.backup));
}

double steady_hit(double after_hit, double after_miss) {
  return after_hit >= 1 ? 1 : after_miss / (1 - after_hit + after_miss);
}

std::optional<double> backup_switch(const OverlappedRound& anew, double tokens_at_random) {
  OverlappedRound random = anew;
  random.tokens_miss = tokens_at_random;
  const double share_missed = (tokens_of(anew) / tokens_of(random) - 1) / anew.backup;  // 1 - p^b at the switch
  if (!(share_missed < 1)) return std::nullopt;
  return std::log(1 - share_missed) / std::log(anew.hit);
}

double FanOut::total() const { return std::accumulate(slots.begin(), slots.end(), 0.0); }

double cache_hit(std::span<const double> outcomes, std::span<const double> slots, double exponent) {
  double hit = 0;
  for (std::size_t k = 0; k < outcomes.size(); ++k) hit += outcomes[k] * found(slots[k], exponent);
  return hit;
}

FanOut best_fan_out(std::span<const double> outcomes, double exponent, double budget) {
  std::vector<double> weight;
  for (const double p : outcomes) weight.push_back(std::pow(p, 1 / (1 + exponent)));
  std::vector<double> slots(outcomes.size());
  // What falls below one slot gets none, and the rest shares its part.
  for (bool clipped = true; clipped;) {
    const double all = std::accumulate(weight.begin(), weight.end(), 0.0);
    clipped = false;
    for (std::size_t k = 0; k < slots.size(); ++k) {
      slots[k] = all > 0 ? budget * weight[k] / all : 0;
      clipped |= weight[k] > 0 && slots[k] < 1;
    }
    if (!clipped) break;
    const auto positive = [](double a, double b) { return (a > 0 ? a : 2) < (b > 0 ? b : 2); };
    *std::min_element(weight.begin(), weight.end(), positive) = 0;
  }
  return with_hit(outcomes, std::move(slots), exponent);
}

FanOut whole_fan_out(std::span<const double> outcomes, double exponent, std::int64_t budget) {
  MOELINE_EXPECT(budget >= 0 && budget <= 4096);
  const auto most = static_cast<std::size_t>(budget);
  // reached[k][b]: the best chance that b slots over the first k outcomes give; taken: of the k-th.
  std::vector<double> reached(most + 1, 0.0);
  std::vector<std::vector<std::size_t>> taken(outcomes.size(), std::vector<std::size_t>(most + 1, 0));
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    for (std::size_t left = most + 1; left-- > 0;) {
      double best = reached[left];
      for (std::size_t f = 2; f <= left; ++f) {
        const double candidate = reached[left - f] + outcomes[k] * found(static_cast<double>(f), exponent);
        if (candidate > best) best = candidate, taken[k][left] = f;
      }
      reached[left] = best;
    }
  }
  std::vector<double> slots(outcomes.size(), 0.0);
  std::size_t left = most;
  for (std::size_t k = outcomes.size(); k-- > 0;) {
    slots[k] = static_cast<double>(taken[k][left]);
    left -= taken[k][left];
  }
  return with_hit(outcomes, std::move(slots), exponent);
}

FanOut even_fan_out(std::span<const double> outcomes, double exponent, double budget) {
  return with_hit(outcomes, std::vector<double>(outcomes.size(), budget / static_cast<double>(outcomes.size())), exponent);
}

SamplingTrade scaled_sampling(std::span<const double> target, std::span<const double> draft, std::size_t cached,
                              double scale) {
  MOELINE_EXPECT(target.size() == draft.size() && cached < draft.size());
  std::vector<std::size_t> order(draft.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return draft[a] > draft[b]; });
  // One more than is cached: the drafted token is among the likely ones, and a rejection cannot give it.
  std::vector<double> drawn(draft.begin(), draft.end());
  for (std::size_t i = 0; i <= cached; ++i) drawn[order[i]] *= scale;
  const double all = std::accumulate(drawn.begin(), drawn.end(), 0.0);
  SamplingTrade trade;
  std::vector<double> residual(target.size());
  for (std::size_t t = 0; t < target.size(); ++t) {
    drawn[t] /= all;
    trade.acceptance += std::min(target[t], drawn[t]);
    residual[t] = std::max(0.0, target[t] - drawn[t]);
  }
  const double rejected = 1 - trade.acceptance;
  if (rejected < 1e-12) return {1, 0};
  double likely = 0;  // residual mass of the first `cached`, and of the next
  for (std::size_t i = 0; i < cached; ++i) likely += residual[order[i]] / rejected;
  const double next = residual[order[cached]] / rejected;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double chance = std::max(0.0, drawn[order[i]] - target[order[i]]) / rejected;  // drafted here and rejected
    trade.hit += chance * (i < cached ? likely + next : likely);
  }
  return trade;
}

std::int64_t most_drafted(Seconds verify, Seconds tree_step) {
  return static_cast<std::int64_t>(std::floor(verify / tree_step));
}

RoundMessages round_messages(double batch, std::int64_t drafted, double blocks_per_sequence, std::int64_t vocabulary, bool logits) {
  constexpr double kWord = 8;  // int64
  const double tokens = batch * static_cast<double>(drafted);
  // Outcome of three words, length, block table and temperature of every sequence, behind a command of four words.
  const double asked = 4 + batch * (3 + 1 + blocks_per_sequence + 1);
  // A hit or not for every sequence, and its tokens.
  const Bytes told = kWord * (batch + tokens) * byte;
  return {kWord * asked * byte, told + (logits ? bytes(DType::bf16, tokens * static_cast<double>(vocabulary)) : Bytes{})};
}

double independent_tokens(const MoeFfn& moe, double batch, double tokens, double correlation) {
  const double untouched = 1 - static_cast<double>(moe.top_k) / static_cast<double>(moe.experts);
  if (untouched <= 0) return batch * tokens;
  constexpr double kMeasured = 4;
  const double equivalent = std::log(1 - correlation * (1 - std::pow(untouched, kMeasured))) / std::log(untouched);
  const double each = std::clamp((equivalent - 1) / (kMeasured - 1), 0.0, 1.0);
  return batch * (1 + (tokens - 1) * each);
}

double tokens_touching(const MoeFfn& moe, double share) {
  return std::ceil(std::log(1 - share) / std::log(1 - static_cast<double>(moe.top_k) / static_cast<double>(moe.experts)));
}

}  // namespace moeline
