// Which rows does no other row beat? One beats another when it is no worse in x and in y and better in one of them.
//
//   y |  .        kept: the staircase, smaller is better in both (a figure where larger is better comes in negated)
//     |  '--.     rows are added one by one; what a new row beats is forgotten, so memory holds the front alone
//     |     '--.  equal rows beat nobody: both stay
//     +--------- x
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace moeline {

struct FrontRow {
  std::uint64_t point = 0;
  double x = 0, y = 0;  // smaller is better
  std::string text;     // what will be written
};

class ParetoFront {
 public:
  void add(FrontRow row);
  std::size_t size() const { return size_; }
  std::vector<FrontRow> rows() const;  // by point

 private:
  struct Stair {
    double y;
    std::vector<FrontRow> rows;
  };
  using Stairs = std::map<double, Stair>;
  Stairs::iterator forget(Stairs::iterator stair);

  Stairs stairs_;  // y falls as x grows
  std::size_t size_ = 0;
};

}  // namespace moeline
