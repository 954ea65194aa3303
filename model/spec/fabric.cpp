#include "spec/fabric.hpp"

#include <algorithm>
#include <map>

namespace moeline {

Fabric read_fabric(std::vector<ObjectReader> readers) {
  constexpr Dimension kBandwidth{.second = -1, .byte = 1}, kTime{.second = 1};
  const std::map<std::string, TierKind> kinds{{"switch", TierKind::switched},
                                              {"full_mesh", TierKind::full_mesh},
                                              {"rails", TierKind::rails},
                                              {"tree", TierKind::tree}};
  Fabric fabric;
  for (ObjectReader& reader : readers) {
    Tier tier;
    tier.name = reader.string("name");
    tier.kind = kinds.at(reader.one_of("kind", {"switch", "full_mesh", "rails", "tree"}));
    tier.span = reader.integer_fact("span", {1, 1 << 30});
    tier.bandwidth = reader.fact<kBandwidth>("bandwidth");
    tier.latency = reader.fact<kTime>("latency");
    tier.in_switch_reduction = reader.boolean_or("in_switch_reduction", false);
    tier.oversubscription = reader.number_or("oversubscription", 1, 1000, 1);
    if (!fabric.empty() && tier.span.value <= fabric.back().span.value) {
      reader.fail("span", "tiers run from inner to outer, so each span must exceed the one before");
    }
    if (!fabric.empty() && tier.span.value % fabric.back().span.value != 0) {
      reader.fail("span", "must be a multiple of the span of the tier inside it");
    }
    reader.finish();
    fabric.push_back(tier);
  }
  return fabric;
}

BytesPerSecond device_bandwidth(const Tier& tier) { return tier.bandwidth.value / tier.oversubscription; }

std::int64_t members_within(const Group& group, const Fabric& fabric, std::size_t t) {
  const std::int64_t fit = std::max<std::int64_t>(1, fabric[t].span.value / group.stride);
  // Members fill whole domains when the span is a multiple of the stride; otherwise the emptiest domain binds.
  return std::min(group.size, fit);
}

std::size_t tier_of(const Group& group, const Fabric& fabric) {
  MOELINE_EXPECT(!fabric.empty());
  for (std::size_t t = 0; t < fabric.size(); ++t) {
    if (group.size == 1 || members_within(group, fabric, t) == group.size) return t;
  }
  return fabric.size() - 1;
}

}  // namespace moeline
