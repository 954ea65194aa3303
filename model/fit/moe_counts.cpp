#include "fit/moe_counts.hpp"

#include <algorithm>

namespace moeline {
namespace {

constexpr int kDraws = 5;  // as many as the collector makes
constexpr std::int64_t kGroups = 8, kKept = 4, kPadding = 128;

std::span<const std::int64_t> first_rank(const Loads& loads, const TokenBatch& batch) {
  return std::span(loads).first(static_cast<std::size_t>(batch.local_experts()));
}

MoeLoad routed_load(const TokenBatch& batch, const TokenKinds& kinds, const Loads& loads) {
  return moe_load(first_rank(loads, batch), static_cast<double>(batch.tokens),
                  static_cast<double>(tokens_at_first_rank(kinds, batch.local_experts())));
}

MoeLoad folded_load(const TokenBatch& batch, const TokenKinds& kinds, const Loads& loads) {
  const std::int64_t here = tokens_at_first_rank(kinds, batch.local_experts());
  Loads mine(loads.begin(), loads.begin() + static_cast<std::ptrdiff_t>(batch.local_experts()));
  std::int64_t rows = 0;
  for (const std::int64_t load : mine) rows += load;
  mine[0] += here * batch.top_k - rows;
  return moe_load(mine, static_cast<double>(here), static_cast<double>(here));
}

// The balanced case is not padded there: its experts share tiles, and only one expert a tile is read.
MoeLoad received_load(const TokenBatch& batch, const TokenKinds& kinds, const Loads& loads, bool balanced) {
  if (!balanced) {
    Loads padded(first_rank(loads, batch).begin(), first_rank(loads, batch).end());
    for (std::int64_t& load : padded) load = (load + kPadding - 1) / kPadding * kPadding;
    MoeLoad load = moe_load(padded, static_cast<double>(batch.tokens),
                            static_cast<double>(tokens_at_first_rank(kinds, batch.local_experts())));
    return load;
  }
  const std::int64_t each = batch.tokens * batch.top_k / batch.experts, rows = each * batch.local_experts();
  MoeLoad load = moe_load(std::span(&rows, 1), static_cast<double>(batch.tokens),
                          static_cast<double>(std::min(rows, batch.tokens)));
  load.experts = static_cast<double>(batch.local_experts());
  const double tiles = static_cast<double>((rows + kPadding - 1) / kPadding);
  load.hit = std::min(load.experts, tiles);
  return load;
}

MoeLoad masked_load(const TokenBatch& batch, const Loads& loads, bool balanced) {
  Loads mine(first_rank(loads, batch).begin(), first_rank(loads, batch).end());
  if (balanced) {
    const std::int64_t each = batch.tokens * batch.top_k / batch.experts,
                       some = batch.tokens * batch.top_k / batch.ranks;
    for (std::size_t i = 0; i < mine.size(); ++i)
      mine[i] = each > 0 ? each : static_cast<std::int64_t>(i) < some ? 1 : 0;
  }
  MoeLoad load = moe_load(mine, 0, 0);
  load.tokens = load.rows / static_cast<double>(batch.top_k);
  return load;
}

// Groups of one expert have no second-best score: both devices' times say that every choice ends on the first expert,
// with expert parallelism (T k rows on one rank) or without.
MoeLoad collapsed_load(const TokenBatch& batch) {
  Loads mine(static_cast<std::size_t>(batch.local_experts()));
  mine[0] = batch.tokens * batch.top_k;
  return moe_load(mine, static_cast<double>(batch.tokens), static_cast<double>(batch.tokens));
}

MoeLoad one_draw(const TokenBatch& batch, double exponent, RoutedAs routed, Random& random) {
  if (routed == RoutedAs::group_limited && batch.experts == kGroups) return collapsed_load(batch);
  const bool balanced = exponent <= 0;
  const Loads drawn = balanced ? Loads{} : power_law_loads(batch, exponent, random);
  TokenKinds kinds = balanced ? balanced_kinds(batch) : kinds_of(batch, drawn);
  if (routed == RoutedAs::group_limited && batch.experts % kGroups == 0 && batch.top_k <= batch.experts / 2) {
    kinds = group_limited(batch, kinds, kGroups, kKept);
  }
  const Loads loads = loads_of(kinds, batch.experts);
  switch (routed) {
    case RoutedAs::folded:
      return folded_load(batch, kinds, loads);
    case RoutedAs::received:
      return received_load(batch, kinds, loads, balanced);
    case RoutedAs::masked:
      return masked_load(batch, loads, balanced);
    case RoutedAs::wished:
    case RoutedAs::group_limited:
      break;
  }
  return routed_load(batch, kinds, loads);
}

void add(MoeLoad& sum, const MoeLoad& load, double weight) {
  sum.tokens += weight * load.tokens;
  sum.tokens_here += weight * load.tokens_here;
  sum.rows += weight * load.rows;
  sum.element_rows += weight * load.element_rows;
  sum.hit += weight * load.hit;
  sum.experts += weight * load.experts;
  for (std::size_t i = 0; i < sum.tiles.size(); ++i) sum.tiles[i] += weight * load.tiles[i];
}

}  // namespace

const MoeLoad& MoeCounts::of(const TokenBatch& batch, double exponent, RoutedAs routed) {
  const auto key = std::tuple(batch.tokens, batch.experts, batch.top_k, batch.ranks, exponent, routed);
  const auto [at, fresh] = known_.try_emplace(key);
  if (!fresh) return at->second;
  const int draws = exponent > 0 ? kDraws : 1;
  Random random(12345);
  for (int i = 0; i < draws; ++i) add(at->second, one_draw(batch, exponent, routed, random), 1.0 / draws);
  return at->second;
}

}  // namespace moeline
