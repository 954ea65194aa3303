// How long does a group of ranks take to exchange bytes on a tiered fabric?
//
// Every collective is reduced to bytes per device and tier, one direction; tiers work side by side, so the slowest
// counts (max, not sum), plus hops x latency. With m members per inner domain and N = n/m domains:
//   all_gather, reduce_scatter of S bytes in all:  inner S (n-1)/n, outer S (N-1)/N / m (each of m NICs carries its share)
//   all_reduce of S bytes per rank:                both of these; inside one switch with reduction S (n+1)/n instead
//   dispatch, combine of T tokens, k copies of b:  see exchange_traffic
// Bus-bandwidth factors as derived in nccl-tests' PERFORMANCE notes; rail algorithm as in NCCL's multi-NIC rings.
#pragma once

#include <array>

#include "cost/calibration.hpp"
#include "cost/op_cost.hpp"
#include "ops/work.hpp"
#include "spec/fabric.hpp"

namespace moeline {

// A value for each tier of a fabric, from inner to outer, in place: a search prices millions of collectives. Spans at
// least double from tier to tier, up to 2^30.
template <class Value>
class ByTier {
 public:
  ByTier() = default;
  explicit ByTier(std::size_t tiers) : size_(tiers) {}
  std::size_t size() const { return size_; }
  Value& operator[](std::size_t tier) { return values_[tier]; }
  const Value& operator[](std::size_t tier) const { return values_[tier]; }
  Value& back() { return values_[size_ - 1]; }
  const Value& back() const { return values_[size_ - 1]; }
  auto begin() { return values_.begin(); }
  auto begin() const { return values_.begin(); }
  auto end() { return values_.begin() + static_cast<std::ptrdiff_t>(size_); }
  auto end() const { return values_.begin() + static_cast<std::ptrdiff_t>(size_); }

 private:
  std::array<Value, 31> values_{};
  std::size_t size_ = 0;
};

// What decides a collective's time; `explain` prints the same numbers.
struct NetworkTerms {
  ByTier<Bytes> per_tier;       // one device, one direction
  double hops = 0;              // of the outermost tier used
  std::size_t tier = 0;         // the tier that binds
  Seconds latency, transfer;
};

NetworkTerms collective_terms(const Collective& collective, const Fabric& fabric);
NetworkTerms exchange_terms(const TokenExchange& exchange, const Fabric& fabric);

// Inside one NVLink domain with a calibration: the equations of net/nccl, net/deepep and net/mnnvl; else the terms above.
OpCost cost(const Collective& collective, const Fabric& fabric, const Calibration& calibration);
OpCost cost(const TokenExchange& exchange, const Fabric& fabric, const Calibration& calibration);

}  // namespace moeline
