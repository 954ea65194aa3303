#include "gpu/warp_decode.hpp"

#include <cmath>

namespace moeline {

double experts_hit(const DecodeLayer& layer, double tokens) {
  return layer.experts * (1 - std::pow(1 - layer.top_k / layer.experts, tokens));
}

OpCost warp_decode(const DecodeLayer& layer, double tokens, const Gpu& gpu, Seconds launch) {
  const double weights = experts_hit(layer, tokens) * 3 * layer.hidden * layer.width;
  const Bytes moved = bytes(DType::mxfp8, weights);
  const Seconds time = 2 * launch + moved / (kWarpShare * kCopyShare * gpu.hbm_bandwidth.value);
  return {.flops = 6 * tokens * layer.top_k * layer.hidden * layer.width * flop,
          .bytes = moved,
          .time = time,
          .spread = 0.15,
          .bound_by = "HBM",
          .source = Source::extrapolated};
}

}  // namespace moeline
