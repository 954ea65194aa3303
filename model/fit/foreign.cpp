#include "fit/foreign.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace moeline {
namespace {

// Best shape of a search over large 16-bit products, TFLOP/s: stas00/ml-engineering@744d01e, compute/accelerator,
// CC-BY-SA-4.0 (PyTorch 2.5 to 2.8; H200 is said there to equal H100).
struct BestProduct {
  std::string_view device;
  double teraflops;
};
constexpr std::array kBestProducts{BestProduct{"a100-sxm", 271.2}, BestProduct{"h200-sxm", 794.5}, BestProduct{"b200-sxm", 1745},
                                   BestProduct{"mi300x", 668.4},   BestProduct{"mi325x", 784.9},   BestProduct{"mi355x", 1565}};

// Bytes per second of memory for one multiprocessor.
double stream(const Gpu& gpu) {
  return gpu.hbm_bandwidth.value.in(byte_per_second) / static_cast<double>(gpu.multiprocessors.value);
}

}  // namespace

double best_product_share(std::string_view device, const Gpu& gpu) {
  const auto best = std::ranges::find(kBestProducts, device, &BestProduct::device);
  if (best == kBestProducts.end() || !gpu.dense_peak.bf16) return 1;
  return best->teraflops / gpu.dense_peak.bf16->value.in(teraflop_per_second);
}

FamilyFit carried_over(FamilyFit page, const Gpu& lender, std::string_view borrower_name, const Gpu& borrower) {
  const double tensor = best_product_share(borrower_name, borrower) / best_product_share(page.key.device, lender);
  const double speed = stream(borrower) / stream(lender);  // of one multiprocessor
  for (std::size_t i = 0; i < page.parameters.size(); ++i) {
    const std::string& unit = page.parameters[i].unit;
    double& value = page.fit.values[i];
    if (unit == "of peak") value *= tensor;
    if (unit == "GB/s per SM") value *= speed;
    if (unit.ends_with("and SM") || unit == "us of one SM") value /= speed;
    // A decode kernel's multiprocessor walks the cache: "ns" a token.
    if (unit == "ns" && page.key.operation.ends_with("decode")) value /= speed;
  }
  page.surface = {};
  return page;
}

}  // namespace moeline
