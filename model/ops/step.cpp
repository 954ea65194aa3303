#include "ops/step.hpp"

namespace moeline {

std::string_view name(Lane lane) { return lane == Lane::compute ? "compute" : "network"; }

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::forward: return "forward";
    case Phase::backward: return "backward";
    case Phase::recompute: return "recompute";
    case Phase::optimizer: return "optimizer";
    case Phase::prefill: return "prefill";
    case Phase::decode: return "decode";
  }
  return "";
}

}  // namespace moeline
