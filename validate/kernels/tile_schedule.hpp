// Which tile of which expert does a persistent worker compute next?
//
// Experts' rows are segments of one tensor, padded to 128 rows: expert e owns rows offsets[e] .. offsets[e + 1], and
// may own none. Tiles are counted expert after expert; worker w of W takes tiles w, w + W, ... Two groupings:
//   rows       fprop, dgrad: an expert has segment / tile_m x n_tiles tiles
//   reduction  wgrad: every expert has m_tiles x n_tiles tiles, and sums over its segment
// Inside an expert, tiles go in bands of `band` tiles of m, n by n within a band, so that the tiles running at one time
// form a near-square and share what they read in L2:      n →   0  2 | 4 ..
//                                                        m ↓   1  3 | 5 ..      (band = 2)
// A worker's tiles only move forward, so finding the expert costs one pass over the offsets per worker in all.
#pragma once

namespace moeline::kernels {

struct TileShape {
  int m = 128, n = 128;
};

struct Tile {
  int expert = 0;
  int m = 0, n = 0;       // first row and column, within the expert
  int row = 0, rows = 0;  // the expert's segment: first row of the tensor, number
};

struct TileSchedule {
  const int* offsets = nullptr;  // experts + 1, multiples of 128
  int experts = 0;
  int m_tiles = 0;  // of each expert, when the segment is reduced over; 0: the segment is tiled
  int n_tiles = 0;
  TileShape shape;
  int band = 1;

  constexpr int tiles_along_m(int expert) const {
    return m_tiles > 0 ? m_tiles : (offsets[expert + 1] - offsets[expert] + shape.m - 1) / shape.m;
  }
};

// The worker's place in the schedule.
class TileCursor {
 public:
  constexpr TileCursor(const TileSchedule& schedule, int worker) : next_(worker), m_tiles_(schedule.tiles_along_m(0)) {}

  // False when the schedule is done.
  constexpr bool take(const TileSchedule& schedule, int workers, Tile& tile) {
    while (next_ - first_ >= m_tiles_ * schedule.n_tiles) {
      first_ += m_tiles_ * schedule.n_tiles;
      if (++expert_ >= schedule.experts) return false;
      m_tiles_ = schedule.tiles_along_m(expert_);
    }
    const int local = next_ - first_, band_tiles = schedule.band * schedule.n_tiles;
    const int band_start = local / band_tiles * schedule.band;
    const int left = m_tiles_ - band_start, height = left < schedule.band ? left : schedule.band;
    const int within = local % band_tiles;
    tile.expert = expert_;
    tile.m = (band_start + within % height) * schedule.shape.m;
    tile.n = within / height * schedule.shape.n;
    tile.row = schedule.offsets[expert_];
    tile.rows = schedule.offsets[expert_ + 1] - tile.row;
    next_ += workers;
    return true;
  }

 private:
  int next_, first_ = 0, expert_ = 0, m_tiles_;
};

// Tiles of m per band that make `workers` concurrent tiles as square as they can be, in elements.
constexpr int square_band(int workers, TileShape shape) {
  int band = 1;
  while ((band + 1) * (band + 1) * shape.m <= workers * shape.n) ++band;
  return band;
}

}  // namespace moeline::kernels
