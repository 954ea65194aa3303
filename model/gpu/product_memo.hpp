// Has this product been priced before? Remembers costs, so that many steps ask for each shape once.
//
// For one machine (device, calibration) and one thread. Bounded: when full, it forgets.
#pragma once

#include <bit>
#include <cstdint>
#include <tuple>
#include <unordered_map>

#include "cost/op_cost.hpp"
#include "ops/work.hpp"

namespace moeline {

class ProductMemo {
 public:
  // What `price` makes of the product, at its first asking.
  template <class Product, class Price>
  OpCost cost(const Product& product, const Price& price) {
    auto& known = std::get<Map<Product>>(known_);
    const auto found = known.find(product);
    if (found != known.end()) return found->second;
    if (known.size() >= kMost) known.clear();
    return known.emplace(product, price(product)).first->second;
  }

  std::size_t size() const { return std::get<0>(known_).size() + std::get<1>(known_).size(); }

 private:
  static constexpr std::size_t kMost = 1 << 14;

  struct Hash {
    template <class Product>
    std::size_t operator()(const Product& p) const {
      auto h = static_cast<std::uint64_t>(p.operands) * 64 + static_cast<std::uint64_t>(p.output) * 2 + (p.accumulate ? 1 : 0);
      for (const double size : {p.m, p.n, p.k}) h = mixed(h ^ std::bit_cast<std::uint64_t>(size));
      if constexpr (requires { p.groups; }) h = mixed(h ^ std::bit_cast<std::uint64_t>(p.groups));
      return h;
    }
    // Brings the high half of a product down, as multiplicative hashes do.
    static std::uint64_t mixed(std::uint64_t h) {
      h *= 0x9e3779b97f4a7c15;
      return h ^ (h >> 32);
    }
  };
  template <class Product>
  using Map = std::unordered_map<Product, OpCost, Hash>;

  std::tuple<Map<Gemm>, Map<GroupedGemm>> known_;
};

}  // namespace moeline
