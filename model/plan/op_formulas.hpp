// What is one op's time made of? The equation and its numbers, from the same Terms structs that the costs use.
//
//   "(launch + max(tensor, memory) + leak) x correction, of ..."
// Up to its first comma the text is arithmetic over the names of the terms, and comes to the op's time (a property test
// holds every op to it); what follows says where a term comes from. Terms that the equation does not name are its inputs.
// `rounding` is what a maximum that is rounded off adds to a hard one, with what slows a long kernel down.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gpu/roofline.hpp"

namespace moeline {

struct Term {
  std::string name;  // "tensor"
  double value = 0;
  std::string_view unit{};  // "seconds", "bytes", "flops", "" for counts
};
inline Term term(std::string_view name, Seconds value) { return {std::string(name), value.in(second), "seconds"}; }
inline Term term(std::string_view name, Bytes value) { return {std::string(name), value.in(byte), "bytes"}; }
inline Term term(Flops value) { return {"flops", value.in(flop), "flops"}; }
inline Term term(std::string_view name, double value) { return {std::string(name), value}; }

struct Formula {
  std::string text;
  std::vector<Term> terms{};
};
// `cost` is what the machine asks for the work.
Formula formula_of(const Work& work, const OpCost& cost, const Machine& machine);

}  // namespace moeline
