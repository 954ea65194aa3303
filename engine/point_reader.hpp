// The answer of one point of a sweep, from its number; what does not depend on the varied fields is read once a thread.
#pragma once

#include <memory>
#include <string>

#include "plan/point.hpp"
#include "plan/sweep.hpp"

namespace moeline {

class PointReader {
 public:
  // Refuses what would be wrong in every point: the scenario itself, and a misspelt pointer.
  PointReader(const Sweep& sweep, std::string origin);
  ~PointReader();

  const Columns& columns() const { return columns_; }
  Point point(std::uint64_t number) const;  // from any thread

  // Which sweep this is, down to the contents of the files it names.
  std::string fingerprint(const std::string& how_written) const;

 private:
  struct Rest;
  struct Memo;
  struct Memos;
  Point answer(const std::vector<Json>& values) const;
  void set_rest(Rest& rest, const std::vector<Json>& values) const;
  void check() const;

  Sweep sweep_;
  std::string origin_;
  Columns columns_;
  Json rest_;  // of the scenario, without model and machine
  std::vector<std::size_t> model_axes_, machine_axes_;
  struct RestAxis {
    std::size_t axis, field;
  };
  std::vector<RestAxis> rest_axes_;
  std::vector<std::string> rest_fields_;  // of the scenario, that rest_axes_ lie in
  std::unique_ptr<Memos> memos_;
};

}  // namespace moeline
