#include "gpu/gemm_memo.hpp"

#include <bit>
#include <cstdint>

#include "gpu/gemm.hpp"

namespace moeline {
namespace {

constexpr std::size_t kProbes = 8;

bool same(const Gemm& a, const Gemm& b) {
  return a.m == b.m && a.n == b.n && a.k == b.k && a.operands == b.operands && a.output == b.output &&
         a.accumulate == b.accumulate;
}

// Mixes each field into the high half of a product, as multiplicative hashes do.
std::size_t hash(const Gemm& gemm) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  const auto kind = static_cast<std::uint64_t>(gemm.operands) * 64 + static_cast<std::uint64_t>(gemm.output) * 2 +
                    (gemm.accumulate ? 1 : 0);
  std::uint64_t h = kind;
  for (const double size : {gemm.m, gemm.n, gemm.k}) {
    h = (h ^ std::bit_cast<std::uint64_t>(size)) * kOdd;
    h ^= h >> 32;
  }
  return static_cast<std::size_t>(h);
}

}  // namespace

GemmMemo::GemmMemo(const Gpu& gpu, const Calibration& calibration, std::size_t slots)
    : gpu_(&gpu), calibration_(&calibration), slots_(std::bit_ceil(slots < kProbes ? kProbes : slots)) {}

OpCost GemmMemo::cost(const Gemm& gemm) {
  const std::size_t mask = slots_.size() - 1, home = hash(gemm);
  Slot* place = &slots_[home & mask];
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    Slot& slot = slots_[(home + probe) & mask];
    if (same(slot.gemm, gemm)) return slot.cost;
    if (slot.gemm.m == 0) {
      place = &slot;
      break;
    }
  }
  ++searches_;
  *place = {gemm, moeline::cost(gemm, *gpu_, calibration_->gemm(gemm.operands))};
  return place->cost;
}

}  // namespace moeline
