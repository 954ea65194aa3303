#include "plan/pareto.hpp"

#include <algorithm>
#include <iterator>

namespace moeline {

void ParetoFront::add(FrontRow row) {
  const double x = row.x, y = row.y;
  auto next = stairs_.upper_bound(x);
  if (next != stairs_.begin()) {
    const auto before = std::prev(next);
    const bool same_x = before->first == x;
    if (before->second.y < y || (before->second.y == y && !same_x)) return;  // beaten
    if (same_x && before->second.y == y) {
      before->second.rows.push_back(std::move(row));
      ++size_;
      return;
    }
    if (same_x) forget(before);
  }
  while (next != stairs_.end() && next->second.y >= y) next = forget(next);
  stairs_[x] = Stair{y, {}};
  stairs_[x].rows.push_back(std::move(row));
  ++size_;
}

ParetoFront::Stairs::iterator ParetoFront::forget(Stairs::iterator stair) {
  size_ -= stair->second.rows.size();
  return stairs_.erase(stair);
}

std::vector<FrontRow> ParetoFront::rows() const {
  std::vector<FrontRow> list;
  for (const auto& [x, stair] : stairs_) list.insert(list.end(), stair.rows.begin(), stair.rows.end());
  std::sort(list.begin(), list.end(), [](const FrontRow& a, const FrontRow& b) { return a.point < b.point; });
  return list;
}

}  // namespace moeline
