// What does a page say about a chip of another maker or generation, of which no such kernel was measured?
//
// Shares of HBM and of links carry over as they are, host times too. Shares of the tensor peak scale with what a plain
// 16-bit product was seen to reach at its best shape on either chip. What one multiprocessor reads, writes or handles
// scales so that the whole chip does as much for every byte per second of its memory:
//   rate' = rate x (S / S') x (BW' / BW)      S multiprocessors, BW memory bandwidth, ' the borrower
// Corrections by shape stay at home: they hold one library's choice of kernels. All of this is assumed, and nothing
// better than 25 % is claimed for it (fit/lending).
#pragma once

#include <string_view>

#include "fit/family.hpp"
#include "spec/device.hpp"

namespace moeline {

// Best 16-bit product over dense peak; 1 where nobody published one.
double best_product_share(std::string_view device, const Gpu& gpu);

FamilyFit carried_over(FamilyFit page, const Gpu& lender, std::string_view borrower_name, const Gpu& borrower);

}  // namespace moeline
