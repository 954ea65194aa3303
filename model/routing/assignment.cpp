#include "routing/assignment.hpp"

#include <algorithm>
#include <limits>

#include "error.hpp"

namespace moeline {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

class Flow {
 public:
  explicit Flow(const RouterScores& scores)
      : s_(scores),
        has_(scores.tokens() * scores.experts),
        rows_(scores.experts),
        quota_(scores.tokens() * scores.top_k / scores.experts) {}

  // One more expert for this token, others moved where that is best.
  void add(std::size_t i) {
    find_edges();
    std::vector<double> cost(s_.experts, kFar);
    std::vector<std::size_t> before(s_.experts, s_.experts);
    for (std::size_t j = 0; j < s_.experts; ++j) {
      if (!has(i, j)) cost[j] = -s_.of(i)[j];
    }
    for (bool changed = true; changed;) {  // Bellman-Ford: costs are of either sign, no cycle is negative
      changed = false;
      for (std::size_t a = 0; a < s_.experts; ++a) {
        for (std::size_t b = 0; b < s_.experts; ++b) {
          const double through = cost[a] + edge(a, b).cost;
          if (!(through < cost[b] - 1e-12)) continue;
          cost[b] = through;
          before[b] = a;
          changed = true;
        }
      }
    }
    std::size_t end = s_.experts;
    for (std::size_t j = 0; j < s_.experts; ++j) {
      if (rows_[j] < quota_ && (end == s_.experts || cost[j] < cost[end])) end = j;
    }
    ++rows_[end];
    for (; before[end] < s_.experts; end = before[end]) {
      const std::size_t moved = edge(before[end], end).row;
      has(moved, before[end]) = 0;
      has(moved, end) = 1;
    }
    has(i, end) = 1;
  }

  Assignment result() const {
    Assignment best;
    for (std::size_t i = 0; i < s_.tokens(); ++i) {
      for (std::size_t j = 0; j < s_.experts; ++j) {
        if (has_[i * s_.experts + j] == 0) continue;
        best.experts.push_back(static_cast<std::int32_t>(j));
        best.score += s_.of(i)[j];
      }
    }
    return best;
  }

 private:
  struct Edge {
    double cost = kFar;
    std::size_t row = 0;
  };
  char& has(std::size_t i, std::size_t expert) { return has_[i * s_.experts + expert]; }
  Edge& edge(std::size_t from, std::size_t to) { return edges_[from * s_.experts + to]; }

  // The token that loses least when it leaves `from` for `to`.
  void find_edges() {
    edges_.assign(s_.experts * s_.experts, {});
    for (std::size_t i = 0; i < s_.tokens(); ++i) {
      for (std::size_t a = 0; a < s_.experts; ++a) {
        if (!has(i, a)) continue;
        for (std::size_t b = 0; b < s_.experts; ++b) {
          const double cost = double{s_.of(i)[a]} - s_.of(i)[b];
          if (!has(i, b) && cost < edge(a, b).cost) edge(a, b) = {cost, i};
        }
      }
    }
  }

  const RouterScores& s_;
  std::vector<char> has_;
  std::vector<std::size_t> rows_;
  std::size_t quota_;
  std::vector<Edge> edges_;
};

}  // namespace

Assignment best_balanced(const RouterScores& scores) {
  MOELINE_EXPECT(scores.tokens() * scores.top_k % scores.experts == 0);
  Flow flow(scores);
  for (std::size_t i = 0; i < scores.tokens(); ++i) {
    for (std::size_t c = 0; c < scores.top_k; ++c) flow.add(i);
  }
  return flow.result();
}

}  // namespace moeline
