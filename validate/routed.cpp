#include "validate/routed.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "routing/sampler.hpp"

namespace moeline {

ByteMatrix exchanged_bytes(const Case& exchange) {
  const auto whole = [&](const char* key) { return static_cast<std::int64_t>(exchange.shape.at(key)); };
  const std::int64_t ranks = whole("ranks");
  const auto n = static_cast<std::size_t>(ranks);
  if (exchange.kind != "moe") {
    return ByteMatrix(n, std::vector<std::size_t>(n, static_cast<std::size_t>(whole("bytes")) / n));
  }
  const TokenBatch batch{
      .tokens = whole("tokens") * ranks, .experts = whole("experts"), .top_k = whole("top_k"), .ranks = ranks};
  Random random(exchange.seed);
  const double exponent = exchange.shape.at("exponent");
  const Loads loads = exponent > 0 ? power_law_loads(batch, exponent, random) : balanced_loads(batch);
  std::vector<std::size_t> row(n);
  for (std::size_t to = 0; to < n; ++to) {
    const auto first = loads.begin() + static_cast<std::ptrdiff_t>(to) * batch.local_experts();
    const auto rows = std::accumulate(first, first + batch.local_experts(), std::int64_t{0});
    row[to] =
        static_cast<std::size_t>(static_cast<double>(rows) / static_cast<double>(n) * exchange.shape.at("row_bytes"));
  }
  return ByteMatrix(n, row);
}

double busiest_rank(const ByteMatrix& bytes) {
  double most = 0;
  for (std::size_t rank = 0; rank < bytes.size(); ++rank) {
    double sent = 0, received = 0;
    for (std::size_t other = 0; other < bytes.size(); ++other) {
      sent += static_cast<double>(bytes[rank][other]);
      received += static_cast<double>(bytes[other][rank]);
    }
    most = std::max({most, sent, received});
  }
  return most;
}

}  // namespace moeline
