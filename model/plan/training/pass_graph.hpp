// Which pass waits for which, and in what sequence can all of a pipeline's passes be timed?
//
//   slot      0  1  2  3 ..     n  n+1 ..      stage after stage, passes in their order, each stage behind an empty slot;
//             -  F0 F1 B0 ..    -  F0  ..      slot 0 also stands for "waits for nothing"
//   finish[i] = max(finish[i-1], finish[input of i] + transfer) + length
//
// None of it depends on times: pipelines of one shape share it, and to simulate one is to walk once along the sequence.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "plan/training/schedule.hpp"

namespace moeline {

// How long a pass of a chunk is: lengths are listed by chunk in model order, these for each.
enum class PassLength : std::uint8_t { forward, backward, input_gradient, weight_gradient, paired };
constexpr std::size_t kPassLengths = 5;

struct PassGraph {
  struct Node {
    std::uint32_t input = 0;    // slot that it waits for
    std::uint32_t length = 0;   // in the list of lengths
    bool sent = false;          // that comes from another stage
    bool paired = false;        // runs in one with the slot behind it, for which the sequence has no entry
  };
  struct Use {  // of a length by one stage
    std::size_t length = 0;
    double in_all = 0, in_a_span = 0;
  };
  struct Stage {
    std::size_t first = 0, end = 0;        // slots
    std::size_t steady = 0, span = 0;      // the slot where its beats begin, and slots to a span of beats
    std::vector<Use> uses;
  };
  std::vector<Node> nodes;                 // by slot
  std::vector<Stage> stages;
  std::vector<std::uint32_t> sequence;     // of slots, inputs before those that wait for them
  std::vector<std::size_t> spans;          // where in it all stages have run one span, two .., before any drains
};

// A span is `beats` beats long.
PassGraph pass_graph(const OrderShape& shape, std::int64_t beats = 1);

// For one thread; bounded, when full it forgets.
class PassGraphs {
 public:
  // Until the next call.
  const PassGraph& of(const OrderShape& shape, std::int64_t beats);

 private:
  struct Key {
    OrderShape shape;
    std::int64_t beats = 1;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  static constexpr std::size_t kMost = 1 << 17;  // slots, some 2 MB
  std::unordered_map<Key, PassGraph, Hash> known_;
  std::size_t slots_ = 0;
};

}  // namespace moeline
