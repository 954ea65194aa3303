#include "routing/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "error.hpp"
#include "routing/top_choices.hpp"

namespace moeline {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kSampled = 1 << 14;  // tokens that bracket; of fewer, all are kept
constexpr double kDeviations = 6;          // of a sampled rank, to either side

// Entries of a column above its price: rows of a balanced expert.
std::size_t quota_of(const RouterScores& scores) {
  return std::min(scores.tokens() - 1, scores.tokens() * scores.top_k / scores.experts);
}

struct Brackets {
  std::vector<float> low, high;
};

float largest(std::span<float> values, std::size_t place) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end(), std::greater<>());
  return values[place];
}

// Runs work(j) for every expert, in blocks.
void for_experts(const RouterScores& scores, const ForBlocks& blocks, const std::function<void(std::size_t)>& work) {
  blocks(kTokenBlocks, [&](std::size_t block) {
    const std::size_t end = scores.experts * (block + 1) / kTokenBlocks;
    for (std::size_t j = scores.experts * block / kTokenBlocks; j < end; ++j) work(j);
  });
}

// Brackets that hold every quantile but by the rarest accident.
Brackets sampled_brackets(const RouterScores& scores, std::span<const float> prices, double deviations,
                          const ForBlocks& blocks) {
  Brackets brackets{std::vector<float>(scores.experts, -kInfinity), std::vector<float>(scores.experts, kInfinity)};
  if (scores.tokens() <= 2 * kSampled) return brackets;
  std::vector<float> columns(kSampled * scores.experts);
  blocks(kTokenBlocks, [&](std::size_t block) {
    TopChoices top(scores.experts, scores.top_k);
    const std::size_t end = kSampled * (block + 1) / kTokenBlocks;
    for (std::size_t i = kSampled * block / kTokenBlocks; i < end; ++i) {
      const std::span<const float> row = scores.of(i * scores.tokens() / kSampled);
      top.find(row, prices);
      for (std::size_t j = 0; j < scores.experts; ++j) columns[j * kSampled + i] = row[j] - top.cut_off();
    }
  });
  const double share = static_cast<double>(quota_of(scores)) / static_cast<double>(scores.tokens());
  const double rank = share * kSampled, width = deviations * std::sqrt(rank * (1 - share)) + 2;
  const auto above = static_cast<std::size_t>(std::max(0.0, rank - width));
  const auto below = static_cast<std::size_t>(std::min(kSampled - 1.0, rank + width));
  for_experts(scores, blocks, [&](std::size_t j) {
    const std::span<float> column(&columns[j * kSampled], kSampled);
    if (rank > width) brackets.high[j] = largest(column, above);
    if (rank + width < kSampled - 1) brackets.low[j] = largest(column, below);
  });
  return brackets;
}

// Of one block of tokens: how much lies above every bracket, and what lies inside.
struct Counted {
  std::vector<std::uint32_t> above;
  std::vector<std::vector<float>> inside;
};

Counted count(const RouterScores& scores, std::span<const float> prices, const Brackets& brackets, TokenRange range) {
  Counted counted{std::vector<std::uint32_t>(scores.experts), std::vector<std::vector<float>>(scores.experts)};
  TopChoices top(scores.experts, scores.top_k);
  std::vector<float> kept(scores.experts);
  constexpr std::size_t kStride = 16;  // compared at once; most hold nothing inside
  for (std::size_t i = range.first; i < range.last; ++i) {
    const std::span<const float> row = scores.of(i);
    top.find(row, prices);
    const float alpha = top.cut_off();
    for (std::size_t j = 0; j < scores.experts; ++j) {
      kept[j] = row[j] - alpha;
      counted.above[j] += kept[j] > brackets.high[j] ? 1 : 0;
    }
    for (std::size_t first = 0; first < scores.experts; first += kStride) {
      const std::size_t end = std::min(first + kStride, scores.experts);
      int any = 0;
      for (std::size_t j = first; j < end; ++j) any |= (kept[j] >= brackets.low[j]) & (kept[j] <= brackets.high[j]);
      if (any == 0) continue;
      for (std::size_t j = first; j < end; ++j) {
        if (kept[j] >= brackets.low[j] && kept[j] <= brackets.high[j]) counted.inside[j].push_back(kept[j]);
      }
    }
  }
  return counted;
}

// The quantile of column j; nullopt where the bracket missed it.
std::optional<float> quantile(const std::vector<Counted>& blocks, std::size_t j, std::size_t place) {
  std::size_t above = 0;
  std::vector<float> inside;
  for (const Counted& block : blocks) {
    above += block.above[j];
    inside.insert(inside.end(), block.inside[j].begin(), block.inside[j].end());
  }
  if (place < above || place - above >= inside.size()) return std::nullopt;
  return largest(inside, place - above);
}

}  // namespace

std::vector<float> next_prices(const RouterScores& scores, std::span<const float> prices, const ForBlocks& blocks) {
  MOELINE_EXPECT(scores.tokens() > 0 && scores.top_k < scores.experts);
  for (double deviations = kDeviations;; deviations *= 4) {  // a bracket that missed is widened
    const Brackets brackets = sampled_brackets(scores, prices, deviations, blocks);
    std::vector<Counted> counted(kTokenBlocks);
    blocks(kTokenBlocks,
           [&](std::size_t block) { counted[block] = count(scores, prices, brackets, token_block(scores, block)); });
    std::vector<std::optional<float>> found(scores.experts);
    for_experts(scores, blocks, [&](std::size_t j) { found[j] = quantile(counted, j, quota_of(scores)); });
    if (std::find(found.begin(), found.end(), std::nullopt) != found.end()) continue;
    std::vector<float> next;
    for (const std::optional<float>& price : found) next.push_back(*price);
    return next;
  }
}

std::vector<float> next_prices(const RouterScores& scores, std::span<const float> prices, const HistogramBins& bins,
                               const ForBlocks& blocks) {
  MOELINE_EXPECT(scores.tokens() > 0 && scores.top_k < scores.experts && bins.bins > 1);
  const auto [least, most] = std::minmax_element(prices.begin(), prices.end());
  const double low = *least - bins.reach, width = (*most - *least + 2 * bins.reach) / static_cast<double>(bins.bins);
  using Counts = std::vector<std::uint32_t>;
  std::vector<Counts> parts(kTokenBlocks);
  blocks(kTokenBlocks, [&](std::size_t block) {
    Counts& counts = parts[block] = Counts(scores.experts * bins.bins);
    TopChoices top(scores.experts, scores.top_k);
    const TokenRange range = token_block(scores, block);
    for (std::size_t i = range.first; i < range.last; ++i) {
      const std::span<const float> row = scores.of(i);
      top.find(row, prices);
      for (std::size_t j = 0; j < scores.experts; ++j) {
        const double place = (row[j] - top.cut_off() - low) / width;
        const auto bin = static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(bins.bins - 1)));
        ++counts[j * bins.bins + bin];
      }
    }
  });
  std::vector<float> next(scores.experts);
  for (std::size_t j = 0; j < scores.experts; ++j) {
    double left = static_cast<double>(quota_of(scores));
    std::size_t bin = bins.bins;
    double in_bin = 0;
    while (bin > 0 && left >= 0) {  // from the top; the last bin entered holds the quantile
      --bin;
      in_bin = 0;
      for (const Counts& part : parts) in_bin += part[j * bins.bins + bin];
      left -= in_bin;
    }
    next[j] = static_cast<float>(low + width * (static_cast<double>(bin) + (in_bin > 0 ? -left / in_bin : 0)));
  }
  return next;
}

std::vector<float> next_prices_by_device(const RouterScores& scores, std::span<const float> prices,
                                         std::size_t devices) {
  MOELINE_EXPECT(devices > 0 && scores.tokens() >= devices);
  std::vector<float> mean(scores.experts);
  for (std::size_t d = 0; d < devices; ++d) {
    const std::size_t first = scores.tokens() * d / devices, last = scores.tokens() * (d + 1) / devices;
    RouterScores own = scores;
    own.values = scores.values.subspan(first * scores.experts, (last - first) * scores.experts);
    const std::vector<float> part = next_prices(own, prices);
    for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += part[j] / static_cast<float>(devices);
  }
  return mean;
}

std::vector<float> dynamic_prices(const RouterScores& scores) {
  std::vector<float> column(scores.tokens()), prices(scores.experts);
  for (std::size_t j = 0; j < scores.experts; ++j) {
    for (std::size_t i = 0; i < scores.tokens(); ++i) column[i] = scores.of(i)[j];
    prices[j] = largest(column, quota_of(scores));
  }
  return prices;
}

std::vector<double> dynamic_loads(const RouterScores& scores, std::span<const float> prices) {
  std::vector<double> loads(scores.experts);
  for (std::size_t i = 0; i < scores.tokens(); ++i) {
    for (std::size_t j = 0; j < scores.experts; ++j) loads[j] += scores.of(i)[j] > prices[j] ? 1 : 0;
  }
  return loads;
}

}  // namespace moeline
