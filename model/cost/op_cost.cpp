#include "cost/op_cost.hpp"

namespace moeline {

std::string_view name(Source source) {
  switch (source) {
    case Source::measured: return "measured";
    case Source::fitted: return "fitted";
    case Source::extrapolated: return "extrapolated";
    case Source::bound: return "bound";
    case Source::assumed: return "assumed";
  }
  return "";
}

}  // namespace moeline
