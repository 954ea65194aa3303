// How do devices reach each other? Tiers, inner to outer.
//
//   tier 1  rails:   node 0 ═══╦═══ node 1 ═══╦═══ ...      span: all devices
//   tier 0  switch:  [0 1 2 3 4 5 6 7]  [8 9 10 ...]        span: 8 devices
//
// Devices are numbered so that a tier-t domain of span s holds devices [i*s, (i+1)*s). Bandwidth is one direction, one
// device. A group of ranks uses the innermost tier whose domain holds all of it, and traffic between members that
// share an inner domain stays inside.
#pragma once

#include <string>
#include <vector>

#include "spec/reader.hpp"

namespace moeline {

enum class TierKind { switched, full_mesh, rails, tree };

struct Tier {
  std::string name;
  TierKind kind = TierKind::switched;
  Fact<std::int64_t> span;              // devices in one domain, inner domains included
  Fact<BytesPerSecond> bandwidth;       // per device, per direction
  Fact<Seconds> latency;                // one hop of a small message
  bool in_switch_reduction = false;
  double oversubscription = 1;          // of the switches above: 2 halves what a device gets when all talk
};

using Fabric = std::vector<Tier>;

Fabric read_fabric(std::vector<ObjectReader> tiers);

// Usable bandwidth of one device in one direction.
BytesPerSecond device_bandwidth(const Tier& tier);

// `size` ranks, `stride` device numbers apart, starting at a domain boundary.
struct Group {
  std::int64_t size = 1, stride = 1;
  bool operator==(const Group&) const = default;
};

// How many members of the group share one domain of tier `t` (at least 1, at most size).
std::int64_t members_within(const Group& group, const Fabric& fabric, std::size_t t);
// The innermost tier that holds the whole group; the outermost if none does.
std::size_t tier_of(const Group& group, const Fabric& fabric);

}  // namespace moeline
