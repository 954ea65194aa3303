// What do 24 to 50 measurements of one's own say, when a relative was measured thoroughly?
//
// A page of the same kernel family on another device keeps its shape; only its scale factors are fitted:
//   r = log(predicted(base values with the scaled ones replaced) / measured), the robust loss of fit/regression
// by default launch, tensor, memory and load (what silicon and host change), weakly held to the base page.
// Points are chosen by regime: where which factor sets the time. A factor no point is sensitive to cannot be found.
#pragma once

#include <string>
#include <vector>

#include "fit/family.hpp"

namespace moeline {

// Of the equations of gpu/gemm.
inline const std::vector<std::string> kScaleFactors{"launch", "tensor", "memory", "load"};

// Rows of `candidates` to measure, at most `count`, ascending: each regime gets its share, spread evenly over its
// times. A row's regime is the factor its time is most elastic to under `values` (measured times are not looked at).
std::vector<std::size_t> choose_points(const FamilyData& candidates, const std::vector<double>& values,
                                       std::size_t count, const std::vector<std::string>& factors = kScaleFactors);

// The base page rescaled to `rows` of the data. Held-out errors and spread come from the data's other rows or, where
// there are fewer than `rows` of them, from folds of unseen groups. SpecError if the page has other parameters.
FamilyFit few_point_page(const FamilyFit& base, const FamilyData& data, const std::vector<std::size_t>& rows,
                         const std::vector<std::string>& factors = kScaleFactors);

struct ProductShape {
  double m = 0, n = 0, k = 0;
};
// Which products to measure on a device so that `base` can be rescaled to it; every operand fits its memory.
std::vector<ProductShape> products_to_measure(const FamilyFit& base, const std::string& device, std::size_t count);

}  // namespace moeline
