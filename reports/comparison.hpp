// Two answers side by side, and which parts make the difference?
//
//   difference of a time = sum over (group, phase) of the differences of exposed time
// A step has one time, a served token two: TPOT, whose parts are those of decoding, and TTFT, whose parts are those of prompts.
// Works on results as -o json writes them, so that an answer of last week can be held against one of today.
#pragma once

#include <string>
#include <vector>

#include "spec/json.hpp"
#include "spec/reader.hpp"

namespace moeline {

struct ComparedPart {
  std::string name, phase;
  double first = 0, second = 0;  // exposed seconds
  double difference() const { return second - first; }
};

struct ComparedTime {
  std::string name;                 // "step", "time per output token"
  double first = 0, second = 0;     // seconds
  std::vector<ComparedPart> parts;  // largest difference first
  double difference() const { return second - first; }
};

struct ComparedField {
  std::string pointer, first, second;  // of the resolved scenarios
};

struct Comparison {
  Json first, second;               // the results
  std::vector<ComparedTime> times;  // of the answer; of serving TPOT, then TTFT
  std::vector<ComparedField> fields;
};

bool is_result(const Json& json);  // of train, layer or serve -o json, rather than a scenario
// SpecError when one is no answer, or they answer different questions. `a`, `b` name them in messages.
Comparison compared(Json before, Json after, const std::string& a, const std::string& b);

std::string comparison_text(const Comparison& comparison, const std::string& a, const std::string& b);
Json comparison_json(const Comparison& comparison);

}  // namespace moeline
