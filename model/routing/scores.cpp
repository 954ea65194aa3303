#include "routing/scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "routing/top_choices.hpp"

namespace moeline {

RoutedScores route(const RouterScores& scores, std::span<const float> prices, const ForBlocks& blocks) {
  std::vector<RoutedScores> parts(kTokenBlocks);
  blocks(kTokenBlocks, [&](std::size_t block) {
    RoutedScores& part = parts[block];
    part.loads.assign(scores.experts, 0);
    TopChoices top(scores.experts, scores.top_k);
    const TokenRange range = token_block(scores, block);
    for (std::size_t i = range.first; i < range.last; ++i) {
      const std::span<const float> row = scores.of(i);
      top.find(row, prices);
      // Only the chosen exceed alpha: the sum of max(0, s - alpha - beta) + k alpha is theirs at any alpha.
      for (std::size_t c = 0; c < scores.top_k; ++c) {
        const auto expert = static_cast<std::size_t>(top.chosen()[c]);
        part.loads[expert] += 1;
        part.score += row[expert];
        part.dual += top.value(c);
      }
    }
  });
  RoutedScores sum{.loads = std::vector<double>(scores.experts)};
  for (const RoutedScores& part : parts) {
    for (std::size_t j = 0; j < scores.experts; ++j) sum.loads[j] += part.loads[j];
    sum.score += part.score;
    sum.dual += part.dual;
  }
  for (const float price : prices) sum.dual += scores.quota() * price;
  return sum;
}

namespace {

// A row that could leave an expert with too many, for the best of those with too few.
struct Move {
  float loss;
  std::int32_t from, to;
  std::size_t row, place;
};

struct Choices {
  std::vector<std::int32_t> experts;  // k of each token
  std::vector<float> cut_off;         // of each token: nothing it did not choose is worth more
};

Choices choices(const RouterScores& scores, std::span<const float> prices, const ForBlocks& blocks) {
  Choices chosen{std::vector<std::int32_t>(scores.tokens() * scores.top_k), std::vector<float>(scores.tokens())};
  blocks(kTokenBlocks, [&](std::size_t block) {
    TopChoices top(scores.experts, scores.top_k);
    const TokenRange range = token_block(scores, block);
    for (std::size_t i = range.first; i < range.last; ++i) {
      top.find(scores.of(i), prices);
      std::copy_n(top.chosen().begin(), scores.top_k,
                  chosen.experts.begin() + static_cast<std::ptrdiff_t>(i * scores.top_k));
      chosen.cut_off[i] = top.cut_off();
    }
  });
  return chosen;
}

// Of one block, for every expert with too many its cheapest moves; as many as are too many.
std::vector<Move> cheapest_moves(const RouterScores& scores, std::span<const float> prices, const Choices& chosen,
                                 const std::vector<std::int64_t>& over, TokenRange range) {
  std::vector<std::vector<Move>> best(scores.experts);
  const auto dearer_last = [](const Move& a, const Move& b) { return a.loss < b.loss; };
  for (std::size_t i = range.first; i < range.last; ++i) {
    const std::span<const float> row = scores.of(i);
    const std::span<const std::int32_t> mine(&chosen.experts[i * scores.top_k], scores.top_k);
    // Most tokens lose more than what is kept already, wherever they go.
    const bool may_be_cheap = std::any_of(mine.begin(), mine.end(), [&](std::int32_t expert) {
      const auto from = static_cast<std::size_t>(expert);
      const std::vector<Move>& list = best[from];
      return over[from] > 0 && (list.size() < static_cast<std::size_t>(over[from]) ||
                                row[from] - prices[from] - chosen.cut_off[i] < list.front().loss);
    });
    if (!may_be_cheap) continue;
    std::int32_t to = -1;
    float gain = -std::numeric_limits<float>::infinity();
    for (std::size_t j = 0; j < scores.experts; ++j) {
      if (over[j] >= 0 || row[j] - prices[j] <= gain) continue;
      const auto expert = static_cast<std::int32_t>(j);
      if (std::find(mine.begin(), mine.end(), expert) != mine.end()) continue;
      gain = row[j] - prices[j];
      to = expert;
    }
    if (to < 0) continue;
    for (std::size_t c = 0; c < scores.top_k; ++c) {
      const auto from = static_cast<std::size_t>(mine[c]);
      if (over[from] <= 0) continue;
      std::vector<Move>& list = best[from];
      const Move move{row[from] - prices[from] - gain, mine[c], to, i, c};
      const bool full = list.size() >= static_cast<std::size_t>(over[from]);
      if (full && list.front().loss <= move.loss) continue;
      if (full) {
        std::pop_heap(list.begin(), list.end(), dearer_last);
        list.pop_back();
      }
      list.push_back(move);
      std::push_heap(list.begin(), list.end(), dearer_last);
    }
  }
  std::vector<Move> all;
  for (const std::vector<Move>& list : best) all.insert(all.end(), list.begin(), list.end());
  return all;
}

}  // namespace

double balanced_score(const RouterScores& scores, std::span<const float> prices, const ForBlocks& blocks) {
  Choices chosen = choices(scores, prices, blocks);
  // Rows above (below: negative) the quota; where it is no whole number the first experts have one more.
  const std::size_t rows = chosen.experts.size(), quota = rows / scores.experts, one_more = rows % scores.experts;
  std::vector<std::int64_t> over(scores.experts);
  for (std::size_t j = 0; j < over.size(); ++j) over[j] = -static_cast<std::int64_t>(quota + (j < one_more ? 1 : 0));
  for (const std::int32_t expert : chosen.experts) ++over[static_cast<std::size_t>(expert)];
  while (*std::max_element(over.begin(), over.end()) > 0) {
    std::vector<std::vector<Move>> found(kTokenBlocks);
    blocks(kTokenBlocks, [&](std::size_t block) {
      found[block] = cheapest_moves(scores, prices, chosen, over, token_block(scores, block));
    });
    std::vector<Move> moves;
    for (const std::vector<Move>& part : found) moves.insert(moves.end(), part.begin(), part.end());
    std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) { return a.loss < b.loss; });
    for (const Move& move : moves) {
      std::int64_t &from = over[static_cast<std::size_t>(move.from)], &to = over[static_cast<std::size_t>(move.to)];
      const auto mine = chosen.experts.begin() + static_cast<std::ptrdiff_t>(move.row * scores.top_k);
      if (from <= 0 || to >= 0 ||
          std::find(mine, mine + static_cast<std::ptrdiff_t>(scores.top_k), move.to) !=
              mine + static_cast<std::ptrdiff_t>(scores.top_k))
        continue;
      mine[static_cast<std::ptrdiff_t>(move.place)] = move.to;
      --from;
      ++to;
    }
  }
  std::vector<double> sums(kTokenBlocks);
  blocks(kTokenBlocks, [&](std::size_t block) {
    const TokenRange range = token_block(scores, block);
    for (std::size_t place = range.first * scores.top_k; place < range.last * scores.top_k; ++place)
      sums[block] += scores.of(place / scores.top_k)[static_cast<std::size_t>(chosen.experts[place])];
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace moeline
