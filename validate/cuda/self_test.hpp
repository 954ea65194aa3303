// Do the products written for Blackwell give what they should on this device?
//
// They were written without one at hand. Before their first use small products are compared with fp64; if one is wrong,
// or its kernel dies, the library's products stand in and the machine's versions say why.
#pragma once

#include <string>

namespace moeline {

// Empty: they do, or the first device is no Blackwell. Else what went wrong. Tried in a process of its own, for a
// kernel that dies takes its process's use of the device with it; called before anything else touches CUDA.
std::string problem_of_own_products();

}  // namespace moeline
