// Has this product or collective been priced before? Remembers costs, so that many steps ask for each once.
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

class CostMemo {
 public:
  // What `price` makes of the work, at its first asking.
  template <class Asked, class Price>
  OpCost cost(const Asked& work, const Price& price) {
    auto& known = std::get<Map<Asked>>(known_);
    const auto found = known.find(work);
    if (found != known.end()) return found->second;
    if (known.size() >= kMost) known.clear();
    return known.emplace(work, price(work)).first->second;
  }

  std::size_t size() const {
    return std::apply([](const auto&... known) { return (known.size() + ...); }, known_);
  }

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
    std::size_t operator()(const Collective& c) const {
      auto h = mixed(static_cast<std::uint64_t>(c.kind) ^ std::bit_cast<std::uint64_t>(c.bytes.in(byte)));
      for (const std::int64_t count : {c.group.size, c.group.stride}) h = mixed(h ^ static_cast<std::uint64_t>(count));
      return h;
    }
    // Brings the high half of a product down, as multiplicative hashes do.
    static std::uint64_t mixed(std::uint64_t h) {
      h *= 0x9e3779b97f4a7c15;
      return h ^ (h >> 32);
    }
  };
  template <class Asked>
  using Map = std::unordered_map<Asked, OpCost, Hash>;

  std::tuple<Map<Gemm>, Map<GroupedGemm>, Map<Collective>> known_;
};

}  // namespace moeline
