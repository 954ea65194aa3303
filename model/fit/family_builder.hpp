// How do rows of a measurement file become families? Shared by the readers whose files mix several families.
//
// A row is filed under its key with the size that grows and the name of the group that folds keep together; when all
// rows are in, every family gets its predictor. One whose rows were all left out stays, for its reasons.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fit/family.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"

namespace moeline {

// The GPU of a profile in the catalogue: its facts price the rows.
inline Gpu profiled_gpu(const std::string& profile) {
  const Document document = find_hardware(profile, "measurements");
  return std::get<Gpu>(read_cluster(document.json, document.origin).device);
}

// "m 1..8192"
template <class Row, class Field>
std::string range(std::string_view name, const std::vector<Row>& rows, Field field) {
  const auto less = [&](const Row& a, const Row& b) { return field(a) < field(b); };
  const auto [low, high] = std::minmax_element(rows.begin(), rows.end(), less);
  return fmt::format("{} {:.0f}..{:.0f}", name, field(*low), field(*high));
}

template <class Row>
struct MeasuredRows {
  Gpu gpu;
  FamilyKey key;
  std::vector<Row> rows;
};

template <class Row>
class FamilyBuilder {
 public:
  FamilyData& data(const FamilyKey& key, const std::string& profile, const std::vector<Parameter>& parameters) {
    auto& [family, data] = families_[key];
    if (!family) {
      family = std::make_shared<MeasuredRows<Row>>(MeasuredRows<Row>{profiled_gpu(profile), key, {}});
      data.key = key;
      data.parameters = parameters;
    }
    return data;
  }
  void add(const FamilyKey& key, const Row& row, double microseconds, double size, const std::string& group) {
    auto& [family, data] = families_.at(key);
    family->rows.push_back(row);
    data.observations.measured.push_back(microseconds);
    data.size.push_back(size);
    data.group.push_back(groups_[key].try_emplace(group, static_cast<int>(groups_[key].size())).first->second);
  }
  // `time_us(family, values, row)`, `domain(rows)`
  template <class Time, class Domain>
  void finish(std::vector<FamilyData>& list, Time time_us, Domain domain) {
    for (auto& [key, entry] : families_) {
      auto& [family, data] = entry;
      if (!family->rows.empty()) data.domain = domain(family->rows);
      data.observations.predicted = [f = family, time_us](std::span<const double> v, std::size_t row) {
        return time_us(*f, {v.begin(), v.end()}, f->rows[row]);
      };
      list.push_back(std::move(data));
    }
  }

 private:
  std::map<FamilyKey, std::pair<std::shared_ptr<MeasuredRows<Row>>, FamilyData>> families_;
  std::map<FamilyKey, std::map<std::string, int>> groups_;
};

}  // namespace moeline
