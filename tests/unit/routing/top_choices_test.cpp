#include "routing/top_choices.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>

#include "spec/popularity.hpp"

using namespace moeline;

namespace {

// The first k + 1 of a stable sort: larger first, of equals the lower number.
std::vector<std::int32_t> sorted(const std::vector<float>& values) {
  std::vector<std::int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
  });
  return order;
}

void check(std::size_t experts, std::size_t top_k, double levels) {
  INFO("top " << top_k << " of " << experts << ", " << levels << " levels");
  Random random(experts + top_k);
  TopChoices top(experts, top_k);
  const std::vector<float> none(experts);
  for (int token = 0; token < 20; ++token) {
    std::vector<float> row(experts);
    for (float& score : row) score = static_cast<float>(std::floor(random.next() * levels) / levels - 0.5);
    top.find(row, none);
    const std::vector<std::int32_t> order = sorted(row);
    REQUIRE(std::equal(top.chosen().begin(), top.chosen().end(), order.begin()));
    if (top_k < experts) REQUIRE(top.cut_off() == row[static_cast<std::size_t>(order[top_k])]);
  }
}

}  // namespace

TEST_CASE("the best of a token are those a stable sort puts first, equals included", "[unit]") {
  for (const double levels : {1.0, 4.0, 50.0, 1e6}) {  // all equal, many equal, few, none
    check(256, 8, levels);
    check(896, 16, levels);
    check(8, 2, levels);
    check(60, 4, levels);
    check(33, 31, levels);
  }
}

TEST_CASE("all experts can be chosen, and nothing is left to cut off", "[unit]") {
  check(8, 8, 100);
  TopChoices top(4, 4);
  top.find(std::vector<float>{1, 3, 2, 0}, std::vector<float>(4));
  CHECK(std::isinf(top.cut_off()));
}

TEST_CASE("a price takes an expert out of the best", "[unit]") {
  TopChoices top(4, 1);
  top.find(std::vector<float>{1, 3, 2, 0}, std::vector<float>{0, 2.5F, 0, 0});
  CHECK(top.chosen()[0] == 2);
  CHECK(top.cut_off() == 1);
}
