// The order in which persistent workers take tiles, against counting them all.
#include "validate/kernels/tile_schedule.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <tuple>

namespace moeline::kernels {
namespace {

std::vector<int> random_offsets(int experts, std::mt19937& generator) {
  std::vector<int> offsets{0};
  for (int e = 0; e < experts; ++e) {
    const bool empty = generator() % 3 == 0;
    offsets.push_back(offsets.back() + (empty ? 0 : 128 * static_cast<int>(generator() % 9)));
  }
  return offsets;
}

using Visited = std::multiset<std::tuple<int, int, int>>;

Visited visit(const TileSchedule& schedule, int workers) {
  Visited visited;
  for (int worker = 0; worker < workers; ++worker) {
    TileCursor cursor(schedule, worker);
    for (Tile tile; cursor.take(schedule, workers, tile);) visited.emplace(tile.expert, tile.m, tile.n);
  }
  return visited;
}

}  // namespace

TEST_CASE("every tile of every expert is taken exactly once, whatever the loads and the number of workers", "[unit]") {
  std::mt19937 generator(7);
  for (int round = 0; round < 200; ++round) {
    const int experts = 1 + static_cast<int>(generator() % 12);
    const std::vector<int> offsets = random_offsets(experts, generator);
    TileSchedule schedule{.offsets = offsets.data(),
                          .experts = experts,
                          .n_tiles = 1 + static_cast<int>(generator() % 7),
                          .shape = {generator() % 2 ? 128 : 256, 256},
                          .band = 1 + static_cast<int>(generator() % 5)};
    if (generator() % 2) schedule.m_tiles = 1 + static_cast<int>(generator() % 6);
    Visited expected;
    for (int e = 0; e < experts; ++e) {
      const int rows = schedule.m_tiles
                           ? schedule.m_tiles * schedule.shape.m
                           : offsets[static_cast<std::size_t>(e) + 1] - offsets[static_cast<std::size_t>(e)];
      for (int m = 0; m < rows; m += schedule.shape.m)
        for (int n = 0; n < schedule.n_tiles; ++n) expected.emplace(e, m, n * 256);
    }
    REQUIRE(visit(schedule, 1 + static_cast<int>(generator() % 140)) == expected);
  }
}

TEST_CASE("tiles running at one time read about as many rows of one operand as of the other", "[unit]") {
  const int offsets[] = {0, 128 * 64};
  const int workers = 64;
  const TileShape shape{128, 128};
  const TileSchedule schedule{
      .offsets = offsets, .experts = 1, .n_tiles = 64, .shape = shape, .band = square_band(workers, shape)};
  CHECK(schedule.band == 8);  // 8 x 8 of 64
  std::set<int> rows, columns;
  for (int worker = 0; worker < workers; ++worker) {
    TileCursor cursor(schedule, worker);
    Tile tile;
    REQUIRE(cursor.take(schedule, workers, tile));
    rows.insert(tile.m), columns.insert(tile.n);
  }
  CHECK(rows.size() == 8);
  CHECK(columns.size() == 8);
}

TEST_CASE("experts without rows are passed over, and a schedule of none ends at once", "[unit]") {
  const int offsets[] = {0, 0, 128, 128, 128, 384};
  const TileSchedule schedule{.offsets = offsets, .experts = 5, .n_tiles = 1};
  TileCursor cursor(schedule, 0);
  std::vector<std::tuple<int, int, int>> taken;
  for (Tile tile; cursor.take(schedule, 1, tile);) taken.emplace_back(tile.expert, tile.row, tile.m);
  CHECK(taken == std::vector<std::tuple<int, int, int>>{{1, 0, 0}, {4, 128, 0}, {4, 128, 128}});

  const int none[] = {0, 0, 0};
  const TileSchedule empty{.offsets = none, .experts = 2, .n_tiles = 4};
  Tile tile;
  TileCursor nothing(empty, 3);
  CHECK_FALSE(nothing.take(empty, 8, tile));
}

}  // namespace moeline::kernels
