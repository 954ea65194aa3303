#include "cost/op_cost.hpp"

namespace moeline {

Spread even_spread(double sigma) {
  Spread spread;
  spread.sigma.fill(sigma);
  return spread;
}

Spread widened(Spread spread, double factor) {
  for (double& sigma : spread.sigma) sigma *= factor;
  return spread;
}

std::string_view name(Source source) {
  switch (source) {
    case Source::measured:
      return "measured";
    case Source::fitted:
      return "fitted";
    case Source::extrapolated:
      return "extrapolated";
    case Source::bound:
      return "bound";
    case Source::assumed:
      return "assumed";
  }
  return "";
}

}  // namespace moeline
