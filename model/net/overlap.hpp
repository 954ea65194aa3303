// How long do two things take that compete for the same time?
//
//   overlapped(a, b, p) = (a^p + b^p)^(1/p)      p = 1: one after the other (a + b); p large: side by side, max(a, b)
#pragma once

#include <cmath>

#include "units.hpp"

namespace moeline {

inline Seconds overlapped(Seconds a, Seconds b, double sharpness) {
  const Seconds longer = max(a, b), shorter = min(a, b);
  if (!(shorter > Seconds{})) return longer;
  return longer * std::pow(1 + std::pow(shorter / longer, sharpness), 1 / sharpness);
}

}  // namespace moeline
