#include "routing/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "error.hpp"

namespace moeline {
namespace {

// Adds `amount` rows one by one to the least loaded of `loads` (lowest number first) while they are below `most`;
// returns what found no place. Done level by level: rows that raise a whole level are counted, not walked.
std::int64_t pour(std::span<std::int64_t> loads, std::int64_t amount, std::int64_t most) {
  while (amount > 0) {
    const std::int64_t lowest = *std::min_element(loads.begin(), loads.end());
    if (lowest >= most) break;
    std::int64_t next = most, at_lowest = 0;
    for (const std::int64_t load : loads) {
      if (load == lowest) ++at_lowest;
      if (load > lowest) next = std::min(next, load);
    }
    const std::int64_t rise = std::min(next - lowest, amount / at_lowest);
    std::int64_t extra = rise == 0 ? amount : 0;
    amount -= rise * at_lowest + extra;
    for (std::int64_t& load : loads) {
      if (load != lowest) continue;
      load += rise + (extra > 0 ? 1 : 0);
      extra = std::max<std::int64_t>(0, extra - 1);
    }
  }
  return amount;
}

// Rows to spread are dealt to the ranks in turn, then poured within each.
void spread(Loads& loads, std::int64_t amount, const TokenBatch& batch) {
  const auto local = static_cast<std::size_t>(batch.local_experts());
  while (amount > 0) {
    std::int64_t left = 0;
    for (std::int64_t rank = 0; rank < batch.ranks; ++rank) {
      const std::int64_t share = amount / batch.ranks + (rank < amount % batch.ranks ? 1 : 0);
      left += pour(std::span(loads).subspan(static_cast<std::size_t>(rank) * local, local), share, batch.tokens);
    }
    if (left == amount) break;  // every expert is full
    amount = left;
  }
}

// Rounding gave too many: they are taken from the most loaded expert of each rank in turn. At most E/2 rows.
void take_back(Loads& loads, std::int64_t amount, const TokenBatch& batch) {
  const auto local = static_cast<std::ptrdiff_t>(batch.local_experts());
  for (std::int64_t rank = 0; amount > 0; rank = (rank + 1) % batch.ranks) {
    const auto first = loads.begin() + rank * local;
    const auto most = std::max_element(first, first + local);
    if (*most == 0) continue;
    --*most;
    --amount;
  }
}

void hottest_rank_first(Loads& loads, const TokenBatch& batch) {
  const auto local = static_cast<std::ptrdiff_t>(batch.local_experts());
  std::int64_t hottest = 0, rows = -1;
  for (std::int64_t rank = 0; rank < batch.ranks; ++rank) {
    const auto first = loads.begin() + rank * local;
    const std::int64_t sum = std::accumulate(first, first + local, std::int64_t{0});
    if (sum > rows) hottest = rank, rows = sum;
  }
  if (hottest != 0) std::swap_ranges(loads.begin(), loads.begin() + local, loads.begin() + hottest * local);
}

}  // namespace

Loads balanced_loads(const TokenBatch& batch) { return loads_of(balanced_kinds(batch), batch.experts); }

Loads power_law_loads(const TokenBatch& batch, double exponent, Random& random) {
  MOELINE_EXPECT(batch.tokens > 0 && batch.ranks > 0 && batch.experts % batch.ranks == 0 &&
                 batch.top_k <= batch.experts);
  const std::int64_t rows = batch.tokens * batch.top_k;
  const bool many = rows > batch.experts;
  const double low = many ? 1 : 0.01, high = many ? std::max(1.0000001, 0.8 * static_cast<double>(batch.tokens)) : 2;
  std::vector<double> popularity(static_cast<std::size_t>(batch.experts));
  for (double& p : popularity) p = power_law_draw(low, high, exponent, random.next());
  const double scale = static_cast<double>(rows) / std::accumulate(popularity.begin(), popularity.end(), 0.0);
  Loads loads;
  std::int64_t excess = 0, sum = 0;
  for (const double p : popularity) {
    const auto wished = static_cast<std::int64_t>(std::nearbyint(p * scale));
    loads.push_back(std::min(wished, batch.tokens));
    excess += wished - loads.back();
    sum += wished;
  }
  spread(loads, excess, batch);
  if (sum < rows) spread(loads, rows - sum, batch);
  if (sum > rows) take_back(loads, sum - rows, batch);
  hottest_rank_first(loads, batch);
  return loads;
}

TokenKinds balanced_kinds(const TokenBatch& batch) {
  const std::int64_t stride = (batch.experts + batch.top_k - 1) / batch.top_k;
  const bool repeats = batch.tokens >= stride;  // fewer tokens are spaced out, so that they spread over all experts
  TokenKinds kinds{.top_k = batch.top_k, .tokens = {}, .experts = {}};
  for (std::int64_t i = 0; i < std::min(batch.tokens, batch.experts); ++i) {
    kinds.tokens.push_back(repeats ? (batch.tokens - i + batch.experts - 1) / batch.experts : 1);
    const std::int64_t first = repeats ? i : i * stride / batch.tokens;
    for (std::int64_t j = 0; j < batch.top_k; ++j) kinds.experts.push_back((first + j * stride) % batch.experts);
  }
  return kinds;
}

TokenKinds kinds_of(const TokenBatch& batch, const Loads& loads) {
  std::vector<std::int64_t> order(loads.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return loads[static_cast<std::size_t>(a)] > loads[static_cast<std::size_t>(b)];
  });
  // Places 0 .. T k - 1, all first choices before all second ones; an expert takes a run of them.
  std::vector<std::int64_t> end_of_run, cuts{0};
  std::int64_t place = 0;
  for (const std::int64_t expert : order) {
    place += loads[static_cast<std::size_t>(expert)];
    end_of_run.push_back(place);
    cuts.push_back(place % batch.tokens);
  }
  MOELINE_EXPECT(place == batch.tokens * batch.top_k);
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  cuts.push_back(batch.tokens);
  TokenKinds kinds{.top_k = batch.top_k, .tokens = {}, .experts = {}};
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    kinds.tokens.push_back(cuts[i + 1] - cuts[i]);
    for (std::int64_t j = 0; j < batch.top_k; ++j) {
      const auto run = std::upper_bound(end_of_run.begin(), end_of_run.end(), j * batch.tokens + cuts[i]);
      kinds.experts.push_back(order[static_cast<std::size_t>(run - end_of_run.begin())]);
    }
  }
  return kinds;
}

TokenKinds group_limited(const TokenBatch& batch, const TokenKinds& wishes, std::int64_t groups, std::int64_t kept) {
  MOELINE_EXPECT(batch.experts % groups == 0 && kept * (batch.experts / groups) >= batch.top_k);
  const std::int64_t size = batch.experts / groups;
  TokenKinds routed{.top_k = batch.top_k, .tokens = wishes.tokens, .experts = {}};
  std::vector<std::int64_t> order(static_cast<std::size_t>(groups)), score(order.size());
  for (std::size_t kind = 0; kind < wishes.tokens.size(); ++kind) {
    const auto first = wishes.experts.begin() + static_cast<std::ptrdiff_t>(kind) * batch.top_k;
    std::vector<std::int64_t> wished(first, first + batch.top_k);
    std::sort(wished.begin(), wished.end());
    std::fill(score.begin(), score.end(), 0);
    for (const std::int64_t expert : wished) {
      std::int64_t& s = score[static_cast<std::size_t>(expert / size)];
      s = std::min<std::int64_t>(2, s + 1);
    }
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
    });
    std::sort(order.begin(), order.begin() + kept);
    std::int64_t open = batch.top_k;
    for (const bool want : {true, false}) {
      for (std::int64_t g = 0; g < kept; ++g) {
        const std::int64_t from = order[static_cast<std::size_t>(g)] * size;
        for (std::int64_t expert = from; expert < from + size && open > 0; ++expert) {
          if (std::binary_search(wished.begin(), wished.end(), expert) != want) continue;
          routed.experts.push_back(expert);
          --open;
        }
      }
    }
  }
  return routed;
}

Loads loads_of(const TokenKinds& kinds, std::int64_t experts) {
  Loads loads(static_cast<std::size_t>(experts));
  for (std::size_t place = 0; place < kinds.experts.size(); ++place) {
    loads[static_cast<std::size_t>(kinds.experts[place])] +=
        kinds.tokens[place / static_cast<std::size_t>(kinds.top_k)];
  }
  return loads;
}

std::int64_t tokens_at_first_rank(const TokenKinds& kinds, std::int64_t local_experts) {
  std::int64_t tokens = 0;
  for (std::size_t kind = 0; kind < kinds.tokens.size(); ++kind) {
    const auto first = kinds.experts.begin() + static_cast<std::ptrdiff_t>(kind) * kinds.top_k;
    if (std::any_of(first, first + kinds.top_k, [&](std::int64_t expert) { return expert < local_experts; })) {
      tokens += kinds.tokens[kind];
    }
  }
  return tokens;
}

}  // namespace moeline
